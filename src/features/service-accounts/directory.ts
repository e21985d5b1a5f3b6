import type { ScopeDependent } from '../../core/access/scopes.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { removalOf } from '../../core/users/removal.js';
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
    const rows = await this.#core.db.serviceAccount.findMany({
      where: { scope: { in: [...scopes] } },
      select: { userId: true },
    });
    const removals = rows.map(({ userId }) =>
      removalOf(this.#core, userId, { where: { kind: SERVICE }, goingScopes: scopes }),
    );
    return (await Promise.all(removals)).flat();
  }
}
