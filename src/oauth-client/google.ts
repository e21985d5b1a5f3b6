import { AuthTunaError } from '../errors.js';
import {
  type Claims,
  defineProvider,
  OPENID,
  type ProfileSource,
  type ProviderOptions,
  type ProviderRow,
  type SocialProvider,
  standardClaims,
  text,
} from './provider.js';

const GOOGLE: ProviderRow = {
  id: 'google',
  name: 'Google',
  endpoints: {
    authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
    token: 'https://oauth2.googleapis.com/token',
    revocation: 'https://oauth2.googleapis.com/revoke',
    issuer: 'https://accounts.google.com',
    jwks: 'https://www.googleapis.com/oauth2/v3/certs',
  },
  scopes: OPENID,
  offline: { parameters: { access_type: 'offline', prompt: 'consent' } },
  profile: ({ claims }) => standardClaims(claims),
};

export interface GoogleOptions extends ProviderOptions {
  /** Which question Google asks: `select_account` offers all accounts of the browser, `consent` asks for the consent again. */
  prompt?: string;
  /** Lets in accounts of this Google Workspace domain only (`acme.com`), or of any Workspace domain (`*`). */
  hd?: string;
}

/** `hd` in the request only narrows Google's list of accounts, and everybody can change it there; the claim of the ID token decides. */
function requireHostedDomain(expected: string, claims: Claims): void {
  const domain = text(claims.hd);
  if (domain !== null && (expected === '*' || domain.toLowerCase() === expected.toLowerCase())) return;
  throw new AuthTunaError('forbidden', {
    message:
      expected === '*'
        ? 'Sign in with the Google account of your organization.'
        : `Sign in with a Google account of ${expected}.`,
    reason: 'foreign_domain',
  });
}

/** Sign in with Google. `hd` is also checked in the ID token. */
export const google = ({ prompt, hd, ...options }: GoogleOptions): SocialProvider => {
  const parameters = {
    ...options.parameters,
    ...(prompt !== undefined && { prompt }),
    ...(hd !== undefined && { hd }),
  };
  const provider = defineProvider(GOOGLE, { ...options, parameters });
  const expected = parameters.hd;
  if (expected === undefined) return provider;
  return Object.freeze({
    ...provider,
    profile(source: ProfileSource) {
      requireHostedDomain(expected, source.claims);
      return provider.profile(source);
    },
  });
};
