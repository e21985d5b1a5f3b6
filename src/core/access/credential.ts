import { type Actor, credentialIn, isSystem, requireUnrestricted, withCredential } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import type { Grants } from './grants.js';

/** The actor of a request that came with an API key or an access token: it can do no more than these give. */
export function actorByCredential(actor: Actor, grants: Grants): Actor {
  return withCredential(actor, grants);
}

/** What the credential of an actor gives; undefined for a person in a browser and for scripts. */
export function credentialOf(actor: Actor): Grants | undefined {
  return credentialIn(actor) as Grants | undefined;
}

/**
 * For what only people themselves decide of their account, such as ending it: refuses an API key, a token with a scope, and a person who acts
 * as another.
 *
 * @throws AuthTunaError `forbidden`; `password_change_required` and `enrollment_required` for an actor who must do that first
 */
export async function requireInPerson(actor: Actor): Promise<void> {
  await requireUnrestricted(actor);
  if (isSystem(actor)) return;
  const isLess = actor.apiKeyId !== undefined || credentialOf(actor)?.isScoped === true;
  if (isLess || actor.impersonatorId !== undefined) throw new AuthTunaError('forbidden');
}
