import { inspect } from 'node:util';
import {
  decodeProtectedHeader,
  exportJWK,
  exportPKCS8,
  exportSPKI,
  generateKeyPair,
  jwtVerify,
  SignJWT,
} from 'jose';
import { afterEach, expect, test, vi } from 'vitest';
import {
  type AuthTunaOptions,
  apple,
  defineProvider,
  discord,
  type Endpoints,
  facebook,
  type GoogleOptions,
  github,
  gitlab,
  google,
  linkedin,
  microsoft,
  oidc,
  type SocialProvider,
  SYSTEM,
  slack,
  spotify,
  twitch,
  x,
} from '../../src/index.js';
import { authorizationUrl } from '../../src/oauth-client/authorization-url.js';
import { TestClock } from '../../src/testing/index.js';
import { startApp } from '../support/app.js';
import { PageVisitor } from '../support/page-visitor.js';

/** What a provider documents: how it is asked, and what it answers. */
interface Recording {
  authorize: string;
  scope: string;
  parameters?: Record<string, string>;
  token: string;
  authentication: 'post' | 'basic';
  tokenAnswer: Record<string, unknown>;
  /** Claims of the ID token, for those that sign one. */
  claims?: Record<string, unknown>;
  jwks?: string;
  /** What its API answers, by address: JSON or a `Refusal`. */
  api?: Record<string, unknown>;
  revocation?: string;
  expected: { subject: string; email: string | null; emailVerified: boolean; name: string | null };
}

/** An address of an API that answers with another status than 200. */
class Refusal {
  readonly response: () => Response;
  constructor(status: number, message: string) {
    this.response = () => Response.json({ message }, { status });
  }
}

const ID = { clientId: 'client', clientSecret: 'secret' };
const TENANT = '9122040d-6c67-4c5b-b112-36a304b66dad';

