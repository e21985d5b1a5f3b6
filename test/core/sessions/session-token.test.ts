import { createHmac } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { KeyRing } from '../../../src/crypto/key-ring.js';
import { SECRET, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { at, COOKIE, claimsOf, startSibling } from '../../support/sessions.js';

const NEWER = 'Xp4sN8kV2wT7mZ1rQ9cJ5hF3bL6gD0yA';
const ring = new KeyRing([SECRET]);

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const headerOf = (browser: Browser) =>
  JSON.parse(Buffer.from(browser.jar.get(COOKIE)?.split('.')[0] ?? '', 'base64url').toString()) as {
    alg: string;
    kid: string;
    typ: string;
  };

function sign(
  header: object,
  payload: object,
  key: Buffer = ring.current('sess').bytes,
  hash = 'sha256',
): string {
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
}

async function statusOf(app: TestInstance, token: string, browser = app.browser()): Promise<number> {
  browser.jar.set(COOKIE, token);
  return (await browser.post('/me/x')).status;
}

async function signedIn() {
  const app = await startApp();
  const { browser } = await app.signedIn();
  expect((await browser.get('/me')).status).toBe(200);
  return { app, browser, header: headerOf(browser), payload: claimsOf(browser) };
}

describe('the session cookie as a token', () => {
  test('it is a plain JWS that any library makes alike, and one algorithm is accepted (JW-1)', async () => {
    const { app, header, payload } = await signedIn();
    expect(header).toEqual({ alg: 'HS256', kid: ring.current('sess').kid, typ: 'at-sess+jwt' });
    const { bytes } = ring.current('sess');
    const same = await new SignJWT({ ...payload }).setProtectedHeader(header).sign(bytes);
    expect(await statusOf(app, same)).toBe(200);
    for (const alg of ['none', 'NONE', 'HS384', 'HS512', 'RS256', 'ES256', 'EdDSA', '']) {
      expect(await statusOf(app, sign({ ...header, alg }, payload)), alg).toBe(401);
      expect(await statusOf(app, `${part({ ...header, alg })}.${part(payload)}.`), `${alg} unsigned`).toBe(
        401,
      );
    }
    expect(await statusOf(app, sign({ ...header, alg: 'HS512' }, payload, bytes, 'sha512'))).toBe(401);
  });

  test('a key is found by a kid of our own, and nothing in the header leads elsewhere (JW-2)', async () => {
    const { app, header, payload } = await signedIn();
    const kids = [
      '../../dev/null',
      '__proto__',
      'constructor',
      'x'.repeat(10_000),
      '',
      `${ring.current('sess').kid}x`,
    ];
    for (const kid of kids)
      expect(await statusOf(app, sign({ ...header, kid }, payload)), kid.slice(0, 20)).toBe(401);
    expect(await statusOf(app, sign({ alg: 'HS256', typ: 'at-sess+jwt' }, payload))).toBe(401);
    for (const extra of [
      { jku: 'http://127.0.0.1:9/' },
      { x5u: 'http://127.0.0.1:9/' },
      { jwk: {} },
      { crit: ['exp'] },
    ])
      expect(await statusOf(app, sign({ ...header, ...extra }, payload))).toBe(401);
  });

  test('a token of another type, key, issuer or audience is nothing here (JW-3)', async () => {
    const { app, header, payload } = await signedIn();
    for (const purpose of ['rot', 'csrf', 'enc', 'pepper', 'lookup', 'device', 'bus'] as const)
      expect(await statusOf(app, sign(header, payload, ring.current(purpose).bytes)), purpose).toBe(401);
    for (const typ of ['at+jwt', 'JWT', '', undefined])
      expect(await statusOf(app, sign({ ...header, typ }, payload))).toBe(401);
    for (const change of [
      { iss: 'https://other.example' },
      { aud: 'https://other.example' },
      { iss: undefined },
      { aud: [app.url] },
    ])
      expect(await statusOf(app, sign(header, { ...payload, ...change }))).toBe(401);
  });

  test('the times are required and whole, with 30 s for clocks that differ (JW-4)', async () => {
    const { app, header, payload } = await signedIn();
    const now = app.clock.now().getTime() / 1000;
    const refused = [
      { exp: now - 31 },
      { exp: undefined },
      { exp: String(payload.exp) },
      { exp: null }, // what JSON makes of 1e309
      { exp: payload.exp + 0.5 },
      { iat: undefined },
      { gen: undefined },
      { gen: '0' },
      { sid: 7 },
      { rnd: undefined },
    ];
    for (const change of refused)
      expect(await statusOf(app, sign(header, { ...payload, ...change })), JSON.stringify(change)).toBe(401);
    expect(await statusOf(app, sign(header, { ...payload, exp: now - 20 }))).toBe(200);
  });

  test('a cookie made before the clock was put back goes on, as its row says (JW-4)', async () => {
    const { app, header, payload } = await signedIn();
    const now = app.clock.now().getTime() / 1000;
    expect(await statusOf(app, sign(header, { ...payload, iat: now + 7200 }))).toBe(200);
  });

  test('whatever a forged expiry says, the row has the last word (JW-4)', async () => {
    const { app, header, payload, browser } = await signedIn();
    const forever = sign(header, { ...payload, exp: 253_402_300_799 });
    app.clock.advance({ hours: 25 });
    expect(await statusOf(app, forever)).toBe(401);
    expect((await browser.get('/me')).status).toBe(401);
  });

  test('secrets are rotated in either order without a sign-out, and a secret that was dropped signs out (JW-5)', async () => {
    const { app, browser } = await signedIn();
    const both = await startSibling(app, { secrets: [SECRET, NEWER] });
    const rotated = await startSibling(app, { secrets: [NEWER, SECRET] });
    const dropped = await startSibling(app, { secrets: [NEWER] });
    const here = at(rotated, browser);
    app.clock.advance({ seconds: 601 });
    expect((await here.get('/me')).status).toBe(200);
    expect(headerOf(here).kid).toBe(new KeyRing([NEWER]).current('sess').kid);
    expect((await at(both, here).get('/me')).status).toBe(200);
    expect((await at(both, browser).get('/me')).status).toBe(200);
    expect((await at(dropped, here).get('/me')).status).toBe(200);
    expect((await at(dropped, browser).get('/me')).status).toBe(401);
    expect((await here.get('/me')).status).toBe(200);
  });

  test('two thousand malformed cookies and Authorization headers are refused, and the process lives (JW-6)', async () => {
    const { app, browser } = await signedIn();
    const good = browser.jar.get(COOKIE) ?? '';
    let state = 7;
    const chance = (limit: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % limit;
    };
    const letters = 'abcXYZ019-_.=%"\\{}[]()<>@,:/+~ !';
    const noise = (length: number) => Array.from({ length }, () => letters[chance(letters.length)]).join('');
    const mutate = (): string => {
      const cut = chance(good.length);
      if (chance(4) === 0) return noise(chance(300));
      if (chance(3) === 0) return good.slice(0, cut);
      return good.slice(0, cut) + noise(1 + chance(3)) + good.slice(cut + 1);
    };
    const statuses = new Map<number, number>();
    for (let i = 0; i < 2000; i += 20)
      await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          const value = mutate();
          const headers = {
            'user-agent': browser.userAgent,
            ...(n % 2 === 0 ? { cookie: `${COOKIE}=${value}` } : { authorization: `Bearer ${value}` }),
          };
          const { status } = await fetch(`${app.url}/me`, { headers }).catch(() => ({ status: 400 }));
          if (value.trim() !== good) statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }),
      );
    expect([...statuses.keys()].filter((status) => status !== 401 && status !== 400)).toEqual([]);
    for (const token of ['x'.repeat(4097), `${good}${'A'.repeat(4096)}`])
      expect(await statusOf(app, token)).toBe(401);
    expect((await browser.get('/me')).status).toBe(200);
  });

  test('a cookie that only the signature vouches for, ahead of its row or of another user, ends nothing (SS-5)', async () => {
    const { app, browser, header, payload } = await signedIn();
    const { user: eve } = await app.signedIn('eve@example.com');
    expect(await statusOf(app, sign(header, { ...payload, gen: payload.gen + 1 }))).toBe(401);
    expect(await statusOf(app, sign(header, { ...payload, rnd: 'A'.repeat(22) }))).toBe(401);
    expect(await statusOf(app, sign(header, { ...payload, sub: eve.id }))).toBe(401);
    expect((await browser.post('/me/x')).status).toBe(200);
    const { items } = await app.authTuna.audit.list({ type: 'session.suspicious' });
    expect(items.map(({ reason }) => reason).sort()).toEqual([
      'ahead_of_database',
      'other_user',
      'wrong_rotating_string',
    ]);
  });
});

