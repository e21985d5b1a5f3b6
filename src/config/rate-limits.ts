/** At most `limit` in any `windowSeconds`. */
export interface RateLimit {
  limit: number;
  windowSeconds: number;
}

/**
 * The limits that the library itself sets, each for one address (IPv6: its /64) unless said otherwise. Those of `NETWORK_LIMITED` allow five
 * times as much to the network around the address. Guesses at a password or code have a throttle of their own beside them, which is no option.
 *
 * | name | limits | default |
 * | --- | --- | --- |
 * | `signUp` | sign-ups, and changes of username, which tell as well what is taken | 60 in 10 minutes |
 * | `mailRequest` | forgotten passwords, verification mails, magic links, codes, changes of address | 60 in 10 minutes |
 * | `mailToken` | spending the links and codes of mails | 60 in 10 minutes |
 * | `passkey` | ceremonies with a passkey that are begun from one address, and as many answers | 60 a minute |
 * | `social` | journeys to other providers that are begun, and changes of an organization's connection, by user | 60 a minute |
 * | `mailAddress` | mails that strangers can ask for, to one address | 3 an hour |
 * | `mailNetwork` | such mails, asked for from one network (/24, IPv6 /48) | 10 an hour |
 * | `mailPurpose` | such mails of one kind, to one address from one network, at least a minute apart | 5 a day |
 */
export const RATE_LIMITS = {
  signUp: { limit: 60, windowSeconds: 600 },
  mailRequest: { limit: 60, windowSeconds: 600 },
  mailToken: { limit: 60, windowSeconds: 600 },
  passkey: { limit: 60, windowSeconds: 60 },
  social: { limit: 60, windowSeconds: 60 },
  mailAddress: { limit: 3, windowSeconds: 3600 },
  mailNetwork: { limit: 10, windowSeconds: 3600 },
  mailPurpose: { limit: 5, windowSeconds: 86_400 },
} as const;
export type RateLimitName = keyof typeof RATE_LIMITS;

/** Limits that a network has as well (/24, IPv6 /48): one customer line has 256 or more of the /64 that count as one address. */
export const NETWORK_LIMITED: ReadonlySet<string> = new Set(['signUp', 'mailRequest', 'mailToken']);
export const NETWORK_FACTOR = 5; // a network is many people, and rarely more than five busy ones at once