const RECORDINGS: Record<string, [(keep: boolean) => SocialProvider, Recording]> = {
  google: [
    (keepTokens) => google({ ...ID, keepTokens }),
    {
      authorize: 'https://accounts.google.com/o/oauth2/v2/auth',
      scope: 'openid email profile',
      token: 'https://oauth2.googleapis.com/token',
      authentication: 'post',
      tokenAnswer: { access_token: 'at', expires_in: 3599, scope: 'openid email', token_type: 'Bearer' },
      claims: {
        iss: 'https://accounts.google.com',
        sub: '110169484474386276334',
        email: 'ada@example.com',
        email_verified: true,
        name: 'Ada',
      },
      jwks: 'https://www.googleapis.com/oauth2/v3/certs',
      revocation: 'https://oauth2.googleapis.com/revoke',
      expected: {
        subject: '110169484474386276334',
        email: 'ada@example.com',
        emailVerified: true,
        name: 'Ada',
      },
    },
  ],
  github: [
    (keepTokens) => github({ ...ID, keepTokens }),
    {
      authorize: 'https://github.com/login/oauth/authorize',
      scope: 'read:user user:email',
      token: 'https://github.com/login/oauth/access_token',
      authentication: 'post',
      tokenAnswer: { access_token: 'gho_x', scope: 'read:user,user:email', token_type: 'bearer' },
      api: {
        'https://api.github.com/user': {
          id: 583231,
          login: 'octocat',
          name: null,
          email: 'public@example.com',
        },
        'https://api.github.com/user/emails': [
          { email: 'other@example.com', verified: true, primary: false },
          { email: 'ada@example.com', verified: true, primary: true },
        ],
      },
      revocation: 'https://api.github.com/applications/client/grant',
      expected: { subject: '583231', email: 'ada@example.com', emailVerified: true, name: 'octocat' },
    },
  ],
  microsoft: [
    (keepTokens) => microsoft({ ...ID, keepTokens }),
    {
      authorize: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
      scope: 'openid email profile',
      token: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
      authentication: 'post',
      tokenAnswer: { access_token: 'at', expires_in: 3599, token_type: 'Bearer' },
      claims: {
        iss: `https://login.microsoftonline.com/${TENANT}/v2.0`,
        tid: TENANT,
        oid: '00000000-0000-0000-66f3-3332eca7ea81',
        sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
        email: 'ada@example.com',
        name: 'Ada',
      },
      jwks: 'https://login.microsoftonline.com/common/discovery/v2.0/keys',
      expected: {
        subject: `${TENANT}/00000000-0000-0000-66f3-3332eca7ea81`,
        email: 'ada@example.com',
        emailVerified: false,
        name: 'Ada',
      },
    },
  ],
  facebook: [
    (keepTokens) => facebook({ ...ID, keepTokens }),
    {
      authorize: 'https://www.facebook.com/v23.0/dialog/oauth',
      scope: 'email public_profile',
      token: 'https://graph.facebook.com/v23.0/oauth/access_token',
      authentication: 'post',
      tokenAnswer: { access_token: 'EAA', token_type: 'bearer', expires_in: 5183944 },
      api: {
        'https://graph.facebook.com/v23.0/me?fields=id,name,email': {
          id: '10158',
          name: 'Ada',
          email: 'ada@example.com',
        },
      },
      revocation: 'https://graph.facebook.com/v23.0/me/permissions',
      expected: { subject: '10158', email: 'ada@example.com', emailVerified: false, name: 'Ada' },
    },
  ],
  gitlab: [
    (keepTokens) => gitlab({ ...ID, keepTokens }),
    {
      authorize: 'https://gitlab.com/oauth/authorize',
      scope: 'openid email profile',
      token: 'https://gitlab.com/oauth/token',
      authentication: 'post',
      tokenAnswer: { access_token: 'at', token_type: 'Bearer', expires_in: 7200, refresh_token: 'rt' },
      claims: {
        iss: 'https://gitlab.com',
        sub: '7',
        email: 'ada@example.com',
        email_verified: true,
        name: 'Ada',
      },
      jwks: 'https://gitlab.com/oauth/discovery/keys',
      revocation: 'https://gitlab.com/oauth/revoke',
      expected: { subject: '7', email: 'ada@example.com', emailVerified: true, name: 'Ada' },
    },
  ],
  discord: [
    (keepTokens) => discord({ ...ID, keepTokens }),
    {
      authorize: 'https://discord.com/oauth2/authorize',
      scope: 'identify email',
      token: 'https://discord.com/api/oauth2/token',
      authentication: 'post',
      tokenAnswer: { access_token: 'at', token_type: 'Bearer', expires_in: 604800, scope: 'identify email' },
      api: {
        'https://discord.com/api/users/@me': {
          id: '80351110224678912',
          username: 'ada',
          global_name: 'Ada',
          email: 'ada@example.com',
          verified: true,
        },
      },
      revocation: 'https://discord.com/api/oauth2/token/revoke',
      expected: { subject: '80351110224678912', email: 'ada@example.com', emailVerified: true, name: 'Ada' },
    },
  ],
  linkedin: [
    (keepTokens) => linkedin({ ...ID, keepTokens }),
    {
      authorize: 'https://www.linkedin.com/oauth/v2/authorization',
      scope: 'openid email profile',
      token: 'https://www.linkedin.com/oauth/v2/accessToken',
      authentication: 'post',
      tokenAnswer: {
        access_token: 'at',
        expires_in: 5184000,
        scope: 'email,openid,profile',
        id_token: 'not.read.here',
      },
      api: {
        'https://api.linkedin.com/v2/userinfo': {
          sub: '782bbtaQ',
          name: 'Ada',
          email: 'ada@example.com',
          email_verified: true,
        },
      },
      revocation: 'https://www.linkedin.com/oauth/v2/revoke',
      expected: { subject: '782bbtaQ', email: 'ada@example.com', emailVerified: true, name: 'Ada' },
    },
  ],
  slack: [
    (keepTokens) => slack({ ...ID, keepTokens }),
    {
      authorize: 'https://slack.com/openid/connect/authorize',
      scope: 'openid email profile',
      token: 'https://slack.com/api/openid.connect.token',
      authentication: 'post',
      tokenAnswer: { ok: true, access_token: 'xoxp-1234', token_type: 'Bearer' },
      claims: {
        iss: 'https://slack.com',
        sub: 'U0R7MFMJM',
        email: 'ada@example.com',
        email_verified: true,
        name: 'Ada',
      },
      jwks: 'https://slack.com/openid/connect/keys',
      expected: { subject: 'U0R7MFMJM', email: 'ada@example.com', emailVerified: true, name: 'Ada' },
    },
  ],
  twitch: [
    (keepTokens) => twitch({ ...ID, keepTokens }),
    {
      authorize: 'https://id.twitch.tv/oauth2/authorize',
      scope: 'openid user:read:email',
      parameters: { claims: '{"id_token":{"email":null,"email_verified":null,"preferred_username":null}}' },
      token: 'https://id.twitch.tv/oauth2/token',
      authentication: 'post',
      tokenAnswer: {
        access_token: 'at',
        expires_in: 14310,
        refresh_token: 'rt',
        scope: ['openid', 'user:read:email'],
        token_type: 'bearer',
      },
      claims: {
        iss: 'https://id.twitch.tv/oauth2',
        sub: '713936733',
        email: 'ada@example.com',
        email_verified: true,
        preferred_username: 'Ada',
      },
      jwks: 'https://id.twitch.tv/oauth2/keys',
      revocation: 'https://id.twitch.tv/oauth2/revoke',
      expected: { subject: '713936733', email: 'ada@example.com', emailVerified: true, name: 'Ada' },
    },
  ],
  x: [
    (keepTokens) => x({ ...ID, keepTokens }),
    {
      authorize: 'https://x.com/i/oauth2/authorize',
      scope: 'users.read tweet.read users.email',
      token: 'https://api.x.com/2/oauth2/token',
      authentication: 'basic',
      tokenAnswer: {
        token_type: 'bearer',
        expires_in: 7200,
        access_token: 'at',
        scope: 'users.read tweet.read',
      },
      api: {
        'https://api.x.com/2/users/me?user.fields=confirmed_email': {
          data: { id: '2244994945', name: 'Ada', username: 'ada', confirmed_email: 'ada@example.com' },
        },
      },
      revocation: 'https://api.x.com/2/oauth2/revoke',
      expected: { subject: '2244994945', email: 'ada@example.com', emailVerified: true, name: 'Ada' },
    },
  ],
  spotify: [
    (keepTokens) => spotify({ ...ID, keepTokens }),
    {
      authorize: 'https://accounts.spotify.com/authorize',
      scope: 'user-read-email',
      token: 'https://accounts.spotify.com/api/token',
      authentication: 'basic',
      tokenAnswer: {
        access_token: 'at',
        token_type: 'Bearer',
        scope: 'user-read-email',
        expires_in: 3600,
        refresh_token: 'rt',
      },
      api: {
        'https://api.spotify.com/v1/me': { id: 'smedjan', display_name: 'Ada', email: 'ada@example.com' },
      },
      expected: { subject: 'smedjan', email: 'ada@example.com', emailVerified: false, name: 'Ada' },
    },
  ],
};

