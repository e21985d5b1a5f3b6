import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { type Adapter, type AdapterPayload, Provider } from 'oidc-provider';
import { onTestFinished } from 'vitest';
import { Browser } from './browser.js';

/** Somebody at the provider. */
export interface Person {
  sub: string;
  email?: string;
  email_verified?: unknown;
  name?: string;
  groups?: string[];
}

export const CLIENT = { clientId: 'app', clientSecret: 'a client secret, with signs: +/%&' };

/**
 * A certified OpenID provider with its default settings behind a real server, at which one person is signed in and consents at once. By default
 * it puts `sub` into ID tokens and everything else into UserInfo.
 */
export interface TestOpenIdProvider {
  issuer: string;
  /** Who is signed in there. */
  person: Person;
  consents: boolean;
  /** Whether authorization codes are too old when they arrive. */
  expiresCodes: boolean;
  accessTokenSeconds: number;
  /** Whether UserInfo answers 500. */
  refusesUserInfo: boolean;
  /** Method and path of each request, the oldest first. */
  requests: string[];
  /** Registers the redirect URIs of apps. */
  allow(...redirectUris: string[]): Promise<void>;
  /** Signs with a new key from now on; the old one is gone. */
  rotateKeys(): Promise<void>;
  /** The people take back what they allowed. */
  forgetGrants(): Promise<void>;
  /** Follows a browser from an authorization URL through the provider; gives the address it is sent back to. */
  visit(url: string): Promise<string>;
}

