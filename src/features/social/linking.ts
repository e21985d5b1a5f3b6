/** What is known when somebody comes back from a provider. */
export interface Situation {
  /** Whether (provider, subject) is on record, and so whose it is. */
  identity: 'known' | 'unknown';
  /** What the provider says of the address: none given, given, or proved by the provider. */
  address: 'none' | 'claimed' | 'proven';
  /** For a known identity the account it belongs to, otherwise the account that has this very address. */
  account: 'none' | 'unproven' | 'proven' | 'deleted';
  /** For a known identity: the provider's address is the account's. */
  isSameAddress: boolean;
  /** The host lets equal, proven addresses meet. */
  mayLink: boolean;
  /** The provider is the one that people of the address's domain must use: it speaks for the whole domain, and there is no other way in. */
  isDemanded: boolean;
}

/**
 * - `enter`: the account of the identity
 * - `prove_and_enter`: the same, and the mailbox is proved for the first time, so everything else that was left there goes
 * - `create`: a new account with this identity
 * - `link_and_enter`: the identity joins the account that has the address; both sides have proved it
 * - `claim_and_enter`: the mailbox of the account is proved for the first time, by its organization, so everything that was left there goes
 * - `sign_in_then_link`: the address is taken; its owner signs in as before and links from the account
 * - `confirm_address`: the same answer as for a new account that has to confirm its address, so that nothing is learned about who has one
 * - `ask_address`: nothing to make an account of
 */
export type LinkingAction =
  | 'enter'
  | 'prove_and_enter'
  | 'create'
  | 'link_and_enter'
  | 'claim_and_enter'
  | 'sign_in_then_link'
  | 'confirm_address'
  | 'ask_address';

/**
 * What a social sign-in does. The identity is looked up first and alone; an address never chooses an account unless the provider has proved it,
 * the account has proved it, and the host agreed beforehand. An organization that has proved a whole domain, and demands its own provider
 * there, is believed like a link that was opened in the mailbox.
 *
 * @see docs/requirements.md OA-5, OA-6, OA-7; USENIX Security 2022, "Pre-hijacked accounts"
 */
export function decideSignIn(situation: Situation): LinkingAction {
  const { identity, address, account, isSameAddress, mayLink, isDemanded } = situation;
  if (identity === 'known')
    return account === 'unproven' && address === 'proven' && isSameAddress ? 'prove_and_enter' : 'enter';
  if (address === 'none') return 'ask_address';
  if (account === 'none') return 'create';
  if (address === 'claimed') return 'confirm_address';
  if (account === 'proven' && (mayLink || isDemanded)) return 'link_and_enter';
  // A stranger may have made an account with this address. Entering it as it is would share it with the stranger, who knows its password.
  return account === 'unproven' && isDemanded ? 'claim_and_enter' : 'sign_in_then_link';
}