afterEach(() => vi.unstubAllGlobals());

interface Sent {
  url: string;
  method: string;
  headers: Headers;
  body: URLSearchParams;
  redirect: string | undefined;
}

/** Stands in for the internet: answers the recorded addresses, passes requests to the app itself, and refuses everything else. */
async function startWith(
  id: string,
  provider: SocialProvider,
  recording: Recording,
  options: Partial<AuthTunaOptions> = {},
) {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'RS256', use: 'sig' };
  const clock = new TestClock(new Date());
  const sent: Sent[] = [];
  const state = { nonce: '', recording };
  const real = globalThis.fetch;
  vi.stubGlobal('fetch', async (input: string | URL, init: RequestInit = {}) => {
    const url = String(input);
    if (url.startsWith('http://localhost:')) return real(input, init);
    sent.push({
      url,
      method: init.method ?? 'GET',
      headers: new Headers(init.headers),
      body: new URLSearchParams(String(init.body ?? '')),
      redirect: init.redirect,
    });
    const { token, jwks, api, claims, tokenAnswer, revocation } = state.recording;
    if (url === jwks) return Response.json({ keys: [jwk] });
    if (url === revocation) return new Response(null, { status: 200 });
    if (api !== undefined && url in api) {
      const answer = api[url];
      return answer instanceof Refusal ? answer.response() : Response.json(answer);
    }
    if (url !== token) throw new TypeError(`nobody lives at ${url}`);
    const seconds = Math.floor(clock.now().getTime() / 1000);
    const idToken =
      claims === undefined
        ? {}
        : {
            id_token: await new SignJWT({
              aud: 'client',
              iat: seconds,
              exp: seconds + 300,
              nonce: state.nonce,
              ...claims,
            })
              .setProtectedHeader({ alg: 'RS256', kid: 'k' })
              .sign(privateKey),
          };
    return Response.json({ ...tokenAnswer, ...idToken });
  });
  const app = await startApp({ ...options, social: { providers: [provider], ...options.social } }, { clock });
  const begin = async () => {
    const browser = app.browser();
    const start = await browser.get(`/auth/social/${id}/login`);
    const url = new URL(start.headers.get('location') ?? '');
    state.nonce = url.searchParams.get('nonce') ?? '';
    const callback = `/auth/social/${id}/callback?code=abc&state=${url.searchParams.get('state')}`;
    return { browser, url, callback };
  };
  return { ...app, sent, state, begin };
}

