import type { User } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { CompiledRole } from './role-catalog.js';

const SUPERADMIN = 'superadmin';
const CHANGES = 'superadmin_changes';

export function isSuperadminRole(role: CompiledRole): boolean {
  return role.name === SUPERADMIN && role.ownedBy === '';
}

/**
 * Keeps the number of superadmins who can act above zero, by a counter that moves in the same batch as the change.
 *
 * The counter is the number of superadmins who are not suspended. Counting rows first and acting afterwards would let two who step down
 * at the same moment both succeed. A second counter only goes up, with every change of who is one: whether somebody is a superadmin is read
 * before a batch, and the batch holds only while nothing of that changed (`observe` first). @see docs/requirements.md RB-7
 */
export class SuperadminGuard {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** To be read before anything else that a batch below relies on. */
  async observe(): Promise<number> {
    const row = await this.#runtime.db.counter.findUnique({ where: { name: CHANGES } });
    if (row === null) throw new AuthTunaError('unavailable', { reason: 'not_ready' });
    return row.value;
  }

  /** For the batch that relies on this user being none, or that must come before or after every change of who is one. */
  unaffected(seen: number): Write[] {
    return [this.#changes(seen, 0)];
  }

  /** For the batch that makes this user a superadmin, or lets one act again. */
  added(user: Pick<User, 'id' | 'suspendedAt'>, seen: number): Write[] {
    const same = [this.#changes(seen, 1), this.#unchanged(user)];
    if (user.suspendedAt !== null) return same;
    return [
      ...same,
      this.#runtime.db.counter.update({ where: { name: SUPERADMIN }, data: { value: { increment: 1 } } }),
    ];
  }

  /** For the batch after which this user cannot act as one; misses, and so undoes the batch, for the last. */
  removed(user: Pick<User, 'id' | 'suspendedAt'>, seen: number): Write[] {
    const same = [this.#changes(seen, 1), this.#unchanged(user)];
    if (user.suspendedAt !== null) return same;
    return [
      ...same,
      this.#runtime.db.counter.update({
        where: { name: SUPERADMIN, value: { gt: 1 } },
        data: { value: { decrement: 1 } },
      }),
    ];
  }

  #changes(seen: number, by: 0 | 1): Write {
    return this.#runtime.db.counter.update({
      where: { name: CHANGES, value: seen },
      data: { value: { increment: by } },
    });
  }

  /** Suspension changes what counts, so it must still be as it was read; nobody who is deleted becomes one. */
  #unchanged(user: Pick<User, 'id' | 'suspendedAt'>): Write {
    return this.#runtime.db.user.update({
      where: { id: user.id, suspendedAt: user.suspendedAt, deletedAt: null },
      data: { updatedAt: this.#runtime.now() },
    });
  }

  /** Whether this user is the only one left who can act. */
  async isLast(user: Pick<User, 'id' | 'suspendedAt'>): Promise<boolean> {
    if (user.suspendedAt !== null || !(await this.isSuperadmin(user.id))) return false;
    const row = await this.#runtime.db.counter.findUnique({ where: { name: SUPERADMIN } });
    return row !== null && row.value <= 1;
  }

  async isSuperadmin(userId: string): Promise<boolean> {
    const held = await this.#runtime.db.roleAssignment.findFirst({
      where: { userId, scope: 'global', role: { name: SUPERADMIN, ownedBy: '' } },
    });
    return held !== null;
  }
}
