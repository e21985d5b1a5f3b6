import { describe, expect, test } from 'vitest';
import { createAuthTuna } from '../../../src/index.js';
import { PASSWORD, SECRET, startApp } from '../../support/app.js';
import { claimsOfToken, rawRequest } from '../../support/sessions.js';

const HTTPS = { baseUrl: 'https://app.example.com', signUp: { requireVerifiedEmail: false } } as const;

async function cookieOf(options: Parameters<typeof startApp>[0], body: object = {}) {
  const app = await startApp(options);
  await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const answer = await app
    .browser()
    .post('/auth/login', { login: 'ada@example.com', password: PASSWORD, ...body });
  expect(answer.status).toBe(200);
  const cookies = answer.headers.getSetCookie().filter((cookie) => cookie.includes('at_sess='));
  expect(cookies).toHaveLength(1);
  return { app, answer, cookie: cookies[0] ?? '' };
}

describe('the session cookie', () => {
  test('on https it is __Host-, Secure, HttpOnly, small, without personal data, and gone with the window (CK-1)', async () => {
    const { cookie, answer } = await cookieOf(HTTPS);
    expect(cookie).toMatch(/^__Host-at_sess=[\w.-]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    expect(cookie.length).toBeLessThan(1200);
    const claims = claimsOfToken(cookie.slice(cookie.indexOf('=') + 1).split(';')[0] ?? '');
    expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'gen', 'iat', 'iss', 'rnd', 'sid', 'sub']);
    expect(JSON.stringify(claims)).not.toContain('ada');
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  test('with remember me it is kept until the absolute limit, not longer, also after a rotation (CK-1, D20)', async () => {
    const { app, cookie } = await cookieOf({}, { rememberMe: true });
    expect(cookie).toMatch(/; Max-Age=2592000$/);
    const browser = app.browser();
    await browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD, rememberMe: true });
    await browser.get('/me');
    app.clock.advance({ days: 6 });
    const [renewed] = (await browser.get('/me')).headers.getSetCookie();
    expect(renewed).toMatch(new RegExp(`; Max-Age=${24 * 86_400}$`));
  });

  test('SameSite=Strict and a Domain come by option, the latter without the __Host- prefix (CK-1)', async () => {
    const { cookie, app, answer } = await cookieOf({
      ...HTTPS,
      session: { sameSite: 'strict', cookieDomain: 'example.com' },
    });
    expect(cookie).toMatch(/^__Secure-at_sess=.*; Secure; SameSite=Strict; Domain=example\.com$/);
    // What binds forms, links and devices to a browser could otherwise be planted from a sibling domain.
    const page = await app.browser().get('/auth/login', { headers: { accept: 'text/html' } });
    const others = [page, answer]
      .flatMap(({ headers }) => headers.getSetCookie())
      .filter((line) => line !== cookie);
    expect(others.map((line) => line.split('=')[0])).toEqual([
      '__Host-at_pre',
      '__Host-at_device',
      '__Host-at_way',
    ]);
    expect(others.join()).not.toContain('Domain');
  });

  test('on another site sign-in works with sameSite none alone, where every request must say where it comes from (CS-1)', async () => {
    const site = { origin: 'https://app.example.net', 'sec-fetch-site': 'cross-site' };
    const trusted = { ...HTTPS, trustedOrigins: [site.origin] };
    const signIn = async (options: Parameters<typeof startApp>[0]) => {
      const app = await startApp(options);
      await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
      const browser = app.browser();
      for (let time = 0; time < 2; time += 1) {
        const login = { login: 'ada@example.com', password: PASSWORD };
        const answer = await browser.post('/auth/login', login, { headers: site });
        expect(answer.status).toBe(200);
        for (const cookie of answer.headers.getSetCookie())
          expect(cookie).toContain(options?.session === undefined ? 'SameSite=Lax' : 'SameSite=None');
      }
      const warnings = app.logger.lines.filter(({ message }) => message.includes('another site than'));
      return { browser, warnings };
    };
    const lax = await signIn(trusted);
    expect(lax.warnings).toHaveLength(1);
    expect(lax.warnings[0]?.message).toContain("sameSite: 'none'");

    const { browser, warnings } = await signIn({ ...trusted, session: { sameSite: 'none' } });
    expect(warnings).toHaveLength(0);
    const status = async (headers: Record<string, string>) =>
      (await browser.post('/me/x', {}, { headers })).status;
    expect(await status(site)).toBe(200);
    expect(await status({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await status({ origin: 'https://evil.example' })).toBe(403);
    expect(await status({})).toBe(403); // a page of another site in a browser that sends neither header
    const login = { login: 'ada@example.com', password: PASSWORD };
    expect((await browser.post('/auth/login', login)).status).toBe(403);
    for (const session of [{ sameSite: 'none' }] as const) {
      expect(() => createAuthTuna({ ...trusted, trustedOrigins: [], secrets: [SECRET], session })).toThrow(
        /list their origins in trustedOrigins/,
      );
      const local = { baseUrl: 'http://localhost:3000', secrets: [SECRET], session };
      expect(() => createAuthTuna(local)).toThrow(/none works on https only/);
    }
  });

  test('two cookies of the name, a nameless one, another case and a smuggled one are no session (CK-2)', async () => {
    const { app, cookie } = await cookieOf({});
    const pair = cookie.split(';')[0] ?? '';
    const userAgent = { 'user-agent': app.browser().userAgent };
    const statusOf = async (header: string) =>
      (await rawRequest(`${app.url}/me`, { ...userAgent, cookie: header })).status;
    expect(await statusOf(pair)).toBe(200);
    expect(await statusOf(`other=1; ${pair}; more=2`)).toBe(200);
    for (const header of [
      `${pair}; ${pair}`,
      `at_sess=x; ${pair}`,
      `${pair}; at_sess=`,
      `=${pair}`,
      pair.replace('at_sess', 'AT_SESS'),
      pair.replace('at_sess', 'xat_sess'),
      `\u00a0${pair}`,
      `\u2000${pair}`.replace('\u2000', Buffer.from('\u2000').toString('latin1')),
    ])
      expect(await statusOf(header), header.slice(0, 20)).toBe(401);
    expect(app.logger.lines.some(({ message }) => message.includes('several session cookies'))).toBe(true);
    expect(await statusOf(pair)).toBe(200);
  });

  test('a name without prefix, and http at all, work on a loopback host only (CK-3)', () => {
    for (const baseUrl of ['http://app.example.com', 'http://10.0.0.7:3000', 'http://localhost.example.com'])
      expect(() => createAuthTuna({ baseUrl, secrets: [SECRET] })).toThrow(/http: works on localhost only/);
  });
});