for (const [id, [make, recording]] of Object.entries(RECORDINGS)) {
  test(`${id}: the request, the exchange and the profile are as documented`, async () => {
    const { begin, sent, url: origin, authTuna } = await startWith(id, make(true), recording);
    const { browser, url, callback } = await begin();
    expect(url.origin + url.pathname).toBe(recording.authorize);
    const query = url.searchParams;
    expect(query.get('response_type')).toBe('code');
    expect(query.get('client_id')).toBe('client');
    expect(query.get('redirect_uri')).toBe(`${origin}/auth/social/${id}/callback`);
    expect(query.get('code_challenge_method')).toBe('S256');
    expect(query.get('scope')?.startsWith(recording.scope)).toBe(true);
    for (const [name, value] of Object.entries(recording.parameters ?? {}))
      expect(query.get(name)).toBe(value);
    expect(query.has('nonce')).toBe(recording.claims !== undefined);

    expect((await browser.get(callback)).status).toBe(303);
    const exchange = sent.find(({ url: asked }) => asked === recording.token);
    expect(exchange).toMatchObject({ method: 'POST', redirect: 'error' });
    expect(exchange?.body.get('grant_type')).toBe('authorization_code');
    expect(exchange?.body.get('code')).toBe('abc');
    expect(exchange?.body.get('code_verifier')).toMatch(/^[\w-]{43}$/);
    expect(exchange?.body.get('redirect_uri')).toBe(`${origin}/auth/social/${id}/callback`);
    const isBasic = recording.authentication === 'basic';
    expect(exchange?.headers.get('authorization')).toBe(isBasic ? `Basic ${btoa('client:secret')}` : null);
    expect(exchange?.body.get('client_secret')).toBe(isBasic ? null : 'secret');
    expect(exchange?.headers.get('accept')).toBe('application/json');

    const { email, emailVerified, name } = recording.expected;
    const user = await authTuna.users.findByEmail(email ?? '');
    expect(user?.emailVerifiedAt !== null).toBe(emailVerified);
    expect(await authTuna.social.list(user!.id)).toMatchObject([{ provider: id, email, name }]);

    await authTuna.passwords.set(user!.id, 'correct horse battery staple', SYSTEM);
    const again = await begin();
    await again.browser.get(again.callback);
    expect((await again.browser.delete(`/auth/social/${id}`)).status).toBe(204);
    expect(sent.some(({ url: asked }) => asked === recording.revocation)).toBe(
      recording.revocation !== undefined,
    );
  });
}

test("a provider of the host's own is a row of the table", async () => {
  const strava = defineProvider(
    {
      id: 'strava',
      name: 'Strava',
      endpoints: {
        authorization: 'https://www.strava.com/oauth/authorize',
        token: 'https://www.strava.com/oauth/token',
      },
      scopes: ['read'],
      async profile({ get }) {
        const athlete = (await get('https://www.strava.com/api/v3/athlete')) as {
          id: number;
          username: string;
        };
        return { subject: String(athlete.id), email: null, emailVerified: false, name: athlete.username };
      },
    },
    ID,
  );
  const { begin, signedIn, authTuna, sent } = await startWith('strava', strava, {
    authorize: 'https://www.strava.com/oauth/authorize',
    scope: 'read',
    token: 'https://www.strava.com/oauth/token',
    authentication: 'post',
    tokenAnswer: { access_token: 'at', token_type: 'Bearer' },
    api: { 'https://www.strava.com/api/v3/athlete': { id: 7, username: 'ada' } },
    expected: { subject: '7', email: null, emailVerified: false, name: 'ada' },
  });
  const stranger = await begin();
  expect((await stranger.browser.get(stranger.callback)).status).toBe(422);
  const { user, browser } = await signedIn();
  const { url } = (await (await browser.post('/auth/social/strava/link', {})).json()) as { url: string };
  const state = new URL(url).searchParams.get('state');
  await browser.get(`/auth/social/strava/callback?code=abc&state=${state}`);
  const shown = { provider: 'strava', providerName: 'Strava', name: 'ada' };
  expect(await authTuna.social.list(user.id)).toMatchObject([shown]);
  const again = await begin();
  expect((await again.browser.get(again.callback)).status).toBe(303);
  expect(await (await again.browser.get('/me')).json()).toMatchObject({ id: user.id });
  const asked = sent.find(({ url: address }) => address.endsWith('/athlete'));
  expect(asked?.headers.get('authorization')).toBe('Bearer at');
});

