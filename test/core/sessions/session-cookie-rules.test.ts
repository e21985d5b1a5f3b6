import { expect, test } from 'vitest';
import type { SessionRow } from '../../../src/core/sessions/session-row.js';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { json } from '../../support/factors.js';
import { COOKIE, claimsOf, inDatabase, sessionCookieOf } from '../../support/sessions.js';

// The five rules about the cookie without which a sound protocol would still lose people: a late or careless Set-Cookie undoes it.

async function settled() {
  const calls = { handled: 0 };
  const held: (() => void)[] = [];
  const app: TestInstance = await startApp(
    {},
    {
      routes: (express, tuna) => {
        express.get('/slow/:seconds', tuna.requireUser(), (req, res) => {
          app.clock.advance({ seconds: Number(req.params.seconds) });
          res.setHeader('Cache-Control', 'public, max-age=600'); // as a careless handler does
          res.json({});
        });
        express.get('/held', tuna.requireUser(), (_req, res) => void held.push(() => res.json({})));
        express.get('/counted', tuna.requireUser(), (_req, res) => {
          calls.handled += 1;
          res.json({});
        });
      },
    },
  );
  const { browser, user } = await app.signedIn('ada@example.com');
  expect((await browser.get('/me')).status).toBe(200);
  return { app, browser, user, calls, held, clock: app.clock, authTuna: app.authTuna };
}

/** Asks without keeping what comes back, as a browser whose answer was lost. */
const lost = (browser: Browser, path = '/me') => browser.stolen().get(path);

test('W1: of 120 requests in an hour those alone set the cookie that rotate it; idle time moves in the row', async () => {
  const { app, browser, clock } = await settled();
  let written = 0;
  for (let i = 0; i < 120; i += 1) {
    clock.advance({ seconds: 30 });
    if (sessionCookieOf(await browser.get('/me')) !== undefined) written += 1;
  }
  const { gen, sid } = claimsOf(browser);
  expect(written).toBe(gen);
  expect(gen).toBeGreaterThanOrEqual(5); // every 5 to 10 minutes, at the next request
  expect(gen).toBeLessThanOrEqual(12);
  const row = await inDatabase(
    app,
    (client) => client.session.findUniqueOrThrow({ where: { id: sid } }) as Promise<SessionRow>,
  );
  expect(clock.now().getTime() - row.lastSeenAt.getTime()).toBeLessThanOrEqual(330_000);
});

test('W1: without rotation no answer after the sign-in sets it, and activity keeps the session', async () => {
  const app = await startApp({ session: { rotateSeconds: 0, idleSeconds: 3600 } });
  const { browser } = await app.signedIn();
  for (let i = 0; i < 12; i += 1) {
    app.clock.advance({ minutes: 30 });
    const answer = await browser.get('/me');
    expect(answer.status).toBe(200);
    expect(sessionCookieOf(answer)).toBeUndefined();
  }
});

test('W2: an answer that comes later than G after the decision carries no cookie, and the old one fetches the successor', async () => {
  const { app, browser, clock } = await settled();
  const before = claimsOf(browser).gen;
  clock.advance({ seconds: 601 });
  expect(sessionCookieOf(await browser.get('/slow/31'))).toBeUndefined();
  expect(claimsOf(browser).gen).toBe(before);
  const next = await browser.get('/me');
  expect(next.status).toBe(200);
  expect(sessionCookieOf(next)).toBeDefined();
  expect(claimsOf(browser).gen).toBe(before + 1);
  expect((await browser.get('/me')).status).toBe(200);

  clock.advance({ seconds: 601 });
  expect(sessionCookieOf(await browser.get('/slow/30'))).toBeDefined();
  expect((await browser.get('/me')).status).toBe(200);
  expect(app.logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

test('W2: an answer that a step-up or a new sign-in overtook puts no older cookie back', async () => {
  const { browser, clock, held } = await settled();
  const overtaking = [
    () => browser.post('/auth/step-up', { password: PASSWORD }),
    () => browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD }),
  ];
  for (const overtake of overtaking) {
    clock.advance({ seconds: 601 });
    const slow = browser.get('/held'); // due for a rotation
    await expect.poll(() => held.length).toBe(1);
    expect((await overtake()).status).toBe(200);
    held.pop()?.();
    expect(sessionCookieOf(await slow)).toBeUndefined();
    expect((await browser.post('/me/x')).status).toBe(200);
  }
});

test('W3: no refusal takes the cookie away, whatever it is about; the answer to a logout does', async () => {
  const { app, browser, clock, authTuna } = await settled();
  const untouched = async (who: Browser, code: string) => {
    const answer = await who.get('/me');
    expect(answer.status, code).toBe(401);
    expect(answer.headers.getSetCookie(), code).toEqual([]);
    expect(await answer.json()).toMatchObject({ code });
  };
  const old = browser.stolen();
  clock.advance({ seconds: 601 });
  await browser.get('/me');
  await browser.get('/me');
  clock.advance({ seconds: 31 });
  await untouched(old, 'superseded');
  clock.advance({ seconds: 180 });
  await untouched(old, 'session_revoked'); // a copy: breach
  await untouched(browser, 'session_revoked');

  const forged = browser.stolen();
  forged.jar.set(COOKIE, `${forged.jar.get(COOKIE)}x`);
  await untouched(forged, 'unauthenticated');

  const idle = (await app.signedIn()).browser;
  clock.advance({ seconds: 3601 });
  await untouched(idle, 'unauthenticated');

  const suspended = await app.signedIn();
  await authTuna.users.suspend(suspended.user.id, 'spam', SYSTEM);
  await untouched(suspended.browser, 'session_revoked');

  const leaving = (await app.signedIn()).browser;
  const answer = await leaving.post('/auth/logout');
  expect(answer.status).toBe(204);
  expect(sessionCookieOf(answer)).toMatch(/^at_sess=; .*Max-Age=0$/);
});

test('W4: whatever a handler says about caches, an answer that carries the cookie is stored by none', async () => {
  const { browser, clock } = await settled();
  const plain = await browser.get('/slow/0');
  expect(sessionCookieOf(plain)).toBeUndefined();
  expect(plain.headers.get('cache-control')).toBe('public, max-age=600');
  clock.advance({ seconds: 601 });
  const rotating = await browser.get('/slow/0');
  expect(sessionCookieOf(rotating)).toBeDefined();
  expect(rotating.headers.get('cache-control')).toBe('no-store');
});

test('W5: superseded is decided before the handler runs, and a page that meets it loads itself once more', async () => {
  const { browser, clock, calls } = await settled();
  const old = browser.stolen();
  clock.advance({ seconds: 601 });
  await browser.get('/me');
  await browser.get('/me');
  clock.advance({ seconds: 31 });
  const refused = await old.get('/counted');
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ code: 'superseded' });
  expect(calls.handled).toBe(0);
  const page = await old.get('/counted', { headers: { accept: 'text/html', 'sec-fetch-dest': 'document' } });
  expect(page.status).toBe(401);
  const html = await page.text();
  expect(html).toContain('data-reload-once');
  const scripts = [...html.matchAll(/<script[^>]+src="([^"]+)"/g)].map(([, path]) => path ?? '');
  const sources = await Promise.all(scripts.map(async (path) => (await browser.get(path)).text()));
  expect(sources.join('\n')).toMatch(/reload-?once/i);
  // The tab has the other tab's cookie by then.
  old.jar.set(COOKIE, browser.jar.get(COOKIE) ?? '');
  expect((await old.get('/counted')).status).toBe(200);
});

