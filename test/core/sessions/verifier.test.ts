import { describe, expect, test } from 'vitest';
import type { SessionRow } from '../../../src/core/sessions/session-row.js';
import { type Region, SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { enrolTotp, json } from '../../support/factors.js';
import {
  at,
  claimsOf,
  claimsOfToken,
  inDatabase,
  sessionCookieOf,
  startSibling,
} from '../../support/sessions.js';

const FIREFOX_LINUX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const CHROME_WINDOWS =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36';

/** A browser whose cookie was used once, so that it is due for a rotation after 600 s at the latest. */
async function settled(
  options: Parameters<typeof startApp>[0] = {},
  shared?: Parameters<typeof startApp>[1],
) {
  const app = await startApp(options, shared);
  const { browser, user } = await app.signedIn('ada@example.com');
  expect((await browser.get('/me')).status).toBe(200);
  return { app, browser, user, clock: app.clock, authTuna: app.authTuna, sessionId: claimsOf(browser).sid };
}

/** Lets one rotation happen, and its successor be seen. */
async function rotate(app: TestInstance, browser: { get(path: string): Promise<Response> }) {
  app.clock.advance({ seconds: 601 });
  const answer = await browser.get('/me');
  expect(answer.status).toBe(200);
  expect(sessionCookieOf(answer)).toBeDefined();
  app.clock.advance({ seconds: 11 });
  expect((await browser.get('/me')).status).toBe(200);
}

const rowOf = (app: TestInstance, id: string): Promise<SessionRow | null> =>
  inDatabase(app, (client) => client.session.findUnique({ where: { id } }) as Promise<SessionRow | null>);
const codeOf = async (answer: Response) => ((await answer.json()) as { code: string }).code;

describe('the beginning of a session', () => {
  test('every sign-in makes a new session, ends the one presented and adopts nothing the client brings (SS-1)', async () => {
    const { browser, sessionId } = await settled();
    const planted = browser.stolen();
    const answer = await browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    expect(answer.status).toBe(200);
    expect(claimsOf(browser).sid).not.toBe(sessionId);
    expect((await browser.get('/me')).status).toBe(200);
    expect((await planted.post('/me/x')).status).toBe(401);
    expect((await planted.get('/me')).status).toBe(401);

    planted.jar.set('at_sess', 'made.up.cookie');
    await planted.post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    expect(planted.jar.get('at_sess')).not.toBe('made.up.cookie');
  });

  test('signing in with a dead cookie in the jar leaves the new cookie in it (D18)', async () => {
    const { browser, sessionId, authTuna } = await settled();
    await authTuna.sessions.revoke(sessionId, SYSTEM);
    const answer = await browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    expect(answer.headers.getSetCookie().filter((cookie) => cookie.startsWith('at_sess='))).toHaveLength(1);
    expect((await browser.get('/me')).status).toBe(200);
  });

  test('signing in when a rotation is due sets one session cookie, that of the new session (D18)', async () => {
    const { browser, clock } = await settled();
    clock.advance({ seconds: 601 });
    const answer = await browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    expect(answer.headers.getSetCookie().filter((cookie) => cookie.startsWith('at_sess='))).toHaveLength(1);
    expect((await browser.get('/me')).status).toBe(200);
  });

  test('of forty racing sign-ins at most twenty sessions stay (SS-13)', async () => {
    const { authTuna, user, app } = await settled();
    await Promise.all(Array.from({ length: 40 }, () => authTuna.sessions.create(user.id, ['pwd'], SYSTEM)));
    const live = await inDatabase(app, (client) =>
      client.session.count({ where: { userId: user.id, revokedAt: null } }),
    );
    expect(live).toBe(20);
    expect(await authTuna.sessions.list(user.id)).toHaveLength(20);
  });

  test('a sign-in whose password was checked before a sign-out everywhere does not survive it (SS-10)', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let waiting = 0;
    let isHeld = false;
    const { authTuna, user, app } = await settled({
      hooks: {
        async beforeSignIn() {
          if (!isHeld) return;
          waiting += 1;
          if (waiting === 4) release();
          await gate;
        },
      },
    });
    isHeld = true;
    // Four, because the fifth at one moment would already be asked to wait by the throttle.
    const browsers = Array.from({ length: 4 }, () => app.browser());
    const signIns = browsers.map((browser) =>
      browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD }),
    );
    // The hook runs after the password was checked; all are there when the first is let go.
    const ended = gate.then(() => authTuna.sessions.revokeAll(user.id, SYSTEM));
    await Promise.all([...signIns, ended]);
    const epochs = await inDatabase(app, async (client) => {
      const { sessionEpoch } = await client.user.findUniqueOrThrow({ where: { id: user.id } });
      const live = await client.session.findMany({
        where: { userId: user.id, epoch: sessionEpoch, revokedAt: null },
      });
      return live.length;
    });
    expect(epochs).toBe(0);
    for (const browser of browsers) expect((await browser.get('/me')).status).toBe(401);
  });
});