test('github: an address that is not primary and verified is no address', async () => {
  const [make, recording] = RECORDINGS.github!;
  const api = {
    ...recording.api,
    'https://api.github.com/user/emails': [
      { email: 'ada@example.com', verified: false, primary: true },
      { email: 'other@example.com', verified: true, primary: false },
    ],
  };
  const { begin, authTuna } = await startWith('github', make(false), { ...recording, api });
  const { browser, callback } = await begin();
  expect((await browser.get(callback)).status).toBe(422);
  expect((await authTuna.users.list()).items).toEqual([]);
});

// https://github.com/thunder-id/thunderid/issues/2490
test('github: an app that may not read addresses lets known people in, and tells newcomers and the log which permission is missing', async () => {
  const [make, recording] = RECORDINGS.github!;
  for (const [status, words] of [
    [403, 'Resource not accessible by integration'],
    [404, 'Not Found'],
  ] as const) {
    const { begin, state, authTuna, logger } = await startWith('github', make(false), recording);
    const known = await begin();
    expect((await known.browser.get(known.callback)).status).toBe(303);
    state.recording = {
      ...recording,
      api: { ...recording.api, 'https://api.github.com/user/emails': new Refusal(status, words) },
    };
    const again = await begin();
    expect((await again.browser.get(again.callback)).status).toBe(303);
    expect(await (await again.browser.get('/me')).json()).toMatchObject({ email: 'ada@example.com' });

    state.recording = {
      ...state.recording,
      api: { ...state.recording.api, 'https://api.github.com/user': { id: 7, login: 'newcomer' } },
    };
    const stranger = await begin();
    const answer = await stranger.browser.get(stranger.callback);
    expect(answer.status).toBe(422);
    expect(await answer.text()).toMatch(/Email addresses: read-only.*Sign up with your address/);
    const visitor = await begin();
    const page = await new PageVisitor(visitor.browser).open(visitor.callback);
    expect(page.html).toContain('lacks the permission to read it');
    expect((await authTuna.users.list()).items).toHaveLength(1);
    expect(logger.lines.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^github does not show the email address.*Email addresses: read-only/),
    );
    vi.unstubAllGlobals();
  }
});

test('github: an address API that is out of order is no missing permission', async () => {
  const [make, recording] = RECORDINGS.github!;
  const api = { ...recording.api, 'https://api.github.com/user/emails': new Refusal(502, 'Unicorn') };
  const { begin, logger } = await startWith('github', make(false), { ...recording, api });
  const { browser, callback } = await begin();
  expect((await browser.get(callback)).status).toBe(503);
  expect(logger.lines.find(({ message }) => message.startsWith('github '))).toMatchObject({
    message: expect.stringContaining('did not answer with the profile of a person'),
    facts: { status: 502 },
  });
});

test('google: accounts of the hosted domain enter and no others, whatever the request says', async () => {
  const [, recording] = RECORDINGS.google!;
  for (const [provider, hd, right] of [
    [google({ ...ID, hd: 'acme.example' }), 'acme.example', ['acme.example', 'ACME.example']],
    [google({ ...ID, parameters: { hd: 'Acme.example' } }), 'Acme.example', ['acme.example']],
    [google({ ...ID, hd: '*' }), '*', ['acme.example', 'any.example']],
  ] as const) {
    const { begin, state, authTuna } = await startWith('google', provider, recording);
    const statusFor = async (claimed: unknown) => {
      state.recording = { ...recording, claims: { ...recording.claims, hd: claimed } };
      const { browser, url, callback } = await begin();
      expect(url.searchParams.get('hd')).toBe(hd);
      return (await browser.get(callback)).status;
    };
    const wrong = [undefined, null, true, '', '*', ['acme.example'], ...(hd === '*' ? [] : ['evil.example'])];
    for (const claimed of wrong.filter((domain) => domain !== hd))
      expect(await statusFor(claimed), `${hd} ${claimed}`).toBe(403);
    expect((await authTuna.users.list()).items).toEqual([]);
    for (const claimed of right) expect(await statusFor(claimed), `${hd} ${claimed}`).toBe(303);
    vi.unstubAllGlobals();
  }
});

