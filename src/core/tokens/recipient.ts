import type { Runtime } from '../runtime.js';

/** Whom a mail that anybody can ask for is about: an account, or a stand-in for one. */
export interface Recipient {
  id: string;
  email: string;
  username: string | null;
  /** When the address was confirmed; left out for an address without an account. */
  emailVerifiedAt?: Date | null;
  /** There is no account to write to. */
  isStandIn?: true;
  /** No account has the address yet: the mail offers to make one. */
  isNewcomer?: true;
}

/**
 * What takes an account's place where an address has none, or may get no mail: it is given a token and a mail like everybody, and the mail is
 * written, rendered and dropped. So the same work is done for every address, in the request and after it, and time tells nothing.
 *
 * @param address in its canonical spelling
 * @see docs/requirements.md LG-3
 */
export function standInFor(runtime: Pick<Runtime, 'keys'>, address: string): Recipient {
  const id = `nobody ${runtime.keys.lookup(`nobody ${address}`)}`;
  return { id, email: address, username: null, isStandIn: true };
}

/**
 * Somebody who may make an account for an address that has none.
 *
 * @param address in its canonical spelling
 */
export function newcomerAt(runtime: Pick<Runtime, 'keys'>, address: string): Recipient {
  const id = `newcomer ${runtime.keys.lookup(`newcomer ${address}`)}`;
  return { id, email: address, username: null, isNewcomer: true };
}

/** The part of a mail that says whom it goes to. */
export function mailTo(recipient: Recipient): { to: string; isStandIn?: true } {
  return { to: recipient.email, ...(recipient.isStandIn === true && { isStandIn: true }) };
}
