import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { claimsOfToken, rawRequest } from '../../support/sessions.js';

const NAME = '__Secure-at_sess';
const SIBLINGS = {
  baseUrl: 'https://app.example.com',
  signUp: { requireVerifiedEmail: false },
  session: { cookieDomain: 'example.com' },
} as const;

async function startSiblings(options: object = SIBLINGS) {
  const app = await startApp(options);
  const person = async (email: string) => {
    const user = await app.authTuna.users.create({ email, password: PASSWORD, emailVerified: true }, SYSTEM);
    const session = async () => (await app.authTuna.sessions.create(user.id, ['pwd'], SYSTEM)).token;
    return { user, session };
  };
  const ask = (path: string, tokens: readonly string[], more: Record<string, string> = {}, method = 'GET') =>
    rawRequest(
      `${app.url}${path}`,
      { cookie: tokens.map((token) => `${NAME}=${token}`).join('; '), ...more },
      method,
    );
  return { app, person, ask, me: async (...tokens: string[]) => (await ask('/me', tokens)).status };
}

const suspicious = async ({ authTuna }: Awaited<ReturnType<typeof startSiblings>>['app']) =>
  (await authTuna.audit.list({ type: 'session.suspicious' })).items;

test('of two cookies with a Domain the one counts that verifies, and the log says so once', async () => {
  const { app, person, me } = await startSiblings();
  const ada = await person('ada@example.com');
  const [dead, live] = [await ada.session(), await ada.session()];
  await app.authTuna.sessions.revoke(claimsOfToken(dead).sid, SYSTEM);
  for (const tokens of [
    [dead, live],
    [live, dead],
    ['planted', live],
    [live, ''],
    ['x'.repeat(5000), live],
  ])
    expect(await me(...tokens)).toBe(200);
  expect(
    app.logger.lines.filter(({ message }) => message.includes('change of session.cookieDomain')),
  ).toHaveLength(1);
});

test('a planted cookie never counts: not of another user, not with an own session beside it, not among too many (CK-2)', async () => {
  const { person, me } = await startSiblings();
  const [ada, eve] = [await person('ada@example.com'), await person('eve@example.com')];
  const [own, planted, second] = [await ada.session(), await eve.session(), await ada.session()];
  expect(await me(own, planted)).toBe(401);
  expect(await me(planted, own)).toBe(401);
  expect(await me(own, second)).toBe(401); // two live sessions: which is meant?
  expect(await me('a', 'b', 'c', 'd', own)).toBe(401);
  expect(await me(own)).toBe(200);
});

test('of one session the newest cookie counts, and an older one beside it ends nothing', async () => {
  const { app, person, ask, me } = await startSiblings();
  const old = await (await person('ada@example.com')).session();
  expect(await me(old)).toBe(200);
  app.clock.advance({ seconds: 601 });
  const { headers } = await ask('/me', [old]);
  const renewed = /__Secure-at_sess=([^;]+)/.exec(String(headers['set-cookie']))?.[1] ?? '';
  expect(await me(renewed)).toBe(200);
  app.clock.advance({ seconds: 300 });
  expect(await me(old, renewed)).toBe(200);
  expect(await me(renewed, old)).toBe(200);
});

test('a sign-in and a sign-out expire the other spellings, and end every session that a cookie of ours names (SS-9)', async () => {
  const { app, person, ask, me } = await startSiblings();
  const ada = await person('ada@example.com');
  const [first, second] = [await ada.session(), await ada.session()];
  const out = await ask('/auth/logout', [first, second], {}, 'POST');
  expect(out.status).toBe(204);
  expect([await me(first), await me(second)]).toEqual([401, 401]);
  const cleared = out.headers['set-cookie']?.filter((line) => line.includes('at_sess='));
  expect(cleared?.every((line) => line.endsWith('; Max-Age=0'))).toBe(true);
  const domains = cleared?.map((line) =>
    `${line.split('=')[0]} ${/Domain=[^;]+/.exec(line)?.[0] ?? ''}`.trim(),
  );
  expect(domains?.sort()).toEqual([
    '__Host-at_sess',
    NAME,
    `${NAME} Domain=app.example.com`,
    `${NAME} Domain=example.com`,
  ]);

  const [third, fourth] = [await ada.session(), await ada.session()];
  const body = JSON.stringify({ login: 'ada@example.com', password: PASSWORD });
  const answer = await fetch(`${app.url}/auth/login`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', cookie: `${NAME}=${third}; ${NAME}=${fourth}` },
  });
  expect(answer.status).toBe(200);
  const written = answer.headers.getSetCookie().filter((line) => line.includes('at_sess='));
  expect(written.filter((line) => !line.endsWith('; Max-Age=0'))).toHaveLength(1);
  expect(written).toHaveLength(4);
  expect([await me(third), await me(fourth)]).toEqual([401, 401]);
});

test('a bearer header beside the cookie signs out all the same', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const copy = browser.stolen();
  expect(
    (await browser.post('/auth/logout', undefined, { headers: { authorization: 'Bearer x' } })).status,
  ).toBe(204);
  expect((await copy.post('/me/x')).status).toBe(401);
});

test('two cookies that are not believed make one audit entry and one line a minute for a network, however many come (CK-2)', async () => {
  const siblings = await startSiblings({ ...SIBLINGS, trustedProxies: 1 });
  const { app, ask } = siblings;
  const from = (ip: string) => ask('/public', ['a', 'b'], { 'x-forwarded-for': ip });
  const lines = () =>
    app.logger.lines.filter(({ message }) => message.includes('several session cookies')).length;
  for (let i = 0; i < 20; i += 1) await from('192.0.2.1');
  await from('192.0.2.77');
  expect(lines()).toBe(1);
  await expect.poll(async () => (await suspicious(app)).length).toBe(1);
  app.clock.advance({ seconds: 61 });
  await from('192.0.2.1');
  await from('198.51.100.1');
  expect(lines()).toBe(3);
  await expect.poll(async () => (await suspicious(app)).length).toBe(3);
  const entries = await suspicious(app);
  expect(entries.every(({ reason, outcome }) => reason === 'several_cookies' && outcome === 'denied')).toBe(
    true,
  );
  expect(entries.some(({ data }) => (data as { unrecorded?: number } | null)?.unrecorded === 20)).toBe(true);
});