test('a cookie from before an elevation is refused without harm until S, and is proof of a copy afterwards (SS-14)', async () => {
  const { app, browser, clock } = await settled();
  const copy = browser.stolen();
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  for (let i = 0; i < 3; i += 1) {
    const answer = await copy.post('/me/x');
    expect(await answer.json()).toMatchObject({ status: 401, code: 'superseded' });
    expect(answer.headers.getSetCookie()).toEqual([]);
  }
  // As long as the elevated cookie was never seen, its answer may have been lost: nobody is accused.
  clock.advance({ seconds: 600 });
  expect(await (await copy.get('/me')).json()).toMatchObject({ code: 'superseded' });
  expect((await browser.post('/me/x')).status).toBe(200);
  clock.advance({ seconds: 180 });
  expect(await (await copy.get('/me')).json()).toMatchObject({ code: 'superseded' });
  clock.advance({ seconds: 1 });
  expect(await (await copy.get('/me')).json()).toMatchObject({ code: 'session_revoked' });
  expect((await browser.post('/me/x')).status).toBe(401);
  const [entry] = (await app.authTuna.audit.list({ type: 'session.breached' })).items;
  expect(entry?.targetId).toBe(claimsOf(browser).sid);
});

test('an elevation that is due for a rotation as well takes two steps, and nobody is taken for a thief (SS-14)', async () => {
  const { app, browser, clock } = await settled();
  clock.advance({ seconds: 601 });
  const before = claimsOf(browser).gen;
  const underWay = browser.stolen(); // what another tab had sent before the answer arrived
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  expect(claimsOf(browser).gen).toBe(before + 2);
  for (const answer of [await underWay.get('/me'), await underWay.post('/me/x')])
    expect(await answer.json()).toMatchObject({ status: 401, code: 'superseded' });
  expect((await browser.post('/me/x')).status).toBe(200);

  // The answer that is lost costs a sign-in, as sessions.md says, and no accusation.
  clock.advance({ seconds: 601 });
  expect((await browser.stolen().post('/auth/step-up', { password: PASSWORD })).status).toBe(200);
  expect(await (await browser.post('/me/x')).json()).toMatchObject({ code: 'superseded' });
  await json(browser.post('/auth/login', { login: 'ada@example.com', password: PASSWORD }), 200);
  expect((await app.authTuna.audit.list({ type: 'session.breached' })).items).toEqual([]);

  // Once the successor has been in use for S, one from two before is a copy.
  clock.advance({ seconds: 601 });
  await browser.get('/me');
  const copy = browser.stolen();
  clock.advance({ seconds: 601 });
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  expect((await browser.post('/me/x')).status).toBe(200);
  clock.advance({ seconds: 181 });
  expect(await (await copy.get('/me')).json()).toMatchObject({ code: 'session_revoked' });
});

test('an answer that was lost on the way, again and again, loses nobody (SS-3)', async () => {
  const { browser, clock } = await settled();
  for (let round = 0; round < 5; round += 1) {
    clock.advance({ seconds: 601 });
    const gens = new Set<number>();
    for (let i = 0; i < 4; i += 1) {
      clock.advance({ seconds: 400 });
      const answer = await lost(browser);
      expect(answer.status).toBe(200);
      gens.add(claimsOf(browser).gen);
    }
    expect(gens.size).toBe(1);
    clock.advance({ seconds: 10 }); // this instance remembers what it has just checked
    expect(sessionCookieOf(await browser.get('/me'))).toBeDefined();
    expect((await browser.get('/me')).status).toBe(200);
  }
});