test('parameters of the host are sent to every provider', async () => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const parameters = { prompt: 'select_account', ui_locales: 'de' };
  const factories = [
    google,
    github,
    microsoft,
    facebook,
    gitlab,
    discord,
    linkedin,
    slack,
    twitch,
    x,
    spotify,
  ];
  const key = { teamId: 'TEAM', keyId: 'KEY', privateKey: await exportPKCS8(privateKey) };
  const providers = [
    ...factories.map((factory) => factory({ ...ID, parameters })),
    apple({ clientId: 'client', ...key, parameters }),
  ];
  const { browser } = await startApp({ social: { providers } });
  for (const { id } of providers) {
    const start = await browser().get(`/auth/social/${id}/login`);
    const { searchParams } = new URL(start.headers.get('location') ?? '');
    expect(searchParams.get('prompt'), id).toBe('select_account');
    expect(searchParams.get('ui_locales'), id).toBe('de');
    expect(searchParams.get('state'), id).toMatch(/./);
  }
});

test('`prompt` is joined with the question that keeping tokens needs', async () => {
  const request = { redirectUri: 'https://app.example/cb', state: 's', codeVerifier: 'v', nonce: 'n' };
  const promptOf = async (options: Partial<GoogleOptions>) => {
    const provider = google({ ...ID, ...options });
    const url = await authorizationUrl(provider, provider.endpoints as Endpoints, request);
    return new URL(url).searchParams.get('prompt');
  };
  expect(await promptOf({})).toBeNull();
  expect(await promptOf({ keepTokens: true })).toBe('consent');
  expect(await promptOf({ prompt: 'select_account' })).toBe('select_account');
  expect(await promptOf({ prompt: 'select_account', keepTokens: true })).toBe('select_account consent');
  expect(await promptOf({ prompt: 'consent', keepTokens: true })).toBe('consent');
  expect(await promptOf({ prompt: 'none', keepTokens: true })).toBe('none');
});

test('a parameter that protects the sign-in, or that an option sets, is refused at start', () => {
  for (const name of [
    'client_id',
    'scope',
    'redirect_uri',
    'response_type',
    'response_mode',
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
    'max_age',
  ]) {
    const parameters = { [name]: 'x' };
    const refused = new RegExp(`leave ${name} out of parameters; .`);
    expect(() => github({ ...ID, parameters }), name).toThrow(refused);
    expect(() => oidc({ issuer: 'https://idp.example', clientId: 'app', parameters }), name).toThrow(refused);
  }
});

test('apple: a private key from an environment variable works, and a wrong one is refused at start without being shown', async () => {
  const options = { clientId: 'client', teamId: 'TEAM', keyId: 'KEY' };
  const right = await generateKeyPair('ES256', { extractable: true });
  const pem = await exportPKCS8(right.privateKey);
  for (const privateKey of [
    pem,
    pem.replaceAll('\n', '\\n'),
    pem.replaceAll('\n', '\r\n'),
    pem.replaceAll('\n', '\\r\\n'),
    `\n  ${pem}\n\n`,
    `"${pem.replaceAll('\n', '\\n')}"`,
  ]) {
    const now = new Date();
    const secret = (await apple({ ...options, privateKey }).clientSecret(now)) ?? '';
    expect((await jwtVerify(secret, right.publicKey, { currentDate: now })).payload.iss).toBe('TEAM');
  }
  const rsa = await generateKeyPair('RS256', { extractable: true });
  const other = await generateKeyPair('ES384', { extractable: true });
  for (const [privateKey, problem] of [
    [await exportPKCS8(rsa.privateKey), 'P-256'],
    [await exportPKCS8(other.privateKey), 'P-256'],
    [await exportSPKI(right.publicKey), 'not a private key'],
    [pem.slice(0, 120), 'not a private key'],
    ['AuthKey_ABC.p8', 'not a private key'],
    ['', 'missing'],
    [undefined as unknown as string, 'missing'],
  ] as const) {
    const refused = (() => {
      try {
        return apple({ ...options, privateKey });
      } catch (error) {
        return error;
      }
    })();
    expect(refused).toMatchObject({ code: 'misconfigured', message: expect.stringContaining(problem) });
    expect(inspect(refused, { depth: 10 })).not.toContain(privateKey?.slice(30, 60) || 'none');
  }
});

