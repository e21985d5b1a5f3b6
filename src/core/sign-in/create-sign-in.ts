import type { User } from '../../auth.js';
import type { Core } from '../core.js';
import { MailedLinks } from '../tokens/mailed-links.js';
import { AddressOwnership, type CredentialStore } from '../users/address-ownership.js';
import { FailureAlarm } from './failure-alarm.js';
import { KnownBrowsers } from './known-browsers.js';
import { ProofLane } from './proof-lane.js';
import type { SecondFactors } from './second-factors.js';
import { SignIn, type SignInGate } from './sign-in.js';
import { SignInThrottle } from './sign-in-throttle.js';
import { SignUp } from './sign-up.js';

/** What sign-in asks of features. They are built first, over the core alone. */
export interface SignInOffers {
  secondFactors: SecondFactors;
  /** Every kind of credential beside password and session. */
  credentials: readonly CredentialStore[];
  gates: readonly SignInGate[];
}

/** The core with everything that lets people in; what features with a way in are built from. */
export interface SignInCore<U extends User = User> extends Core<U> {
  readonly links: MailedLinks;
  readonly secondFactors: SecondFactors;
  readonly ownership: AddressOwnership;
  readonly signIn: SignIn;
  readonly signUp: SignUp<U>;
  readonly knownBrowsers: KnownBrowsers;
  readonly proofLane: ProofLane;
  readonly signInThrottle: SignInThrottle;
}

/** Adds sign-in and sign-up to a core. */
export function createSignIn<U extends User>(core: Core<U>, offers: SignInOffers): SignInCore<U> {
  const { secondFactors, credentials, gates } = offers;
  const links = new MailedLinks(core);
  const knownBrowsers = new KnownBrowsers(core);
  new FailureAlarm(core);
  return {
    ...core,
    links,
    secondFactors,
    ownership: new AddressOwnership(core, credentials),
    signIn: new SignIn(core, { secondFactors, gates }),
    signUp: new SignUp(core, links),
    knownBrowsers,
    proofLane: new ProofLane(core.signInQueue, knownBrowsers),
    signInThrottle: new SignInThrottle(core, links, knownBrowsers),
  };
}
