import type { Chain, Grants } from './grants.js';
import { holds } from './role-catalog.js';
import { isPermissionName, isScope } from './scope-name.js';
import type { ScopeTree } from './scope-tree.js';

/** Why a decision is what it is; replaying it gives the same answer. */
export interface Explanation {
  allowed: boolean;
  /** The scopes that were looked at, from the one asked about up to `global`. */
  chain: string[];
  /** The roles that say yes, and where they are held. */
  grants: { role: string; scope: string; through: 'assignment' | 'ownership' | 'team'; team?: string }[];
  /** One sentence. */
  reason: string;
}

/** {@link Access.explain} @param grants what the user holds; null for a user who is unknown, suspended or deleted */
export async function explain(
  scopes: ScopeTree,
  grants: Grants | null,
  permission: string,
  scope: string,
): Promise<Explanation> {
  const denied = (reason: string, chain: string[] = []): Explanation => ({
    allowed: false,
    chain,
    grants: [],
    reason,
  });
  if (!isPermissionName(permission))
    return denied(`${permission} is not the name of a permission, such as project:read.`);
  if (!isScope(scope)) return denied(`${scope} is not a scope, such as project:42.`);
  if (grants === null) return denied('There is no such user, or the account is suspended or deleted.');
  const chain = await scopes.chainOf(scope, { fresh: true });
  if (chain === null) return denied(`The scopes above ${scope} form a circle or are too deep.`);
  const found = saying(grants, permission, chain);
  const looked = [...chain.scopes];
  const first = found[0];
  if (first === undefined)
    return denied(`No role held at ${looked.join(', ')} contains ${permission}.`, looked);
  const how =
    first.through === 'ownership'
      ? 'by owning'
      : first.through === 'team'
        ? `through the team ${first.team} at`
        : 'at';
  return {
    allowed: true,
    chain: looked,
    grants: found,
    reason: `The role ${first.role}, held ${how} ${first.scope}, contains ${permission}.`,
  };
}

function saying(grants: Grants, permission: string, chain: Chain): Explanation['grants'] {
  return chain.scopes.flatMap((scope, index) => {
    const assigned = (grants.heldAt(chain, index)?.roles ?? [])
      .filter((role) => holds(role.permissions, permission))
      .flatMap((role): Explanation['grants'] => {
        const teams = grants.teamsGiving(role.id, scope);
        const isOwn = grants.isAssigned(role.id, scope);
        return [
          ...(isOwn ? [{ role: role.name, scope, through: 'assignment' as const }] : []),
          ...teams.map((team) => ({ role: role.name, scope, through: 'team' as const, team })),
        ];
      });
    const owns = chain.owners[index] === grants.userId && grants.catalog.owner.allows(permission);
    return owns ? [...assigned, { role: 'owner', scope, through: 'ownership' as const }] : assigned;
  });
}
