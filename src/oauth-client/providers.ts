import {
  defineProvider,
  OPENID,
  object,
  type ProviderOptions,
  type ProviderRow,
  type SocialProvider,
  standardClaims,
  statusOf,
  text,
} from './provider.js';

export { type AppleOptions, apple } from './apple.js';
export { type GoogleOptions, google } from './google.js';
export { type MicrosoftOptions, microsoft } from './microsoft.js';

/*
 * The table of providers. Endpoints are those that the provider documents. Everything else in a row is a peculiarity of the provider, and a
 * comment names it.
 */

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

/** Sign in with GitHub: only the primary, verified address is believed. */
export const github = (options: ProviderOptions): SocialProvider => defineProvider(GITHUB, options);
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
