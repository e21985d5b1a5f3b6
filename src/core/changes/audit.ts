import type { Actor } from '../../actor.js';
import { newId } from '../../crypto/random.js';
import type { AuthEvent, EventType } from '../../events.js';
import type { Page } from '../page.js';
import { pageOf } from '../page.js';
import type { Runtime } from '../runtime.js';

/** What a manager says about something it is about to do; the rest of the entry is filled in here. */
export interface Fact {
  type: EventType;
  actor: Actor;
  outcome?: AuthEvent['outcome'];
  target?: { type: string; id: string };
  scope?: string;
  reason?: string;
  data?: Readonly<Record<string, unknown>>;
}

/** One line of the audit log, as it is listed. */
export interface AuditEntry {
  id: string;
  at: Date;
  type: string;
  outcome: string;
  reason: string | null;
  actorId: string | null;
  impersonatorId: string | null;
  sessionId: string | null;
  apiKeyId: string | null;
  targetType: string | null;
  targetId: string | null;
  scope: string | null;
  ip: string | null;
  userAgent: string | null;
  requestId: string | null;
  data: Record<string, unknown> | null;
}

export interface AuditQuery {
  type?: string;
  actorId?: string;
  targetId?: string;
  scope?: string;
  from?: Date;
  to?: Date;
  cursor?: string;
  /** 1 to 100, default 50. */
  limit?: number;
}

const MAX_FIELD = 512;

/** The audit log: who did what to whom, when, from where, with what outcome. */
export class AuditManager {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The write that stores a fact; put it into the batch of the change, so that both happen or neither. */
  write(fact: Fact, at: Date) {
    const { actor } = fact;
    return this.#runtime.db.auditEntry.create({
      data: {
        id: newId(this.#runtime.config.random),
        at,
        type: fact.type,
        outcome: fact.outcome ?? 'success',
        reason: printable(fact.reason),
        actorId: actor.userId,
        impersonatorId: actor.impersonatorId ?? null,
        sessionId: actor.sessionId ?? null,
        apiKeyId: actor.apiKeyId ?? null,
        targetType: fact.target?.type ?? null,
        targetId: printable(fact.target?.id),
        scope: printable(fact.scope),
        ip: actor.ip,
        userAgent: printable(actor.userAgent),
        requestId: printable(actor.requestId),
        data: fact.data === undefined ? null : JSON.stringify(fact.data, printableText),
      },
      select: { id: true }, // nobody reads the others, and every column that comes back costs time
    });
  }

  /** Stores a fact that stands alone, such as a refused attempt, and tells the listeners. */
  async record(fact: Fact): Promise<void> {
    const at = this.#runtime.now();
    await this.write(fact, at);
    this.#runtime.events.emit(eventOf(fact, at));
  }

  /** Newest first. */
  async list(query: AuditQuery = {}): Promise<Page<AuditEntry>> {
    const { type, actorId, targetId, scope, from, to } = query;
    const where = {
      ...(type !== undefined && { type }),
      ...(actorId !== undefined && { actorId }),
      ...(targetId !== undefined && { targetId }),
      ...(scope !== undefined && { scope }),
      ...((from !== undefined || to !== undefined) && {
        at: { ...(from && { gte: from }), ...(to && { lt: to }) },
      }),
    };
    return pageOf(query, async ({ take, after }) => {
      const rows = await this.#runtime.db.auditEntry.findMany({
        where,
        orderBy: [{ at: 'desc' }, { id: 'desc' }],
        take,
        ...(after !== null && { cursor: { id: after } }),
      });
      return rows.map((row) => ({
        ...row,
        data: row.data === null ? null : (JSON.parse(row.data) as Record<string, unknown>),
      }));
    });
  }
}

export function eventOf(fact: Fact, at: Date): AuthEvent {
  return {
    type: fact.type,
    at,
    outcome: fact.outcome ?? 'success',
    actor: fact.actor,
    target: fact.target ?? null,
    scope: fact.scope ?? null,
    reason: fact.reason ?? null,
    data: fact.data ?? null,
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** For `JSON.stringify`, whose own escapes leave direction and line-separator characters alone. */
function printableText(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? printable(value) : value;
}

/** One line, capped: control, direction and line-separator characters are written as escapes, so that a log cannot be forged. */
function printable(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const escaped = text
    .slice(0, MAX_FIELD)
    .replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return escaped.slice(0, MAX_FIELD);
}
