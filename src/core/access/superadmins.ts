import type { User } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { RoleCatalog } from './role-catalog.js';
import type { RoleStore } from './role-store.js';

const COUNTER = 'superadmin';
const CHANGES = 'superadmin_changes';

/** The sentence for a change that would leave no superadmin who can act. */
export const LAST_SUPERADMIN = 'The last superadmin cannot be removed.';

/** Ids of the roles whose holders at `global` are superadmins: `superadmin` and every role that includes it. */
export function superadminRoles(catalog: RoleCatalog): ReadonlySet<string> {
  const role = catalog.find(COUNTER);
  return new Set(role === null ? [] : catalog.including(role).map(({ id }) => id));
}

/** Which assignments count: without an end, at `global`, of a role that is or includes `superadmin`. */
export function superadminAssignments(catalog: RoleCatalog) {
  return { roleId: { in: [...superadminRoles(catalog)] }, scope: 'global', expiresAt: null };
}

/**
 * Keeps the number of superadmins who can act above zero, by a counter that moves in the same batch as the change.
 *
 * The counter is the number of assignments without an end, at `global`, of a role that is or includes `superadmin`, to people who are not
 * suspended. Counting rows first and acting afterwards would let two who step down at the same moment both succeed. A second counter only
 * goes up, with every change of that: what is read before a batch holds only while nothing of it changed (`observe` first).
 * @see docs/requirements.md RB-7
 */
export class SuperadminGuard {
  readonly #core: Runtime & { roleStore: RoleStore };

  constructor(core: Runtime & { roleStore: RoleStore }) {
    this.#core = core;
  }

  /** To be read before anything else that a batch below relies on. */
  async observe(): Promise<number> {
    const row = await this.#core.db.counter.findUnique({ where: { name: CHANGES } });
    if (row === null) throw new AuthTunaError('unavailable', { reason: 'not_ready' });
    return row.value;
  }

  /** For the batch that relies on this user being none, or that must come before or after every change of who is one. */
  unaffected(seen: number): Write[] {
    return [this.#changes(seen, 0)];
  }

  /** For the batch that gives this user so many of these assignments, or lets one who has them act again. */
  added(user: Pick<User, 'id' | 'suspendedAt'>, seen: number, count = 1): Write[] {
    const same = [this.#changes(seen, 1), this.#unchanged(user)];
    return user.suspendedAt === null ? [...same, ...this.#moved(count)] : same;
  }

  /** For the batch that takes so many of these assignments from this user, or keeps one from acting; misses, and so undoes the batch, for the last. */
  removed(user: Pick<User, 'id' | 'suspendedAt'>, seen: number, count = 1): Write[] {
    const same = [this.#changes(seen, 1), this.#unchanged(user)];
    return user.suspendedAt === null ? [...same, ...this.#moved(-count)] : same;
  }

  /** For the batch that changes which roles include `superadmin`; misses when no superadmin would be left. */
  async rolesChanged(before: RoleCatalog, after: RoleCatalog, seen: number): Promise<Write[]> {
    const [old, next] = [superadminRoles(before), superadminRoles(after)];
    const [lost, gained] = await Promise.all([
      this.#count({ roleId: { in: [...old].filter((id) => !next.has(id)) } }),
      this.#count({ roleId: { in: [...next].filter((id) => !old.has(id)) } }),
    ]);
    return [this.#changes(seen, 1), ...this.#moved(gained - lost)];
  }

  /** How many such assignments a user has. */
  async heldBy(userId: string): Promise<number> {
    const counted = superadminAssignments(await this.#core.roleStore.current());
    return this.#core.db.roleAssignment.count({ where: { userId, ...counted } });
  }

  /** Whether this user is the only superadmin who can act. */
  async isLast(user: Pick<User, 'id' | 'suspendedAt'>): Promise<boolean> {
    const held = user.suspendedAt === null ? await this.heldBy(user.id) : 0;
    if (held === 0) return false;
    const row = await this.#core.db.counter.findUnique({ where: { name: COUNTER } });
    return row !== null && row.value <= held;
  }

  /** Corrects the counter at start, where rows were written by hand or by a version that counted otherwise. */
  async recount(): Promise<void> {
    const { db } = this.#core;
    const seen = await this.observe();
    const roles = superadminRoles(await this.#core.roleStore.current());
    const [row, value] = await Promise.all([
      db.counter.findUnique({ where: { name: COUNTER } }),
      this.#count({ roleId: { in: [...roles] } }),
    ]);
    if (row === null || row.value === value) return;
    await db.$transaction([
      db.counter.updateMany({ where: { name: COUNTER, value: row.value }, data: { value } }),
      db.counter.updateMany({ where: { name: CHANGES, value: seen }, data: { value: seen + 1 } }),
    ]);
  }

  #count(where: { roleId: { in: string[] } }): Promise<number> {
    return this.#core.db.roleAssignment.count({
      where: { ...where, scope: 'global', expiresAt: null, user: { suspendedAt: null, deletedAt: null } },
    });
  }

  #changes(seen: number, by: 0 | 1): Write {
    return this.#core.db.counter.update({
      where: { name: CHANGES, value: seen },
      data: { value: { increment: by } },
    });
  }

  #moved(by: number): Write[] {
    if (by === 0) return [];
    return [
      this.#core.db.counter.update({
        where: by < 0 ? { name: COUNTER, value: { gt: -by } } : { name: COUNTER },
        data: { value: { increment: by } },
      }),
    ];
  }

  /** Suspension changes what counts, so it must still be as it was read. A deleted user does not become a superadmin. */
  #unchanged(user: Pick<User, 'id' | 'suspendedAt'>): Write {
    return this.#core.db.user.update({
      where: { id: user.id, suspendedAt: user.suspendedAt, deletedAt: null },
      data: { updatedAt: this.#core.now() },
    });
  }
}
