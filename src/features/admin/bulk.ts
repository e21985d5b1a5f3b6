import type { Actor } from '../../actor.js';
import { AuthTunaError, type ErrorCode } from '../../errors.js';
import type { AdminParts } from './parts.js';
import type { AdminUser, People } from './people.js';

/** What is done to many people at once. */
export const BULK_ACTIONS = [
  'suspend',
  'unsuspend',
  'password_reset',
  'end_sessions',
  'delete',
  'erase',
] as const;
export type BulkAction = (typeof BULK_ACTIONS)[number];

export interface BulkInput {
  action: BulkAction;
  /** Ids of people. */
  users: readonly string[];
  /** For `suspend`. */
  reason?: string | undefined;
  until?: Date | undefined;
}

/** A person who is left out, and why: `forbidden` for rank, `conflict` for the own account and where there is nothing to do. */
export interface LeftOut {
  id: string;
  /** Null for somebody who is not there. */
  email: string | null;
  code: 'forbidden' | 'not_found' | 'conflict';
}

/** The same act upon several people, one after the other: each is decided, stored and recorded by itself. */
export class BulkActions {
  readonly #parts: AdminParts;
  readonly #people: People;

  constructor(parts: AdminParts, people: People) {
    this.#parts = parts;
    this.#people = people;
  }

  /** Who would be affected, and who would not. Changes nothing. */
  async preview(
    { action, users }: Pick<BulkInput, 'action' | 'users'>,
    actor: Actor,
  ): Promise<{ affected: AdminUser[]; refused: LeftOut[] }> {
    const ids = [...new Set(users)];
    const found = new Map((await this.#people.some(ids)).map((user) => [user.id, user]));
    const permission = action === 'end_sessions' ? 'sessions:manage' : 'users:manage';
    const affected: AdminUser[] = [];
    const refused: LeftOut[] = [];
    const below = await this.#parts.core.access.thoseBelow(actor, [...found.keys()], permission);
    for (const id of ids) {
      const user = found.get(id);
      const code = user === undefined ? 'not_found' : refusalOf(user, action, actor, below.has(id));
      if (user !== undefined && code === null) affected.push(user);
      else refused.push({ id, email: user?.email ?? null, code: code ?? 'not_found' });
    }
    return { affected, refused };
  }

  /** Does it to everybody of the preview. What is refused for one person changes nothing for the others. */
  async run(input: BulkInput, actor: Actor): Promise<{ done: string[]; refused: LeftOut[] }> {
    const { affected, refused } = await this.preview(input, actor);
    const done: string[] = [];
    for (const { id, email } of affected) {
      try {
        await this.#act(input, id, actor);
        done.push(id);
      } catch (error) {
        if (!(error instanceof AuthTunaError) || !isRefusal(error.code)) throw error;
        refused.push({ id, email, code: error.code });
      }
    }
    return { done, refused };
  }

  async #act({ action, reason = '', until }: BulkInput, id: string, actor: Actor): Promise<void> {
    const { users, sessions } = this.#parts.core;
    switch (action) {
      case 'suspend':
        return users.suspend(id, reason, actor, until === undefined ? {} : { until });
      case 'unsuspend':
        return users.unsuspend(id, reason === '' ? 'lifted' : reason, actor);
      case 'password_reset':
        return this.#people.resetPassword(id, actor);
      case 'end_sessions':
        await sessions.revokeAll(id, actor);
        return;
      case 'delete':
        return users.delete(id, actor);
      case 'erase':
        return users.erase(id, actor);
    }
  }
}

/** Managers decide again; this is what can be known beforehand. */
function refusalOf(
  user: AdminUser,
  action: BulkAction,
  actor: Actor,
  isAbove: boolean,
): LeftOut['code'] | null {
  if (user.id === actor.userId) return 'conflict';
  if (!isAbove) return 'forbidden';
  const isIdle =
    (user.deletedAt !== null && action !== 'erase') || (action === 'unsuspend' && user.suspendedAt === null);
  return isIdle ? 'conflict' : null;
}

function isRefusal(code: ErrorCode): code is LeftOut['code'] {
  return code === 'forbidden' || code === 'not_found' || code === 'conflict';
}