describe('rotation', () => {
  test('of fifty parallel requests on two instances all succeed, with one step and one successor (SS-2, D14)', async () => {
    const { app, browser, sessionId, clock } = await settled();
    const sibling = at(await startSibling(app), browser);
    const mine = at(app, browser);
    clock.advance({ seconds: 601 });
    const before = claimsOf(browser).gen;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? mine : sibling).stolen().get('/me')),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    const successors = new Set(
      answers
        .map((answer) => sessionCookieOf(answer))
        .filter((cookie) => cookie !== undefined)
        .map((cookie) => claimsOfToken(cookie.slice('at_sess='.length).split(';')[0] ?? ''))
        .map(({ gen, rnd }) => `${gen} ${rnd}`),
    );
    expect(successors.size).toBe(1);
    expect((await rowOf(app, sessionId))?.generation).toBe(before + 1);
  });

  test('when the answer with the new cookie is lost, the old cookie gets the same successor again (SS-3)', async () => {
    const { app, browser, clock } = await settled();
    const sibling = at(await startSibling(app), browser);
    clock.advance({ seconds: 601 });
    const lost = await browser.stolen().get('/me');
    clock.advance({ minutes: 20 });
    const again = await browser.get('/me');
    const elsewhere = await sibling.get('/me');
    for (const answer of [lost, again, elsewhere]) expect(answer.status).toBe(200);
    const [first, second, third] = [lost, again, elsewhere].map((answer) =>
      claimsOfToken(sessionCookieOf(answer)?.slice('at_sess='.length).split(';')[0] ?? ''),
    );
    expect(second).toMatchObject({ gen: first?.gen, rnd: first?.rnd });
    expect(third).toMatchObject({ gen: first?.gen, rnd: first?.rnd });
    expect((await browser.get('/me')).status).toBe(200);
  });

  test('a replaced cookie works for 30 s, is refused without harm until 180 s, and then ends the session (SS-4, D15)', async () => {
    const { app, browser, clock, sessionId } = await settled();
    const old = browser.stolen();
    clock.advance({ seconds: 601 });
    await browser.get('/me');
    await browser.get('/me'); // the successor is seen
    clock.advance({ seconds: 29 });
    const straggler = await old.get('/me');
    expect(straggler.status).toBe(200);
    expect(sessionCookieOf(straggler)).toBeUndefined();

    clock.advance({ seconds: 60 });
    const superseded = await old.post('/me/x');
    expect(superseded.status).toBe(401);
    expect(sessionCookieOf(superseded)).toBeUndefined();
    expect(await codeOf(superseded)).toBe('superseded');
    expect((await rowOf(app, sessionId))?.revokedAt).toBeNull();
    expect((await browser.get('/me')).status).toBe(200);

    clock.advance({ seconds: 92 });
    const late = await old.get('/me');
    expect(late.status).toBe(401);
    expect(await codeOf(late)).toBe('session_revoked');
    expect(await rowOf(app, sessionId)).toMatchObject({ revokedReason: 'breach' });
    expect((await browser.get('/me')).status).toBe(401);
  });

  test('a cookie two generations old ends the session on every instance (SS-5)', async () => {
    const { app, browser, clock } = await settled();
    const sibling = await startSibling(app);
    const thief = browser.stolen();
    await rotate(app, browser);
    await rotate(app, browser);
    const elsewhere = at(sibling, browser);
    expect((await elsewhere.get('/me')).status).toBe(200);
    expect((await thief.get('/me')).status).toBe(401);
    expect((await browser.get('/me')).status).toBe(401);
    clock.advance({ seconds: 10 });
    expect((await elsewhere.get('/me')).status).toBe(401);
  });

  test('forty stale requests end one session once, with one audit entry and one mail (SS-6)', async () => {
    const mailbox = new TestMailbox();
    const { app, browser, authTuna, user } = await settled({
      mail: { from: 'App <app@example.com>', transport: mailbox },
    });
    const other = app.browser();
    await other.post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    const thief = browser.stolen();
    await rotate(app, browser);
    await rotate(app, browser);
    const queued = () =>
      inDatabase(app, (client) => client.outboxMessage.count({ where: { template: 'session-stolen' } }));
    const answers = await Promise.all(Array.from({ length: 40 }, () => thief.stolen().get('/me')));
    expect(answers.every(({ status }) => status === 401)).toBe(true);
    const { items } = await authTuna.audit.list({ type: 'session.breached' });
    expect(items).toHaveLength(1);
    expect(await queued()).toBe(1);
    expect((await other.get('/me')).status).toBe(200);
    expect(await authTuna.sessions.list(user.id)).toHaveLength(1);
  });

  test('an image, a script or a prefetch never carries the new cookie (D14)', async () => {
    const { browser, clock } = await settled();
    clock.advance({ seconds: 601 });
    const destinations: Record<string, string>[] = [
      { 'sec-fetch-dest': 'image' },
      { 'sec-fetch-dest': 'script' },
      { 'sec-purpose': 'prefetch' },
    ];
    for (const headers of destinations)
      expect(sessionCookieOf(await browser.get('/me', { headers }))).toBeUndefined();
    clock.advance({ seconds: 11 });
    expect(
      sessionCookieOf(await browser.get('/me', { headers: { 'sec-fetch-dest': 'document' } })),
    ).toBeDefined();
  });

  test('ordinary answers set no cookie (D20)', async () => {
    const { browser, clock } = await settled();
    for (let i = 0; i < 20; i += 1) {
      clock.advance({ seconds: 13 });
      const answer = await browser.get('/me');
      expect(answer.status).toBe(200);
      expect(answer.headers.getSetCookie()).toEqual([]);
    }
  });

  test('a stream that outlives two rotations asks about its session, and is not taken for a copy (SS-4)', async () => {
    const asks: (() => Promise<boolean>)[] = [];
    const { app, browser, clock } = await settled(
      {},
      {
        routes(express) {
          express.get('/stream', (req, res) => {
            asks.push(() => req.auth.can('anything:read').then(() => req.auth.user !== null));
            res.json({});
          });
        },
      },
    );
    await browser.get('/stream');
    await rotate(app, browser);
    await rotate(app, browser);
    clock.advance({ minutes: 5 });
    expect(await asks[0]?.()).toBe(true);
    expect((await browser.get('/me')).status).toBe(200);
    expect((await browser.post('/auth/logout')).status).toBe(204);
    clock.advance({ seconds: 11 });
    expect(await asks[0]?.()).toBe(false);
  });

  test('what begins after a cookie was replaced for good goes on, also where nothing fresh was proved by that (SS-14)', async () => {
    const asks: (() => Promise<boolean>)[] = [];
    const { app, browser, clock } = await settled(
      {},
      {
        routes(express) {
          express.get('/stream', (req, res) => {
            asks.push(() => req.auth.can('anything:read').then(() => req.auth.user !== null));
            res.json({});
          });
        },
      },
    );
    await enrolTotp(app, browser);
    clock.advance({ minutes: 2 });
    await browser.get('/stream');
    const newPassword = 'a quite different sentence 41'; // alone it makes no session fresher that has a second factor
    await json(browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword }), 200);
    await browser.get('/stream');
    clock.advance({ minutes: 1 });
    expect([await asks[0]?.(), await asks[1]?.()]).toEqual([false, true]);
    expect((await browser.delete('/auth/mfa/totp')).status).toBe(204);
    await browser.get('/stream');
    clock.advance({ minutes: 1 });
    expect([await asks[1]?.(), await asks[2]?.()]).toEqual([false, true]);
  });

  test('after an elevation the old cookie is refused and never exchanged for the new one (SS-14)', async () => {
    const { app, browser, clock } = await settled();
    const copy = browser.stolen();
    clock.advance({ seconds: 20 });
    const changed = await browser.post('/auth/change-password', {
      currentPassword: PASSWORD,
      newPassword: 'a quite different sentence 41',
    });
    expect(changed.status).toBe(200);
    expect(sessionCookieOf(changed)).toBeDefined();
    for (const answer of [await copy.post('/me/x'), await copy.get('/me')]) {
      expect(answer.status).toBe(401);
      expect(sessionCookieOf(answer)).toBeUndefined();
      expect(await codeOf(answer)).toBe('superseded');
    }
    expect((await browser.get('/me')).status).toBe(200);
    expect((await at(await startSibling(app), browser).post('/me/x')).status).toBe(200);
  });
});

