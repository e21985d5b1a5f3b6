import { createPrivateKey, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { AuthTunaError, misconfigured } from '../errors.js';
import {
  type Claims,
  defineProvider,
  object,
  type ProfileSource,
  type ProviderOptions,
  type ProviderRow,
  type SocialProvider,
  standardClaims,
  statusOf,
  text,
} from './provider.js';

/*
 * The table of providers. Endpoints are those that the provider documents. Everything else in a row is a peculiarity of the provider, and a
 * comment names it.
 */

const OPENID = ['openid', 'email', 'profile'];

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

const GITHUB: ProviderRow = {
  id: 'github',
  name: 'GitHub',
  endpoints: {
    authorization: 'https://github.com/login/oauth/authorize',
    token: 'https://github.com/login/oauth/access_token',
    issuer: 'https://github.com/login/oauth',
  },
  scopes: ['read:user', 'user:email'],
  async profile({ get }) {
    const headers = { accept: 'application/vnd.github+json', 'user-agent': 'authtuna' };
    const user = object(await get('https://api.github.com/user', headers));
    // The `email` of the profile is the one that the person shows to the public; only the address API says which one is proved.
    const emails = await get('https://api.github.com/user/emails', headers).catch((error: unknown) => {
      // A GitHub App without the permission is answered 403, an OAuth app without the scope 404.
      if ([403, 404].includes(statusOf(error) ?? 0)) return null;
      throw error;
    });
    const primary = (Array.isArray(emails) ? emails : [])
      .map(object)
      .find((email) => email.primary === true && email.verified === true);
    const email = text(primary?.email);
    return {
      subject: text(user.id) ?? '',
      email,
      emailVerified: email !== null,
      name: text(user.name) ?? text(user.login),
      ...(emails === null && {
        missingPermission:
          '"Email addresses: read-only" of a GitHub App, or the scope user:email of an OAuth app',
      }),
    };
  },
  revoke: ({ accessToken, clientId, clientSecret }) => ({
    url: `https://api.github.com/applications/${encodeURIComponent(clientId)}/grant`,
    method: 'DELETE',
    headers: {
      authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
      'content-type': 'application/json',
      accept: 'application/vnd.github+json',
      'user-agent': 'authtuna',
    },
    body: JSON.stringify({ access_token: accessToken }),
  }),
};

const MICROSOFT_HOST = 'https://login.microsoftonline.com';
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export interface MicrosoftOptions extends ProviderOptions {
  /** A tenant's GUID, or `common` (default), `organizations`, `consumers`. */
  tenant?: string;
}

const microsoftRow = (tenant: string): ProviderRow => ({
  id: 'microsoft',
  name: 'Microsoft',
  endpoints: {
    authorization: `${MICROSOFT_HOST}/${tenant}/oauth2/v2.0/authorize`,
    token: `${MICROSOFT_HOST}/${tenant}/oauth2/v2.0/token`,
    jwks: `${MICROSOFT_HOST}/${tenant}/discovery/v2.0/keys`,
    // The endpoints for all tenants issue tokens in the name of the person's own tenant.
    issuer: ({ tid }) =>
      GUID.test(String(tid)) && (!GUID.test(tenant) || tid === tenant)
        ? `${MICROSOFT_HOST}/${tid}/v2.0`
        : 'no tenant',
  },
  scopes: OPENID,
  offline: { scopes: ['offline_access'] },
  profile({ claims }) {
    const email = text(claims.email);
    const tenantId = text(claims.tid);
    const objectId = text(claims.oid);
    return {
      // `oid` is permanent within a tenant only, so the tenant is part of the subject.
      subject: tenantId === null || objectId === null ? '' : `${tenantId}/${objectId}`,
      email,
      // The administrators of any tenant can write any address there ("nOAuth"); only this optional claim says that the domain is theirs.
      emailVerified: email !== null && claims.xms_edov === true,
      name: text(claims.name),
    };
  },
});

export interface AppleOptions extends Omit<ProviderOptions, 'clientSecret'> {
  teamId: string;
  keyId: string;
  /** The text of the key's `.p8` file. In an environment variable, `\n` may stand for a line break. */
  privateKey: string;
}

const APPLE_SECRET_SECONDS = 300; // Apple allows six months; each secret is made for one request

const APPLE: ProviderRow = {
  id: 'apple',
  name: 'Apple',
  endpoints: {
    authorization: 'https://appleid.apple.com/auth/authorize',
    token: 'https://appleid.apple.com/auth/token',
    revocation: 'https://appleid.apple.com/auth/revoke',
    issuer: 'https://appleid.apple.com',
    jwks: 'https://appleid.apple.com/auth/keys',
  },
  scopes: ['openid', 'email', 'name'],
  // Apple sends name and address by form_post only.
  parameters: { response_mode: 'form_post' },
  formPost: true,
  profile({ claims, user }) {
    const email = text(claims.email);
    return {
      subject: text(claims.sub) ?? '',
      email,
      // Documented as "a string or a Boolean".
      emailVerified: email !== null && (claims.email_verified === true || claims.email_verified === 'true'),
      name: appleName(user),
    };
  },
};

/** Reads Apple's private key. @throws AuthTunaError `misconfigured` for everything that is not one */
function appleKey(privateKey: unknown): KeyObject {
  const refuse = (problem: string) =>
    misconfigured(
      `apple({ privateKey }): ${problem}; give the text of the .p8 file that Apple let you download, from -----BEGIN PRIVATE KEY----- on`,
    );
  if (typeof privateKey !== 'string' || privateKey.trim() === '') throw refuse('is missing');
  // Files of environment variables often hold the key on one line, in quotes.
  const lines = privateKey.replaceAll('\\r', '').replaceAll('\\n', '\n');
  const [pem = ''] = /-----BEGIN .*-----END [A-Z ]*-----/s.exec(lines) ?? [];
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw refuse('is not a private key in PEM form'); // without the cause, which could quote the key
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw refuse('is not a key on the curve P-256, which ES256 needs');
  return key;
}

function appleName(user: string | null): string | null {
  try {
    const { firstName, lastName } = object(object(JSON.parse(user ?? '{}')).name);
    const parts = [text(firstName), text(lastName)].filter((part) => part !== null);
    return parts.length === 0 ? null : parts.join(' ');
  } catch {
    return null;
  }
}

const FACEBOOK_GRAPH = 'https://graph.facebook.com/v23.0';

const FACEBOOK: ProviderRow = {
  id: 'facebook',
  name: 'Facebook',
  endpoints: {
    authorization: 'https://www.facebook.com/v23.0/dialog/oauth',
    token: `${FACEBOOK_GRAPH}/oauth/access_token`,
  },
  scopes: ['email', 'public_profile'],
  async profile({ get }) {
    const me = object(await get(`${FACEBOOK_GRAPH}/me?fields=id,name,email`));
    // Facebook does not say whether the address was proved.
    return { subject: text(me.id) ?? '', email: text(me.email), emailVerified: false, name: text(me.name) };
  },
  revoke: ({ accessToken }) => ({
    url: `${FACEBOOK_GRAPH}/me/permissions`,
    method: 'DELETE',
    headers: { authorization: `Bearer ${accessToken}` },
  }),
};

const GITLAB: ProviderRow = {
  id: 'gitlab',
  name: 'GitLab',
  endpoints: {
    authorization: 'https://gitlab.com/oauth/authorize',
    token: 'https://gitlab.com/oauth/token',
    revocation: 'https://gitlab.com/oauth/revoke',
    issuer: 'https://gitlab.com',
    jwks: 'https://gitlab.com/oauth/discovery/keys',
  },
  scopes: OPENID,
  profile: ({ claims }) => standardClaims(claims),
};

const DISCORD: ProviderRow = {
  id: 'discord',
  name: 'Discord',
  endpoints: {
    authorization: 'https://discord.com/oauth2/authorize',
    token: 'https://discord.com/api/oauth2/token',
    revocation: 'https://discord.com/api/oauth2/token/revoke',
  },
  scopes: ['identify', 'email'],
  async profile({ get }) {
    const me = object(await get('https://discord.com/api/users/@me'));
    const email = text(me.email);
    return {
      subject: text(me.id) ?? '',
      email,
      emailVerified: email !== null && me.verified === true,
      name: text(me.global_name) ?? text(me.username),
    };
  },
};

const LINKEDIN: ProviderRow = {
  id: 'linkedin',
  name: 'LinkedIn',
  endpoints: {
    authorization: 'https://www.linkedin.com/oauth/v2/authorization',
    token: 'https://www.linkedin.com/oauth/v2/accessToken',
    revocation: 'https://www.linkedin.com/oauth/v2/revoke',
  },
  scopes: OPENID,
  // Its ID tokens carry no nonce, so they prove less than an answer of its API.
  async profile({ get }) {
    return standardClaims(object(await get('https://api.linkedin.com/v2/userinfo')));
  },
};

const SLACK: ProviderRow = {
  id: 'slack',
  name: 'Slack',
  endpoints: {
    authorization: 'https://slack.com/openid/connect/authorize',
    token: 'https://slack.com/api/openid.connect.token',
    issuer: 'https://slack.com',
    jwks: 'https://slack.com/openid/connect/keys',
  },
  scopes: OPENID,
  profile: ({ claims }) => standardClaims(claims),
};

const TWITCH: ProviderRow = {
  id: 'twitch',
  name: 'Twitch',
  endpoints: {
    authorization: 'https://id.twitch.tv/oauth2/authorize',
    token: 'https://id.twitch.tv/oauth2/token',
    revocation: 'https://id.twitch.tv/oauth2/revoke',
    issuer: 'https://id.twitch.tv/oauth2',
    jwks: 'https://id.twitch.tv/oauth2/keys',
  },
  scopes: ['openid', 'user:read:email'],
  // Claims beyond `sub` must be asked for one by one.
  parameters: {
    claims: JSON.stringify({ id_token: { email: null, email_verified: null, preferred_username: null } }),
  },
  profile: ({ claims }) => standardClaims(claims),
};

const X: ProviderRow = {
  id: 'x',
  name: 'X',
  endpoints: {
    authorization: 'https://x.com/i/oauth2/authorize',
    token: 'https://api.x.com/2/oauth2/token',
    revocation: 'https://api.x.com/2/oauth2/revoke',
  },
  scopes: ['users.read', 'tweet.read', 'users.email'],
  authentication: 'basic',
  offline: { scopes: ['offline.access'] },
  async profile({ get }) {
    const me = object(object(await get('https://api.x.com/2/users/me?user.fields=confirmed_email')).data);
    const email = text(me.confirmed_email);
    return {
      subject: text(me.id) ?? '',
      email,
      emailVerified: email !== null,
      name: text(me.name) ?? text(me.username),
    };
  },
};

const SPOTIFY: ProviderRow = {
  id: 'spotify',
  name: 'Spotify',
  endpoints: {
    authorization: 'https://accounts.spotify.com/authorize',
    token: 'https://accounts.spotify.com/api/token',
  },
  scopes: ['user-read-email'],
  authentication: 'basic',
  async profile({ get }) {
    const me = object(await get('https://api.spotify.com/v1/me'));
    // Documented as unverified: "there is no proof that it actually belongs to the user".
    return {
      subject: text(me.id) ?? '',
      email: text(me.email),
      emailVerified: false,
      name: text(me.display_name),
    };
  },
};

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
/** Sign in with GitHub: only the primary, verified address is believed. */
export const github = (options: ProviderOptions): SocialProvider => defineProvider(GITHUB, options);
/** Sign in with Microsoft, work and personal accounts. Addresses count as unverified unless the `xms_edov` claim is configured. */
export const microsoft = (options: MicrosoftOptions): SocialProvider =>
  defineProvider(microsoftRow(options.tenant ?? 'common'), options);
/** Sign in with Apple. The client secret is a token that is signed for each request. */
export const apple = (options: AppleOptions): SocialProvider => {
  const { teamId, keyId, clientId } = options;
  const key = appleKey(options.privateKey);
  return Object.freeze({
    ...defineProvider(APPLE, { ...options, clientSecret: '' }),
    async clientSecret(now: Date) {
      const issuedAt = Math.floor(now.getTime() / 1000);
      return new SignJWT()
        .setProtectedHeader({ alg: 'ES256', kid: keyId })
        .setIssuer(teamId)
        .setSubject(clientId)
        .setAudience('https://appleid.apple.com')
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + APPLE_SECRET_SECONDS)
        .sign(key);
    },
  });
};
/** Sign in with Facebook. Addresses count as unverified. */
export const facebook = (options: ProviderOptions): SocialProvider => defineProvider(FACEBOOK, options);
/** Sign in with GitLab.com; for a GitLab on your own server use `oidc()`. */
export const gitlab = (options: ProviderOptions): SocialProvider => defineProvider(GITLAB, options);
/** Sign in with Discord. */
export const discord = (options: ProviderOptions): SocialProvider => defineProvider(DISCORD, options);
/** Sign in with LinkedIn. */
export const linkedin = (options: ProviderOptions): SocialProvider => defineProvider(LINKEDIN, options);
/** Sign in with Slack. */
export const slack = (options: ProviderOptions): SocialProvider => defineProvider(SLACK, options);
/** Sign in with Twitch. */
export const twitch = (options: ProviderOptions): SocialProvider => defineProvider(TWITCH, options);
/** Sign in with X. */
export const x = (options: ProviderOptions): SocialProvider => defineProvider(X, options);
/** Sign in with Spotify. Addresses count as unverified. */
export const spotify = (options: ProviderOptions): SocialProvider => defineProvider(SPOTIFY, options);
