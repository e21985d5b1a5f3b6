import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Request, type Response } from 'express';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Clock } from '../config/options.js';
import { oidc } from '../oauth-client/oidc.js';
import type { SocialProvider } from '../oauth-client/provider.js';

/** Somebody who can be signed in as at the mock provider. */
export interface MockPerson {
  /** Permanent id at the provider. Default: the address. */
  sub?: string;
  email?: string;
  /** Default true. */
  emailVerified?: boolean;
  name?: string;
  /** Further claims, for example `{ groups: ['staff'] }`. */
  claims?: Readonly<Record<string, unknown>>;
}

export interface MockProviderOptions {
  /** Who is offered on its page. Default: Ada and Grace, proved, and Mallory, unproved. */
  people?: readonly MockPerson[];
  /** Default: any free port; a fixed one lets a running browser reload. */
  port?: number;
  /** In paths and in the database. Default `mock`. */
  id?: string;
  /** On the button. Default `Mock provider`. */
  name?: string;
  /** The clock of the instance under test. Default: the time of the machine. */
  clock?: Clock;
}

export interface MockProvider {
  /** For `social: { providers: [mock.provider] }`. */
  readonly provider: SocialProvider;
  readonly issuer: string;
  /** Signs everybody who comes in as this person without asking; null shows the page again. */
  signInAs(person: MockPerson | null): void;
  close(): Promise<void>;
}

interface Code {
  person: MockPerson;
  nonce: string;
  challenge: string;
  redirectUri: string;
}

const CLIENT_ID = 'mock-client';
const PEOPLE: readonly MockPerson[] = [
  { email: 'ada@example.com', name: 'Ada' },
  { email: 'grace@example.com', name: 'Grace' },
  { email: 'mallory@example.com', name: 'Mallory', emailVerified: false },
];
const TOKEN_SECONDS = 300;

// Long: a whole provider with one handler for each endpoint; no part of it is used elsewhere.
/**
 * An OpenID provider on the own machine, for development and tests: its page lists people and signs in the one that is picked, without a
 * password.
 *
 * It listens on loopback and its issuer is `http:`, so an instance whose `baseUrl` is https refuses it at start.
 *
 *     const mock = await startMockProvider();
 *     createAuthTuna({ baseUrl: 'http://localhost:3000', social: { providers: [mock.provider] }, … });
 */
export async function startMockProvider(options: MockProviderOptions = {}): Promise<MockProvider> {
  const { people = PEOPLE, port = 0, id = 'mock', name = 'Mock provider' } = options;
  const now = () => (options.clock?.now() ?? new Date()).getTime();
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const kid = randomUUID();
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' };
  const codes = new Map<string, Code>();
  let always: MockPerson | null = null;

  const app = express();
  app.disable('x-powered-by');
  const server = app.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;

  app.get('/.well-known/openid-configuration', (_req, res) => {
    res.json({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      revocation_endpoint: `${issuer}/revoke`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    });
  });
  app.get('/jwks', (_req, res) => void res.json({ keys: [jwk] }));

  app.get('/authorize', (req: Request, res: Response) => {
    const query = (key: string) => (typeof req.query[key] === 'string' ? req.query[key] : '');
    const redirectUri = query('redirect_uri');
    const isLocal = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\//.test(redirectUri);
    if (query('client_id') !== CLIENT_ID || !isLocal || query('code_challenge_method') !== 'S256')
      return void res.status(400).type('text').send('This is not a request of an app on this machine.');
    const back = (parameters: Record<string, string>) => {
      const target = new URL(redirectUri);
      const all = { ...parameters, state: query('state'), iss: issuer };
      for (const [key, value] of Object.entries(all)) target.searchParams.set(key, value);
      res.redirect(303, target.href);
    };
    if (query('as') === 'cancel') return back({ error: 'access_denied' });
    const picked = query('as') === '' ? undefined : people[Number(query('as'))];
    const typed = query('email') === '' ? undefined : { email: query('email') };
    const person = always ?? typed ?? picked;
    if (person === undefined) return void res.type('html').send(page(req, people));
    const code = randomUUID();
    codes.set(code, { person, nonce: query('nonce'), challenge: query('code_challenge'), redirectUri });
    back({ code });
  });

  app.post('/token', express.urlencoded({ extended: false }), async (req: Request, res: Response) => {
    const { code, code_verifier, redirect_uri, client_id } = (req.body ?? {}) as Record<string, unknown>;
    const begun = typeof code === 'string' ? codes.get(code) : undefined;
    codes.delete(String(code));
    const challenge = createHash('sha256').update(String(code_verifier)).digest('base64url');
    const isRight =
      begun !== undefined &&
      client_id === CLIENT_ID &&
      redirect_uri === begun.redirectUri &&
      challenge.length === begun.challenge.length &&
      timingSafeEqual(Buffer.from(challenge), Buffer.from(begun.challenge));
    if (!isRight) return void res.status(400).json({ error: 'invalid_grant' });
    const { person, nonce } = begun;
    const issuedAt = Math.floor(now() / 1000);
    const idToken = await new SignJWT({
      ...person.claims,
      ...(person.email !== undefined && {
        email: person.email,
        email_verified: person.emailVerified !== false,
      }),
      ...(person.name !== undefined && { name: person.name }),
      nonce,
    })
      .setProtectedHeader({ alg: 'ES256', kid })
      .setIssuer(issuer)
      .setAudience(CLIENT_ID)
      .setSubject(person.sub ?? person.email ?? 'somebody')
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + TOKEN_SECONDS)
      .sign(privateKey);
    res.json({
      access_token: randomUUID(),
      token_type: 'Bearer',
      expires_in: TOKEN_SECONDS,
      id_token: idToken,
      scope: 'openid email profile',
    });
  });
  app.post('/revoke', (_req, res) => void res.status(200).end());

  return {
    provider: oidc({ id, name, issuer, clientId: CLIENT_ID }),
    issuer,
    signInAs(person) {
      always = person;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function page(req: Request, people: readonly MockPerson[]): string {
  const link = (as: string) => escaped(`${req.originalUrl}&as=${as}`);
  const rows = people.map(
    ({ name, email, emailVerified }, index) =>
      `<li><a href="${link(String(index))}">${escaped(name ?? email ?? 'Somebody')}</a> ${escaped(email ?? 'no address')}${emailVerified === false ? ' (not verified)' : ''}</li>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Mock provider</title>
<h1>Sign in as</h1><ul>${rows.join('')}</ul><p><a href="${link('cancel')}">Cancel</a></p></html>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