describe('the end of a session', () => {
  test('the absolute limit does not move, whatever the activity (SS-7, D20)', async () => {
    const { browser, clock } = await settled();
    for (let i = 0; i < 47; i += 1) {
      clock.advance({ minutes: 30 });
      expect((await browser.get('/me')).status).toBe(200);
    }
    clock.advance({ minutes: 30, seconds: 1 });
    expect((await browser.get('/me')).status).toBe(401);
  });

  test('a session idles out after an hour, with remember me after seven days (SS-7)', async () => {
    const { app, browser, clock } = await settled();
    const remembered = app.browser();
    await remembered.post('/auth/login', { login: 'ada@example.com', password: PASSWORD, rememberMe: true });
    clock.advance({ seconds: 3601 });
    expect((await browser.get('/me')).status).toBe(401);
    clock.advance({ days: 6, hours: 22 });
    expect((await remembered.get('/me')).status).toBe(200);
    clock.advance({ days: 7, seconds: 1 });
    expect((await remembered.get('/me')).status).toBe(401);
  });

  test('with lifetimeFrom creation, activity does not keep a session (D20)', async () => {
    const { browser, clock } = await settled({ session: { lifetimeFrom: 'creation' } });
    clock.advance({ minutes: 30 });
    expect((await browser.get('/me')).status).toBe(200);
    clock.advance({ minutes: 30, seconds: 1 });
    expect((await browser.get('/me')).status).toBe(401);
  });

  test('a revoked session is refused at once for unsafe methods and within 10 s elsewhere (SS-8)', async () => {
    const { app, browser, clock, authTuna, sessionId } = await settled();
    const sibling = at(await startSibling(app), browser);
    expect((await sibling.get('/me')).status).toBe(200);
    await authTuna.sessions.revoke(sessionId, SYSTEM);
    expect((await browser.get('/me')).status).toBe(401);
    expect((await sibling.post('/me/x')).status).toBe(401);
    clock.advance({ seconds: 10 });
    expect((await sibling.get('/me')).status).toBe(401);
  });

  test('a role taken away on one instance is refused at once for unsafe methods on the other (RB-8)', async () => {
    const { app, browser, clock, authTuna, user } = await settled({
      permissions: { project: ['read'] },
      roles: { reader: { permissions: ['project:read'] } },
    });
    const change = { userId: user.id, role: 'reader', scope: 'global' };
    await authTuna.roles.assign(change, SYSTEM);
    const sibling = at(
      await startSibling(app, {
        permissions: { project: ['read'] },
        roles: { reader: { permissions: ['project:read'] } },
      }),
      browser,
    );
    expect((await sibling.get('/projects/7')).status).toBe(200);
    await authTuna.roles.unassign(change, SYSTEM);
    expect((await sibling.post('/projects/7')).status).toBe(403);
    clock.advance({ seconds: 10 });
    expect((await sibling.get('/projects/7')).status).toBe(403);
  });

  test('logout is POST only, ends the row, clears the cookie, and kills copies (SS-9, D16)', async () => {
    const { browser, clock } = await settled();
    clock.advance({ seconds: 601 }); // a rotation is due, and no answer may bring the cookie back
    const copy = browser.stolen();
    expect((await browser.get('/auth/logout', { headers: { accept: 'application/json' } })).status).toBe(405);
    expect((await browser.get('/me')).status).toBe(200);
    const answer = await browser.post('/auth/logout');
    expect(answer.status).toBe(204);
    expect(answer.headers.get('clear-site-data')).toBe('"cache"');
    expect(answer.headers.getSetCookie()).toHaveLength(1);
    expect(sessionCookieOf(answer)).toMatch(/^at_sess=; Path=\/; HttpOnly; SameSite=Lax; Max-Age=0$/);
    expect(browser.jar.has('at_sess')).toBe(false);
    for (const refused of [await copy.get('/me'), await copy.post('/me/x')]) {
      expect(refused.status).toBe(401);
      expect(refused.headers.getSetCookie()).toEqual([]);
    }
    expect((await browser.post('/auth/logout')).status).toBe(204);
  });

  test('sessions are listed by an id that is no credential, and a foreign one is not found (SS-12)', async () => {
    const { app, authTuna, browser, user, sessionId } = await settled();
    const { user: other } = await app.signedIn('eve@example.com');
    const listed = await authTuna.sessions.list(user.id);
    const { rnd } = claimsOf(browser);
    const text = JSON.stringify(listed);
    expect(text).toContain(sessionId);
    for (const secret of [rnd, browser.jar.get('at_sess')?.split('.')[2], 'salt'] as string[])
      expect(text).not.toContain(secret);
    await expect(
      authTuna.sessions.revoke(sessionId, { userId: other.id, ip: null, userAgent: null }),
    ).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('a session whose epoch moved between the two reads behind a request is read again (DB-1)', async () => {
    const { app, browser, authTuna, user, sessionId, clock } = await settled();
    clock.advance({ seconds: 11 });
    const sibling = at(await startSibling(app), browser);
    const bursts = Array.from({ length: 5 }, async () => {
      await authTuna.sessions.revokeAll(user.id, SYSTEM, { except: sessionId });
      return Promise.all(Array.from({ length: 8 }, () => sibling.stolen().post('/me/x')));
    });
    const answers = (await Promise.all(bursts)).flat();
    expect(answers.filter(({ status }) => status === 401)).toEqual([]);
    expect((await sibling.get('/me')).status).toBe(200);
  });
});

describe('where a session is used', () => {
  const place: { now: Region | null | (() => Promise<never>) } = { now: { country: 'DE', network: 'AS1' } };
  const region = () => (typeof place.now === 'function' ? place.now() : place.now);

  test('thirty benign transitions neither end a session nor ask for a step-up (HJ-1)', async () => {
    place.now = { country: 'DE', network: 'AS1' };
    const { browser, clock } = await settled({ session: { region } });
    const agents = [
      FIREFOX_LINUX,
      FIREFOX_LINUX.replaceAll('140.0', '141.0'),
      FIREFOX_LINUX.replaceAll('140.0', '155.0'),
      FIREFOX_LINUX.replace('X11; Linux', 'X11; Ubuntu; Linux'),
      FIREFOX_LINUX.replaceAll('140.0', '115.0'),
    ];
    const places: (Region | null)[] = [
      { country: 'DE', network: 'AS1' },
      { country: 'DE', network: 'AS2' },
      { country: 'DE', network: 'AS3', relay: true },
      { country: 'FR', network: 'AS4', relay: true },
      { country: 'DE', network: 'AS1' },
      null,
    ];
    for (let i = 0; i < 30; i += 1) {
      clock.advance({ minutes: 7 });
      browser.userAgent = agents[i % agents.length] ?? FIREFOX_LINUX;
      place.now = places[i % places.length] ?? null;
      const headers: Record<string, string> =
        i % 3 === 0 ? { 'accept-language': i % 2 === 0 ? 'de' : 'en' } : {};
      expect((await browser.get('/me', { headers })).status, `transition ${i}`).toBe(200);
    }
  });

  test('another system in another country ends the session, with an audit entry (HJ-2, D19)', async () => {
    place.now = { country: 'DE', network: 'AS1' };
    const { app, browser, authTuna, sessionId } = await settled({ session: { region } });
    const thief = browser.stolen(CHROME_WINDOWS);
    place.now = { country: 'US', network: 'AS9' };
    expect((await thief.get('/me')).status).toBe(401);
    expect(await rowOf(app, sessionId)).toMatchObject({ revokedReason: 'device_changed' });
    expect((await authTuna.audit.list({ type: 'session.breached' })).items).toHaveLength(1);
    place.now = { country: 'DE', network: 'AS1' };
    expect((await browser.get('/me')).status).toBe(401);
  });

  test('another system alone locks the session until a step-up; it is not ended (HJ-2)', async () => {
    const { app, browser, sessionId, clock } = await settled();
    const other = browser.stolen(CHROME_WINDOWS);
    const answer = await other.get('/me');
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({
      code: 'recent_login_required',
      detail: expect.stringContaining('another browser or place'),
      stepUp: '/auth/step-up',
    });
    const locked = await rowOf(app, sessionId);
    expect(locked).toMatchObject({ revokedAt: null });
    // A rotation that comes due does not happen while it is locked.
    clock.advance({ seconds: 601 });
    expect((await browser.get('/me')).headers.getSetCookie()).toEqual([]);
    expect((await rowOf(app, sessionId))?.generation).toBe(locked?.generation);
    expect((await browser.post('/auth/logout')).status).toBe(204);
  });

  test('a user who is suspended in the database by hand is refused, although the session was not ended (D4)', async () => {
    const { app, browser, user, clock } = await settled();
    await inDatabase(app, (client) =>
      client.user.update({ where: { id: user.id }, data: { suspendedAt: clock.now() } }),
    );
    expect((await browser.post('/me/x')).status).toBe(401);
    clock.advance({ seconds: 11 });
    expect((await browser.get('/me')).status).toBe(401);
  });

  test('a change of country asks for a step-up at most once a day (HJ-1)', async () => {
    place.now = { country: 'DE', network: 'AS1' };
    const { app, browser, clock, sessionId } = await settled({ session: { region } });
    place.now = { country: 'JP', network: 'AS7' };
    clock.advance({ minutes: 5 });
    expect((await browser.get('/me')).status).toBe(401);
    const locked = await rowOf(app, sessionId);
    expect(locked).toMatchObject({ revokedAt: null });
    await inDatabase(app, (client) =>
      client.session.update({ where: { id: sessionId }, data: { lockedAt: null } }),
    );
    clock.advance({ minutes: 5 });
    expect((await browser.get('/me')).status).toBe(200);
    // The next day it is asked again.
    const aDayAgo = new Date(clock.now().getTime() - 86_400_000);
    await inDatabase(app, (client) =>
      client.session.update({ where: { id: sessionId }, data: { networkLockedAt: aDayAgo } }),
    );
    clock.advance({ seconds: 11 });
    const next = await browser.get('/me');
    expect([next.status, await codeOf(next)]).toEqual([401, 'recent_login_required']);
  });

  test('geo headers of a client count for nothing (HJ-3, D19)', async () => {
    const { app, browser, sessionId, clock } = await settled();
    const before = await rowOf(app, sessionId);
    clock.advance({ seconds: 11 });
    const headers = {
      'cf-ipcountry': 'KP',
      'cf-connecting-ip': '203.0.113.9',
      'x-geo-country': 'KP',
      'x-real-ip': '203.0.113.9',
      'x-forwarded-for': '203.0.113.9',
    };
    expect((await browser.get('/me', { headers })).status).toBe(200);
    const after = await rowOf(app, sessionId);
    expect(after?.fingerprint).toBe(before?.fingerprint);
    expect(after?.ip).not.toBe('203.0.113.9');
  });

  test('a resolver that fails or hangs is no information (HJ-4)', async () => {
    place.now = { country: 'DE', network: 'AS1' };
    const { browser, clock } = await settled({ session: { region } });
    place.now = () => Promise.reject(new Error('geo is down'));
    clock.advance({ seconds: 11 });
    expect((await browser.get('/me')).status).toBe(200);
    place.now = () => new Promise(() => {});
    clock.advance({ seconds: 11 });
    expect((await browser.get('/me')).status).toBe(200);
    expect((await browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD })).status).toBe(
      200,
    );
  });

  test('families only are stored with a session, and its address goes with it (HJ-4)', async () => {
    const { app, clock, authTuna, sessionId } = await settled();
    expect((await rowOf(app, sessionId))?.fingerprint).not.toContain('140');
    clock.advance({ days: 31 });
    await authTuna.jobs.run('clean-up');
    expect(await rowOf(app, sessionId)).toBeNull();
  });
});

test('a token is verified outside of a request too: the session while it lasts, null for everything else', async () => {
  const { app, browser, authTuna, sessionId } = await settled();
  const token = browser.jar.get('at_sess') ?? '';
  expect(await authTuna.sessions.verify(token)).toMatchObject({ id: sessionId, amr: ['pwd'] });
  for (const nothing of ['', 'a.b.c', `${token}x`, token.slice(0, -1)])
    expect(await authTuna.sessions.verify(nothing)).toBeNull();

  app.clock.advance({ seconds: 601 });
  expect(await authTuna.sessions.verify(token)).not.toBeNull();
  expect(claimsOfToken(token).gen).toBe((await rowOf(app, sessionId))?.generation); // it was not renewed behind the browser's back
  await authTuna.sessions.revoke(sessionId, SYSTEM);
  expect(await authTuna.sessions.verify(token)).toBeNull();
});
