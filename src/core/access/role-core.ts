import { type Actor, isSystem, requireUnrestricted } from '../../actor.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { AuditManager } from '../changes/audit.js';
import type { Ledger } from '../changes/ledger.js';
import { invalid } from '../refusals.js';
import type { Runtime } from '../runtime.js';
import type { Access } from './access.js';
import { Standing } from './delegation.js';
import { type Chain, GLOBAL_CHAIN, type Grants } from './grants.js';
import type { CompiledRole, RoleCatalog } from './role-catalog.js';
import type { RoleStore } from './role-store.js';
import { isScope } from './scope-name.js';
import type { ScopeTree } from './scope-tree.js';

/** What the management of roles and scopes is built from. */
export interface RoleCore extends Runtime {
  readonly audit: AuditManager;
  readonly ledger: Ledger;
  readonly access: Access;
  readonly roleStore: RoleStore;
  readonly scopeTree: ScopeTree;
}

/** A role by its name, and the chain of the scope that defines it. @throws AuthTunaError `not_found` */
export async function locateRole(
  core: RoleCore,
  name: string,
  ownedBy = '',
): Promise<{ catalog: RoleCatalog; role: CompiledRole; chain: Chain }> {
  const catalog = await core.roleStore.current();
  const role = catalog.find(name, ownedBy === '' ? [] : [ownedBy]);
  if (role === null || role.ownedBy !== ownedBy) throw noRole(name);
  return { catalog, role, chain: await definitionChain(core, ownedBy) };
}

/** The role that a name stands for at a scope: the nearest. @throws AuthTunaError `not_found`; `invalid_input` for what is no scope */
export async function locateRoleAt(
  core: RoleCore,
  name: string,
  scope: string,
): Promise<{ catalog: RoleCatalog; role: CompiledRole; chain: Chain }> {
  const chain = await freshChain(core, scope);
  const catalog = await core.roleStore.current();
  const role = catalog.find(name, chain.scopes);
  if (role === null) throw noRole(name);
  return { catalog, role, chain };
}

/** The chain of the scope that defines a role; `global` for everybody's. @throws AuthTunaError `invalid_input` */
export async function definitionChain(core: RoleCore, ownedBy: string): Promise<Chain> {
  if (ownedBy === '') return GLOBAL_CHAIN;
  if (!isScope(ownedBy) || ownedBy === 'global')
    throw invalid('ownedBy', 'invalid_scope', 'must be a scope such as org:acme');
  return freshChain(core, ownedBy);
}

/** @throws AuthTunaError `invalid_input` for what is no scope, and for a circle */
export async function freshChain({ scopeTree }: RoleCore, scope: string): Promise<Chain> {
  const chain = await scopeTree.chainOf(scope, { fresh: true });
  if (chain === null) throw invalid('scope', 'invalid_scope', 'must be global or a scope such as project:42');
  return chain;
}

/** What an actor holds; not for `SYSTEM`. @throws AuthTunaError `unauthenticated`; `forbidden` for one who is suspended */
export async function grantsOfActor({ access }: RoleCore, actor: Actor): Promise<Grants> {
  await requireUnrestricted(actor);
  const grants = await access.grantsOfActor(actor);
  if (grants === null) throw new AuthTunaError(actor.userId === null ? 'unauthenticated' : 'forbidden');
  return grants;
}

/** What an actor can do with roles at the scope of a chain; null for `SYSTEM`, which can do everything. @throws AuthTunaError as `grantsOfActor` */
export async function standingAt(core: RoleCore, actor: Actor, chain: Chain): Promise<Standing | null> {
  return isSystem(actor) ? null : new Standing(await grantsOfActor(core, actor), chain);
}

/** The roles of these names, each once. @throws AuthTunaError `not_found` */
export function allRoles(catalog: RoleCatalog, names: readonly string[] = [], chain: Chain): CompiledRole[] {
  return [...new Set(names)].map((name) => {
    const role = catalog.find(name, chain.scopes);
    if (role === null) throw noRole(name);
    return role;
  });
}

export function noRole(name: string): AuthTunaError {
  return new AuthTunaError('not_found', { message: `There is no role ${name}.` });
}

export function noPermission(name: string): AuthTunaError {
  return new AuthTunaError('not_found', { message: `There is no permission ${name}.` });
}

/** A write that missed its row, as a conflict; every other error as it is. */
export function asConflict(
  error: unknown,
  message = 'Something else changed at the same moment. Try again.',
): unknown {
  return isMissing(error) ? new AuthTunaError('conflict', { message }) : error;
}
