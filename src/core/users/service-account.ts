import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { outranks, Standing } from '../access/delegation.js';
import type { Core } from '../core.js';

/** The kind of user that cannot sign in. */
export const SERVICE = 'service';

const MANAGE = 'apikeys:manage';

/** An account for a program: a user of the kind `service`. Its keys come from `apiKeys.create`, its roles from `roles.assign`. */
export interface ServiceAccount {
  /** Of the user. */
  id: string;
  kind: 'service';
  /** The organization that looks after it. */
  orgId: string;
  name: string;
  createdById: string | null;
  createdAt: Date;
  suspendedAt: Date | null;
}

/**
 * Checks that an actor may look after a service account and hold its keys: `apikeys:manage` and a rank above the account's, at the organization
 * that owns it and wherever else the account holds a role or owns something. A holder of a key of the account acts with all of that.
 *
 * @throws AuthTunaError `unauthenticated`, `forbidden`
 */
export async function requireServiceManager(
  { access, scopeTree, db }: Pick<Core, 'access' | 'scopeTree' | 'db'>,
  account: { userId: string; scope: string },
  actor: Actor,
): Promise<void> {
  if (isSystem(actor)) return;
  await access.require(actor, MANAGE, account.scope);
  const [grants, target, owned] = await Promise.all([
    access.grantsOfActor(actor),
    access.standingOf(account.userId),
    db.scopeNode.findMany({ where: { ownerId: account.userId }, select: { id: true } }),
  ]);
  const places = new Set([account.scope, ...target.scopes, ...owned.map(({ id }) => id)]);
  for (const place of places) {
    const chain = await scopeTree.chainOf(place, { fresh: true });
    const may =
      chain !== null &&
      grants?.allow(MANAGE, chain) === true &&
      outranks(new Standing(grants, chain), target);
    if (!may) throw new AuthTunaError('forbidden');
  }
}