test('a refusal with status 200, or with an error that is an object, is a refusal', async () => {
  const answers: [string, Record<string, unknown>][] = [
    [
      'github',
      { error: 'bad_verification_code', error_description: 'The code passed is incorrect or expired.' },
    ],
    ['slack', { ok: false, error: 'invalid_code' }],
    [
      'facebook',
      { error: { message: 'This authorization code has expired.', type: 'OAuthException', code: 100 } },
    ],
  ];
  for (const [id, tokenAnswer] of answers) {
    const [make, recording] = RECORDINGS[id]!;
    const { begin } = await startWith(id, make(false), { ...recording, tokenAnswer, claims: undefined });
    const { browser, callback } = await begin();
    const answer = await browser.get(callback);
    expect(answer.status, id).toBe(400);
    expect(await answer.text(), id).not.toContain('expired');
    vi.unstubAllGlobals();
  }
});

test('microsoft: a token of a tenant is believed in the name of that tenant only, and an address only with xms_edov', async () => {
  const [make, recording] = RECORDINGS.microsoft!;
  const { begin, state, authTuna } = await startWith('microsoft', make(false), recording);
  const claims = recording.claims!;
  for (const wrong of [
    { iss: 'https://login.microsoftonline.com/common/v2.0' },
    { tid: '11111111-6c67-4c5b-b112-36a304b66dad' },
    { tid: '../evil', iss: 'https://login.microsoftonline.com/../evil/v2.0' },
  ]) {
    state.recording = { ...recording, claims: { ...claims, ...wrong } };
    const { browser, callback } = await begin();
    expect((await browser.get(callback)).status).toBe(400);
  }
  state.recording = { ...recording, claims: { ...claims, xms_edov: true } };
  const { browser, callback } = await begin();
  expect((await browser.get(callback)).status).toBe(303);
  expect((await authTuna.users.findByEmail('ada@example.com'))?.emailVerifiedAt).not.toBeNull();
});

test('microsoft: an address that a tenant made up enters nobody, also where verified addresses may meet (nOAuth)', async () => {
  const [make, recording] = RECORDINGS.microsoft!;
  const { begin, authTuna } = await startWith('microsoft', make(false), recording, {
    social: { providers: [make(false)], linkVerifiedEmails: true },
  });
  const victim = await authTuna.users.create({ email: 'ada@example.com', emailVerified: true });
  const { browser, callback } = await begin();
  expect((await browser.get(callback)).status).toBe(409);
  expect((await browser.get('/me')).status).toBe(401);
  expect(await authTuna.social.list(victim.id)).toEqual([]);
});

test('microsoft: with a tenant of its own, another tenant is refused', async () => {
  const [, recording] = RECORDINGS.microsoft!;
  for (const [tenant, status] of [
    [TENANT, 303],
    ['11111111-6c67-4c5b-b112-36a304b66dad', 400],
  ] as const) {
    const at = (address: string) => address.replace('/common/', `/${tenant}/`);
    const own = { ...recording, token: at(recording.token), jwks: at(recording.jwks ?? '') };
    const { begin } = await startWith('microsoft', microsoft({ ...ID, tenant }), own);
    const { browser, callback } = await begin();
    expect((await browser.get(callback)).status, tenant).toBe(status);
    vi.unstubAllGlobals();
  }
});

test('x and facebook: a person without an address makes no account, and links to one', async () => {
  const people: [string, string, unknown][] = [
    [
      'x',
      'https://api.x.com/2/users/me?user.fields=confirmed_email',
      { data: { id: '1', name: 'Ada', username: 'ada' } },
    ],
    ['facebook', 'https://graph.facebook.com/v23.0/me?fields=id,name,email', { id: '1', name: 'Ada' }],
  ];
  for (const [id, address, person] of people) {
    const [make, recording] = RECORDINGS[id]!;
    const { begin, authTuna, signedIn } = await startWith(id, make(false), {
      ...recording,
      api: { [address]: person },
    });
    const { browser, callback } = await begin();
    const answer = await browser.get(callback);
    expect(answer.status, id).toBe(422);
    expect(await answer.text(), id).toContain('shared no email address');
    expect((await authTuna.users.list()).items, id).toEqual([]);
    const { user, browser: owner } = await signedIn();
    const { url } = (await (await owner.post(`/auth/social/${id}/link`, {})).json()) as { url: string };
    const state = new URL(url).searchParams.get('state');
    expect((await owner.get(`/auth/social/${id}/callback?code=abc&state=${state}`)).status, id).toBe(303);
    expect(await authTuna.social.list(user.id), id).toMatchObject([
      { provider: id, email: null, name: 'Ada' },
    ]);
    vi.unstubAllGlobals();
  }
});

