/** Who does something, and from where. The last argument of every method that changes something. */
export interface Actor {
  userId: string | null;
  ip: string | null;
  userAgent: string | null;
  sessionId?: string;
  apiKeyId?: string;
  impersonatorId?: string;
  requestId?: string;
  /** The languages their browser asks for, as `Accept-Language` lists them; mails to them are written in one of these. */
  languages?: string;
  /** @internal Why the actor may do nothing for now but cure that, such as choosing a new password; set on actors of requests. */
  [RESTRICTION]?: Restriction;
  /** @internal What the credential of the request gives, where that may be less than what its user holds: an API key, an access token. */
  [CREDENTIAL]?: object;
  /** @internal Set on `SYSTEM` and on copies of it. JSON cannot carry a symbol, so no request can. */
  [IS_SYSTEM]?: true;
}

/** The refusal for as long as an actor must do something else first; undefined otherwise. */
export type Restriction = () => Error | undefined | Promise<Error | undefined>;

const RESTRICTION: unique symbol = Symbol('authtuna.restriction');
const CREDENTIAL: unique symbol = Symbol('authtuna.credential');
const IS_SYSTEM: unique symbol = Symbol('authtuna.system');

/** The actor of scripts and jobs. It may do everything, and never comes from a request. */
export const SYSTEM: Actor = Object.freeze({
  userId: null,
  ip: null,
  userAgent: null,
  [IS_SYSTEM]: true as const,
});

/** True for `SYSTEM` and for copies such as `{ ...SYSTEM, ip }`. */
export function isSystem(actor: Actor): boolean {
  return actor[IS_SYSTEM] === true;
}

/** @internal The actor, with what may keep it from acting. Copies have it too; JSON has not. */
export function restrictedActor(actor: Actor, restriction: Restriction): Actor {
  return { ...actor, [RESTRICTION]: restriction };
}

/** @internal @throws the refusal of an actor who must do something else first, as a guard would */
export async function requireUnrestricted(actor: Actor): Promise<void> {
  const refusal = await actor[RESTRICTION]?.();
  if (refusal !== undefined) throw refusal;
}

/** @internal The actor with what its credential gives. Copies have it too; JSON has not. Typed in `core/access/credential.ts`. */
export function withCredential(actor: Actor, credential: object): Actor {
  return { ...actor, [CREDENTIAL]: credential };
}

/** @internal See {@link withCredential}. */
export function credentialIn(actor: Actor): object | undefined {
  return actor[CREDENTIAL];
}