test('a cookie that does not fit its row is recorded once a minute, with how often it came meanwhile (SS-5)', async () => {
  const { app, browser, header, payload } = await signedIn();
  const ahead = sign(header, { ...payload, gen: payload.gen + 1 });
  for (let i = 0; i < 5; i += 1) expect(await statusOf(app, ahead)).toBe(401);
  app.clock.advance({ seconds: 60 });
  for (let i = 0; i < 5; i += 1) expect(await statusOf(app, ahead)).toBe(401);
  const { items } = await app.authTuna.audit.list({ type: 'session.suspicious' });
  expect(items.map(({ data }) => data?.unrecorded ?? 0)).toEqual([4, 0]);
  expect(app.logger.lines.filter(({ message }) => message.includes('does not fit its row'))).toHaveLength(2);
  expect((await browser.post('/me/x')).status).toBe(200);
});

test('a signed payload that is no claims at all is no token, and never an error of the server', async () => {
  const { app, browser, header, payload } = await signedIn();
  const key = ring.current('sess').bytes;
  for (const text of ['', 'x', 'null', '1', '"text"', '[]', '{', '\u0000']) {
    const signed = `${part(header)}.${Buffer.from(text).toString('base64url')}`;
    const token = `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
    expect(await statusOf(app, token), text).toBe(401);
  }
  for (const sid of ['', 'a\u0000b', 'a b', 'x'.repeat(65), '../x'])
    expect(await statusOf(app, sign(header, { ...payload, sid })), sid).toBe(401);
  expect(await statusOf(app, sign(header, payload), browser)).toBe(200);
});
