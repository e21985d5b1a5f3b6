import { parseScope } from '../../core/access/scope-name.js';
import type { ScopeDependent } from '../../core/access/scopes.js';
import type { Write } from '../../core/changes/ledger.js';
import type { Core } from '../../core/core.js';
import { AuthTunaError } from '../../errors.js';

/** What organizations keep about scopes: rows that go with them, and scopes that only their managers may move or remove. */
export class OrgDirectory implements ScopeDependent {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async isUsing(scope: string): Promise<boolean> {
    const { db } = this.#core;
    const [invitations, links] = await Promise.all([
      db.organizationInvitation.count({ where: { scope } }),
      db.organizationInvitationLink.count({ where: { scope } }),
    ]);
    return invitations + links > 0;
  }

  async removeAt(scopes: readonly string[]): Promise<Write[]> {
    const { db } = this.#core;
    const idsOf = (type: string) => {
      const prefix = `${type}:`;
      return scopes.filter((scope) => scope.startsWith(prefix)).map((scope) => scope.slice(prefix.length));
    };
    const resources = scopes
      .filter((scope) => !/^(?:org|project|team):/.test(scope))
      .map((scope) => scope.slice(scope.indexOf(':') + 1));
    return [
      ...inChunks(idsOf('org')).map((ids) => db.organization.deleteMany({ where: { id: { in: ids } } })),
      ...inChunks(idsOf('project')).map((ids) =>
        db.organizationProject.deleteMany({ where: { id: { in: ids } } }),
      ),
      ...inChunks(resources).map((ids) => db.organizationResource.deleteMany({ where: { id: { in: ids } } })),
      ...inChunks(scopes).map((some) =>
        db.organizationInvitation.deleteMany({ where: { scope: { in: some } } }),
      ),
      ...inChunks(scopes).map((some) =>
        db.organizationInvitationLink.deleteMany({ where: { scope: { in: some } } }),
      ),
    ];
  }

  async requireFree(scope: string, change: 'move' | 'remove'): Promise<void> {
    const name = parseScope(scope);
    const { db } = this.#core;
    const manager =
      name?.type === 'org' && (await db.organization.count({ where: { id: name.id } })) > 0
        ? 'orgs'
        : name?.type === 'project' && (await db.organizationProject.count({ where: { id: name.id } })) > 0
          ? 'projects'
          : null;
    if (manager !== null)
      throw new AuthTunaError('conflict', {
        message: `${scope} is kept by ${manager}: use ${manager}.${change === 'move' ? 'move' : 'delete'}.`,
      });
  }
}

const CHUNK = 500; // ids in one statement

function inChunks<T>(values: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let begin = 0; begin < values.length; begin += CHUNK) parts.push(values.slice(begin, begin + CHUNK));
  return parts;
}
