import { type Actor, credentialIn, withCredential } from '../../actor.js';
import type { Grants } from './grants.js';

/** The actor of a request that came with an API key or an access token: it can do no more than these give. */
export function actorByCredential(actor: Actor, grants: Grants): Actor {
  return withCredential(actor, grants);
}

/** What the credential of an actor gives; undefined for a person in a browser and for scripts. */
export function credentialOf(actor: Actor): Grants | undefined {
  return credentialIn(actor) as Grants | undefined;
}
