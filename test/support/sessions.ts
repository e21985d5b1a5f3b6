import { type IncomingHttpHeaders, request } from 'node:http';
import { SessionTokens } from '../../src/core/sessions/session-token.js';
import { KeyRing } from '../../src/crypto/key-ring.js';
import type { AuthTunaOptions } from '../../src/index.js';
import { SECRET, startApp, type TestInstance } from './app.js';
import type { Browser } from './browser.js';
import { openDatabase } from './database.js';

export const COOKIE = 'at_sess';

/** Another instance of the same app: same origin, database and clock, a process memory of its own. */
export function startSibling(
  first: TestInstance,
  options: Partial<AuthTunaOptions> = {},
): Promise<TestInstance> {
  return startApp({ baseUrl: first.url, ...options }, { database: first.database, clock: first.clock });
}

/** The same browser, whose next requests reach another instance; the jar is copied as it is now. */
export function at(instance: TestInstance, browser: Browser): Browser {
  const other = instance.browser({ userAgent: browser.userAgent });
  for (const [name, value] of browser.jar) other.jar.set(name, value);
  return other;
}

export interface Claims {
  sid: string;
  sub: string;
  gen: number;
  rnd: string;
  iat: number;
  exp: number;
}

/** What the session cookie of a jar says. */
export function claimsOf(browser: Browser): Claims {
  return claimsOfToken(browser.jar.get(COOKIE) ?? '');
}

export function claimsOfToken(token: string): Claims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;
}

/** The `Set-Cookie` of the session in an answer, or undefined. */
export function sessionCookieOf(answer: Response): string | undefined {
  return answer.headers.getSetCookie().find((cookie) => cookie.startsWith(`${COOKIE}=`));
}

/** How long after the first use of its cookie a session of `SECRET` is due for a rotation, 5 to 10 minutes. */
export async function secondsUntilRotation(instance: TestInstance, browser: Browser): Promise<number> {
  const { sid } = claimsOf(browser);
  const row = await inDatabase(
    instance,
    (client) =>
      client.session.findUniqueOrThrow({ where: { id: sid } }) as Promise<{
        generation: number;
        salt: string;
      }>,
  );
  const tokens = new SessionTokens(new KeyRing([SECRET]), instance.url);
  return 300 * (1 + tokens.rotationShare(sid, row.generation, row.salt));
}

/** Looks straight into the database. */
export async function inDatabase<T>(
  instance: TestInstance,
  look: (client: Awaited<ReturnType<typeof openDatabase>>['client']) => Promise<T>,
): Promise<T> {
  const connection = await openDatabase(instance.database);
  try {
    return await look(connection.client);
  } finally {
    await connection.close();
  }
}

/** A request whose headers are sent byte by byte as they are given, which fetch would not do. */
export function rawRequest(
  url: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent: false }, (answer) => {
      answer.resume().once('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers }));
    });
    outgoing.once('error', reject).end();
  });
}
