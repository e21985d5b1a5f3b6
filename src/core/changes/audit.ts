import { z } from 'zod';
import type { Actor } from '../../actor.js';
import { newId } from '../../crypto/random.js';
import type { AuthEvent, EventType } from '../../events.js';
import type { Page } from '../page.js';
import { invalid } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import { validate } from '../validate.js';
import type { AuditEntry } from './audit-entry.js';
import { exportAudit } from './audit-export.js';
import { keptIp } from './audit-ip.js';
import { type AuditFilter, type AuditQuery, auditFilter, auditQuery, listAudit } from './audit-query.js';
import { type AuditVerdict, type AuditVerification, verifyAudit } from './audit-verify.js';

export type { AuditEntry } from './audit-entry.js';
export type { AuditFilter, AuditQuery } from './audit-query.js';
export type { AuditFault, AuditVerdict, AuditVerification } from './audit-verify.js';

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

/** An event of the host's own, for {@link AuditManager.record}. */
export interface AuditRecord {
  /** `noun.past_participle`, such as `document.published`; at most 100 characters. */
  type: string;
  actor: Actor;
  /** Default `success`. */
  outcome?: 'success' | 'failure' | 'denied';
  target?: { type: string; id: string };
  scope?: string;
  reason?: string;
  /** Further facts, at most 8 kB as JSON; texts are cut at 512 characters. Never put a secret here. */
  data?: Readonly<Record<string, unknown>>;
}

const TYPE = /^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+$/;
const MAX_DATA = 8192;

const auditRecord = z.strictObject({
  type: z.string().max(100).regex(TYPE, 'must look like document.published'),
  actor: z.looseObject({ userId: z.string().nullable() }),
  outcome: z.enum(['success', 'failure', 'denied']).optional(),
  target: z.strictObject({ type: z.string().min(1).max(100), id: z.string().min(1) }).optional(),
  scope: z.string().optional(),
  reason: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});

const MAX_FIELD = 512;

/** The audit log: who did what to whom, when, from where, with what outcome. */
export class AuditManager {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The writes that store facts and queue what webhooks are told; put them into the batch of the change, so that all happen or none. */
  async writes(facts: readonly Fact[], at: Date) {
    const { db, webhooks } = this.#runtime;
    const rows = facts.map((fact) => this.#rowOf(fact, at));
    const queued = rows.length === 0 ? [] : await webhooks.writes(db, rows);
    return [
      // The other columns are not read, and each that comes back costs time.
      ...rows.map((data) => db.auditEntry.create({ data, select: { id: true } })),
      ...queued,
    ];
  }

  #rowOf(fact: Fact, at: Date) {
    const { actor } = fact;
    return {
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
      ip: keptIp(this.#runtime.config, actor.ip),
      userAgent: printable(actor.userAgent),
      requestId: printable(actor.requestId),
      data: fact.data === undefined ? null : JSON.stringify(fact.data, printableText),
    };
  }

  /**
   * Stores an event of the host's own, or another that stands alone, and tells the listeners of `*`.
   *
   * @throws AuthTunaError `invalid_input`; `unavailable` when it cannot be stored
   */
  async record(record: AuditRecord): Promise<void> {
    // What cannot be stored is written as an escape: no request may keep itself out of the log by a strange name.
    const printed: unknown = JSON.parse(JSON.stringify(record ?? {}, printableText));
    const { data } = validate(auditRecord, printed);
    if (data !== undefined && JSON.stringify(data).length > MAX_DATA)
      throw invalid('data', 'too_long', `must have at most ${MAX_DATA} bytes as JSON`);
    const fact = printed as Fact; // listeners of `*` meet types of the host's own as well
    const at = this.#runtime.now();
    const writes = await this.writes([fact], at);
    const [only] = writes;
    await (writes.length === 1 && only !== undefined ? only : this.#runtime.db.$transaction(writes));
    this.#runtime.events.emit(eventOf(fact, at));
    if (writes.length > 1) this.#runtime.webhooks.announce();
  }

  /** Newest first. @throws AuthTunaError `invalid_input` for an unknown filter, a limit outside 1 to 100 or a `q` over 64 characters */
  list(query: AuditQuery = {}): Promise<Page<AuditEntry>> {
    return listAudit(this.#runtime, validate(auditQuery, query));
  }

  /**
   * All entries that match, the oldest first, a few hundred in memory at a time.
   *
   * @throws AuthTunaError `invalid_input` for an unknown filter
   */
  export(filter: AuditFilter = {}): AsyncIterable<AuditEntry> {
    return exportAudit(this.#runtime, validate(auditFilter, filter));
  }

  /**
   * Compares every sealed entry with what it was when it was sealed, and names the first that was edited, deleted, inserted or moved.
   *
   * Entries of the last minute are not sealed yet. A holder of the secret can make seals: keep them elsewhere with `audit.onSeal`, and
   * hand one in as `seal`.
   * @see docs/requirements.md AU-4
   */
  verify(options: AuditVerification = {}): Promise<AuditVerdict> {
    return verifyAudit(this.#runtime, validate(verification, options));
  }
}

const verification = z.strictObject({
  from: z.date().optional(),
  to: z.date().optional(),
  seal: z.strictObject({ number: z.int().min(1), mac: z.string().min(1).max(64) }).optional(),
});

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
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\p{Cs}]/gu;

/** For `JSON.stringify`, whose own escapes leave direction and line-separator characters alone. */
function printableText(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? printable(value) : value;
}

/** One line, capped: control, direction and line-separator characters and halves of a pair are written as escapes, so that a log cannot be forged. */
function printable(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const escaped = text
    .slice(0, MAX_FIELD)
    .replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return escaped.slice(0, MAX_FIELD).replace(/\p{Cs}$/u, '');
}