export async function startOpenIdProvider(
  person: Person = { sub: 'ada-1', email: 'ada@example.com', email_verified: true, name: 'Ada' },
): Promise<TestOpenIdProvider> {
  let provider: Provider | null = null;
  let uris: string[] = ['http://localhost:1/callback'];
  let keys = [await signingKey()];
  const people = new Map<string, Person>();
  const server = createServer((req, res) => {
    idp.requests.push(`${req.method} ${(req.url ?? '').split('?', 1)[0]}`);
    route(req, res).catch((error: unknown) => res.writeHead(500).end(String(error)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const idp: TestOpenIdProvider = {
    issuer,
    person,
    consents: true,
    expiresCodes: false,
    accessTokenSeconds: 3600,
    refusesUserInfo: false,
    requests: [],
    async allow(...redirectUris) {
      uris = redirectUris;
      build();
    },
    async rotateKeys() {
      keys = [await signingKey()];
      build();
    },
    async forgetGrants() {
      rows.clear();
    },
    async visit(url) {
      const jar = new Browser('');
      let next = url;
      for (let step = 0; step < 10 && next.startsWith(issuer); step += 1) {
        const answer = await jar.get(next);
        const location = answer.headers.get('location');
        if (location === null) throw new Error(`${next}: ${answer.status} ${await answer.text()}`);
        next = new URL(location, issuer).href;
      }
      return next;
    },
  };

  const rows = new Map<string, AdapterPayload>();
  /** Everything the provider keeps; its own memory is shared by the whole process and warns of itself. */
  class Memory implements Adapter {
    readonly #name: string;
    constructor(name: string) {
      this.#name = name;
    }
    async upsert(id: string, payload: AdapterPayload) {
      const isCode = this.#name === 'AuthorizationCode';
      rows.set(`${this.#name} ${id}`, isCode && idp.expiresCodes ? { ...payload, exp: 1 } : payload);
    }
    async find(id: string) {
      return rows.get(`${this.#name} ${id}`);
    }
    async findByUid(uid: string) {
      return [...rows].find(([key, row]) => key.startsWith(this.#name) && row.uid === uid)?.[1];
    }
    async findByUserCode() {
      return undefined;
    }
    async consume(id: string) {
      const row = rows.get(`${this.#name} ${id}`);
      if (row !== undefined) row.consumed = Math.floor(Date.now() / 1000);
    }
    async destroy(id: string) {
      rows.delete(`${this.#name} ${id}`);
    }
    async revokeByGrantId(grantId: string) {
      for (const [key, row] of rows) if (row.grantId === grantId) rows.delete(key);
    }
  }

  function build() {
    provider = new Provider(issuer, {
      adapter: Memory,
      clients: [
        {
          client_id: CLIENT.clientId,
          client_secret: CLIENT.clientSecret,
          redirect_uris: uris,
          grant_types: ['authorization_code', 'refresh_token'],
          token_endpoint_auth_method: 'client_secret_basic',
        },
      ],
      jwks: { keys },
      cookies: { keys: ['a cookie key for tests'] },
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
      features: {
        devInteractions: { enabled: false },
        revocation: { enabled: true, allowedPolicy: () => true },
      },
      pkce: { required: () => true },
      rotateRefreshToken: true,
      ttl: {
        AuthorizationCode: 60,
        AccessToken: () => idp.accessTokenSeconds,
        RefreshToken: 86_400,
        IdToken: 3600,
        Session: 3600,
        Grant: 86_400,
        Interaction: 600,
      },
      interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
      async findAccount(_ctx, sub) {
        const found = people.get(sub);
        return { accountId: sub, claims: async () => ({ ...found, sub }) as { sub: string } };
      },
      async loadExistingGrant(ctx) {
        const clientId = ctx.oidc.client?.clientId ?? '';
        const grant = new ctx.oidc.provider.Grant({ clientId, accountId: ctx.oidc.session?.accountId ?? '' });
        grant.addOIDCScope('openid email profile offline_access');
        await grant.save();
        return grant;
      },
    });
  }

  async function route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (provider === null) throw new Error('no app is allowed yet');
    if (idp.refusesUserInfo && req.url === '/me') return void res.writeHead(500).end();
    if (!(req.url ?? '').startsWith('/interaction/')) return void provider.callback()(req, res);
    const { prompt } = await provider.interactionDetails(req, res);
    people.set(idp.person.sub, idp.person);
    if (!idp.consents) {
      const refusal = { error: 'access_denied', error_description: '<script>alert(1)</script>' };
      return provider.interactionFinished(req, res, refusal);
    }
    const result = prompt.name === 'login' ? { login: { accountId: idp.person.sub } } : { consent: {} };
    await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
  }
  return idp;
}

async function signingKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256' };
}

/** An OpenID provider that says whatever a test wants it to say. */
export interface LyingProvider {
  issuer: string;
  /** Changes the claims of the next ID token; the nonce is the right one unless it is replaced. */
  claims: (honest: Record<string, unknown>) => Record<string, unknown>;
  /** Replaces the next ID token altogether. */
  idToken: ((claims: Record<string, unknown>) => Promise<string>) | null;
  /** Changes the discovery document. Keys set to undefined are left out. */
  discovery: (honest: Record<string, unknown>) => Record<string, unknown>;
  /** Whether the client proves itself at the token endpoint; others are answered `invalid_client`. */
  admits: (authorization: string | undefined, form: URLSearchParams) => boolean;
  /** Changes the status and the fields of the token endpoint's answer. */
  tokens: (honest: Record<string, unknown>) => { status?: number; body: unknown };
  /** What UserInfo answers, as JSON, or as a token where it is text; null where there is no UserInfo. */
  userInfo: (() => unknown) | null;
  requests: string[];
  /** Answers a path with something else: a redirect, silence, a megabyte. */
  intercept: ((req: IncomingMessage, res: ServerResponse) => boolean) | null;
  sendsIssuer: boolean;
  /** What a browser would be sent back with from an authorization URL. */
  answerTo(url: string): string;
  sign(claims: Record<string, unknown>, options?: { kid?: string }): Promise<string>;
}

export async function startLyingProvider(): Promise<LyingProvider> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' };
  const nonces = new Map<string, string>();
  const server = createServer((req, res) => {
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    lying.requests.push(`${req.method} ${path}`);
    if (lying.intercept?.(req, res) === true) return;
    answer(req, res, path).catch((error: unknown) => res.writeHead(500).end(String(error)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const lying: LyingProvider = {
    issuer,
    claims: (honest) => honest,
    idToken: null,
    discovery: (honest) => honest,
    admits: () => true,
    tokens: (honest) => ({ body: honest }),
    userInfo: null,
    requests: [],
    intercept: null,
    sendsIssuer: true,
    answerTo(url) {
      const { searchParams } = new URL(url);
      const code = `code-${nonces.size}`;
      nonces.set(code, searchParams.get('nonce') ?? '');
      const back = new URLSearchParams({ code, state: searchParams.get('state') ?? '' });
      if (lying.sendsIssuer) back.set('iss', String(lying.discovery({ issuer }).issuer));
      return `${searchParams.get('redirect_uri')}?${back}`;
    },
    sign: (claims, { kid = 'k1' } = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey),
  };
  async function answer(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const json = (value: unknown, status = 200) =>
      void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (path === '/.well-known/openid-configuration')
      return json(
        lying.discovery({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          ...(lying.userInfo !== null && { userinfo_endpoint: `${issuer}/userinfo` }),
          authorization_response_iss_parameter_supported: lying.sendsIssuer,
        }),
      );
    if (path === '/jwks') return json({ keys: [jwk] });
    if (path === '/userinfo') {
      const said = await lying.userInfo?.();
      if (typeof said !== 'string') return json(said);
      return void res.writeHead(200, { 'content-type': 'application/jwt' }).end(said);
    }
    let body = '';
    for await (const chunk of req) body += chunk;
    const form = new URLSearchParams(body);
    if (!lying.admits(req.headers.authorization, form)) return json({ error: 'invalid_client' }, 401);
    const code = form.get('code') ?? '';
    const seconds = Math.floor(Date.now() / 1000);
    const claims = lying.claims({
      iss: issuer,
      aud: CLIENT.clientId,
      sub: 'ada-1',
      email: 'ada@example.com',
      email_verified: true,
      iat: seconds,
      exp: seconds + 300,
      nonce: nonces.get(code),
    });
    const idToken = lying.idToken === null ? await lying.sign(claims) : await lying.idToken(claims);
    const told = lying.tokens({
      access_token: 'at',
      token_type: 'Bearer',
      expires_in: 300,
      id_token: idToken,
    });
    json(told.body, told.status);
  }
  return lying;
}
