import type { User } from '../db/client.js';
import type { Write } from './ledger.js';
import type { CompiledRole } from './role-catalogue.js';
import type { Runtime } from './runtime.js';

const SUPERADMIN = 'superadmin';

export function isSuperadminRole(role: CompiledRole): boolean {
  return role.name === SUPERADMIN && role.ownedBy === '';
}

/**
 * Keeps the number of superadmins who can act above zero, by a counter that moves in the same batch as the change.
 *
 * The counter is the number of superadmins who are not suspended. Counting rows first and acting afterwards would let two who step down
 * at the same moment both succeed. @see security.md RB-7
 */
export class SuperadminGuard {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** For the batch that makes this user a superadmin, or lets one act again. */
  added(user: Pick<User, 'id' | 'suspendedAt'>): Write[] {
    if (user.suspendedAt !== null) return [this.#unchanged(user)];
    return [
      this.#unchanged(user),
      this.#runtime.db.counter.update({ where: { name: SUPERADMIN }, data: { value: { increment: 1 } } }),
    ];
  }

  /** For the batch after which this user cannot act as one; misses, and so undoes the batch, for the last. */
  removed(user: Pick<User, 'id' | 'suspendedAt'>): Write[] {
    if (user.suspendedAt !== null) return [this.#unchanged(user)];
    return [
      this.#unchanged(user),
      this.#runtime.db.counter.update({
        where: { name: SUPERADMIN, value: { gt: 1 } },
        data: { value: { decrement: 1 } },
      }),
    ];
  }

  /** Suspension changes what counts, so it must still be as it was read. */
  #unchanged(user: Pick<User, 'id' | 'suspendedAt'>): Write {
    return this.#runtime.db.user.update({
      where: { id: user.id, suspendedAt: user.suspendedAt },
      data: { updatedAt: this.#runtime.now() },
    });
  }

  async isSuperadmin(userId: string): Promise<boolean> {
    const held = await this.#runtime.db.roleAssignment.findFirst({
      where: { userId, scope: 'global', role: { name: SUPERADMIN, ownedBy: '' } },
    });
    return held !== null;
  }
}
