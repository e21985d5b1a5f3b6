import type { ScopeDependent } from '../../core/access/scopes.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { SERVICE } from '../../core/users/service-account.js';

/** The service accounts that go with the organization that owns them; their keys and roles go along. */
export class ServiceAccountDirectory implements ScopeDependent {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async isUsing(scope: string): Promise<boolean> {
    return (await this.#core.db.serviceAccount.count({ where: { scope } })) > 0;
  }

  async removeAt(scopes: readonly string[]): Promise<Write[]> {
    const { db } = this.#core;
    const rows = await db.serviceAccount.findMany({
      where: { scope: { in: [...scopes] } },
      select: { userId: true },
    });
    const ids = rows.map(({ userId }) => userId);
    return ids.length === 0 ? [] : [db.user.deleteMany({ where: { id: { in: ids }, kind: SERVICE } })];
  }
}