test('discord: an address that was not verified there is not verified here', async () => {
  const [make, recording] = RECORDINGS.discord!;
  const api = {
    'https://discord.com/api/users/@me': {
      id: '1',
      username: 'ada',
      email: 'ada@example.com',
      verified: false,
    },
  };
  const { begin, authTuna } = await startWith('discord', make(false), { ...recording, api });
  const { browser, callback } = await begin();
  expect((await browser.get(callback)).status).toBe(303);
  expect((await authTuna.users.findByEmail('ada@example.com'))?.emailVerifiedAt).toBeNull();
});

test('apple: a signed client secret, an answer by cross-site form, a name that is told once, "true" as text', async () => {
  const key = await generateKeyPair('ES256', { extractable: true });
  const provider = apple({
    clientId: 'client',
    teamId: 'TEAM',
    keyId: 'KEY',
    privateKey: await exportPKCS8(key.privateKey),
    keepTokens: true,
  });
  const recording: Recording = {
    authorize: 'https://appleid.apple.com/auth/authorize',
    scope: 'openid email name',
    token: 'https://appleid.apple.com/auth/token',
    authentication: 'post',
    tokenAnswer: { access_token: 'at', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt' },
    claims: {
      iss: 'https://appleid.apple.com',
      sub: '001.abc',
      email: 'ada@privaterelay.appleid.com',
      email_verified: 'true',
    },
    jwks: 'https://appleid.apple.com/auth/keys',
    revocation: 'https://appleid.apple.com/auth/revoke',
    expected: {
      subject: '001.abc',
      email: 'ada@privaterelay.appleid.com',
      emailVerified: true,
      name: 'Ada L',
    },
  };
  const { begin, sent, authTuna, clock, browser: newBrowser } = await startWith('apple', provider, recording);
  const { browser, url } = await begin();
  expect(url.searchParams.get('response_mode')).toBe('form_post');

  // The post of another site carries none of our cookies.
  const posted = await newBrowser().post('/auth/social/apple/callback', undefined, {
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin: 'https://appleid.apple.com',
      'sec-fetch-site': 'cross-site',
    },
    rawBody: new URLSearchParams({
      code: 'abc',
      state: url.searchParams.get('state') ?? '',
      user: JSON.stringify({ name: { firstName: 'Ada', lastName: 'L' }, email: 'evil@example.com' }),
    }).toString(),
  });
  expect(posted.status).toBe(303);
  expect(posted.headers.getSetCookie()).toEqual([]);
  expect(sent.filter(({ method }) => method === 'POST')).toEqual([]);
  expect((await browser.get(posted.headers.get('location') ?? '')).status).toBe(303);

  const secret = sent.find(({ url: asked }) => asked === recording.token)?.body.get('client_secret') ?? '';
  expect(decodeProtectedHeader(secret)).toMatchObject({ alg: 'ES256', kid: 'KEY' });
  const { payload } = await jwtVerify(secret, key.publicKey, { currentDate: clock.now() });
  expect(payload).toMatchObject({ iss: 'TEAM', sub: 'client', aud: 'https://appleid.apple.com' });
  const user = await authTuna.users.findByEmail('ada@privaterelay.appleid.com');
  expect(user?.emailVerifiedAt).not.toBeNull();
  expect(await authTuna.social.list(user!.id)).toMatchObject([{ name: 'Ada L' }]);

  // The name is not sent again, and stays; unlinking ends the tokens with a secret of its own.
  const second = await begin();
  const later = await newBrowser().post('/auth/social/apple/callback', undefined, {
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'cross-site' },
    rawBody: new URLSearchParams({
      code: 'abc',
      state: second.url.searchParams.get('state') ?? '',
    }).toString(),
  });
  expect((await second.browser.get(later.headers.get('location') ?? '')).status).toBe(303);
  expect(await authTuna.social.list(user!.id)).toMatchObject([{ name: 'Ada L' }]);
  await authTuna.passwords.set(user!.id, 'correct horse battery staple', SYSTEM);
  const third = await begin();
  expect((await third.browser.get(third.callback)).status).toBe(303);
  expect((await third.browser.delete('/auth/social/apple')).status).toBe(204);
  const revocation = sent.find(({ url: asked }) => asked === recording.revocation);
  expect(revocation?.body.get('token')).toBe('rt');
  expect(decodeProtectedHeader(revocation?.body.get('client_secret') ?? '').alg).toBe('ES256');
});
