import type { Express } from 'express';
import { expect, test } from 'vitest';
import { type AuthTuna, SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { enrolTotp, json } from '../../support/factors.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { startSocialApp } from '../../support/social.js';

const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1';

/** A second device of the same person. */
async function elsewhere(app: TestInstance, email: string, userAgent = SAFARI): Promise<Browser> {
  const browser = app.browser({ userAgent });
  await json(browser.post('/auth/login', { login: email, password: PASSWORD }), 200);
  return browser;
}

interface Listed {
  id: string;
  isCurrent: boolean;
  device: string;
}

async function sessionsOf(browser: Browser): Promise<Listed[]> {
  return (await json(browser.get('/account/sessions'), 200)).items;
}

test('the user sees their own data, and a browser is shown the page instead', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn('ada@example.com');
  const own = await json(browser.get('/account'), 200);
  expect(own).toMatchObject({ id: user.id, email: 'ada@example.com' });
  expect(Object.keys(own)).not.toContain('sessionEpoch');
  const opened = await browser.get('/account', { headers: { accept: 'text/html' } });
  expect([opened.status, opened.headers.get('location')]).toEqual([303, '/account/security']);
  for (const path of ['/account', '/account/sessions'])
    expect((await app.browser().get(path)).status).toBe(401);
  expect((await app.browser().delete('/account/sessions')).status).toBe(401);
  expect((await browser.post('/account', {})).status).toBe(405);
});

test('sessions are listed by a handle; no token, signature, rnd or salt is in the answer (SS-12)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const phone = await elsewhere(app, user.email);
  const response = await browser.get('/account/sessions');
  expect(response.headers.get('cache-control')).toBe('no-store');
  const text = await response.text();
  const { items, nextCursor } = JSON.parse(text) as { items: Listed[]; nextCursor: null };
  expect(nextCursor).toBeNull();
  expect(items.map(({ isCurrent }) => isCurrent).sort()).toEqual([false, true]);
  expect(items.find(({ isCurrent }) => isCurrent)?.device).toBe('Firefox on Linux');
  expect(items.find(({ isCurrent }) => !isCurrent)?.device).toMatch(/Safari/);
  expect(Object.keys(items[0] ?? {}).sort()).toEqual([
    'amr',
    'assuranceLevel',
    'authenticatedAt',
    'country',
    'createdAt',
    'device',
    'expiresAt',
    'id',
    'impersonatorId',
    'ip',
    'isCurrent',
    'kind',
    'lastSeenAt',
    'persistent',
    'userId',
  ]);
  const page = (await new PageVisitor(browser).open('/account/security')).html;
  for (const jar of [browser.jar, phone.jar])
    for (const value of jar.values())
      for (const part of value.split('.').filter((piece) => piece.length > 8)) {
        const isHandle = items.some(({ id }) => id === part);
        if (!isHandle) expect(text + page).not.toContain(part);
      }
});

test('one session is ended, and its browser is signed out (SS-12)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const phone = await elsewhere(app, user.email);
  const other = (await sessionsOf(browser)).find(({ isCurrent }) => !isCurrent);
  expect((await browser.delete(`/account/sessions/${other?.id}`)).status).toBe(204);
  expect((await phone.get('/me')).status).toBe(401);
  expect((await browser.delete(`/account/sessions/${other?.id}`)).status).toBe(204); // two tabs, one wish
  expect(await sessionsOf(browser)).toHaveLength(1);
});

test('a handle of another person is 404, also for who may manage sessions, and ends nothing (SS-12)', async () => {
  const app = await startApp();
  const { browser: ada, user } = await app.signedIn();
  const { browser: mallory, user: admin } = await app.signedIn();
  await app.authTuna.roles.assign({ userId: admin.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  const [own] = await sessionsOf(ada);
  const form = await new PageVisitor(mallory).open('/account/security');
  for (const id of [own?.id, 'nothing', '%00', 'a'.repeat(500), '..%2F..', user.id]) {
    const answer = await mallory.delete(`/account/sessions/${id}`);
    expect([id, answer.status]).toEqual([id, 404]);
    const posted = await new PageVisitor(mallory).postFields(`/account/sessions/${id}/revoke`, {
      csrfToken: form.csrfToken,
    });
    expect([id, posted.status]).toEqual([id, 404]);
  }
  expect((await ada.post('/me/x')).status).toBe(200);
});

test('all other sessions end at once, and the one that asked goes on (SS-10)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const others = [await elsewhere(app, user.email), await elsewhere(app, user.email)];
  expect((await browser.delete('/account/sessions')).status).toBe(204);
  for (const other of others) expect((await other.post('/me/x')).status).toBe(401);
  expect((await browser.post('/me/x')).status).toBe(200);
  expect((await browser.delete('/account/sessions')).status).toBe(204);
});

test('eleven minutes after the sign-in nothing is ended before a step-up (SS-12, MB-3)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const phone = await elsewhere(app, user.email);
  const other = (await sessionsOf(browser)).find(({ isCurrent }) => !isCurrent);
  app.clock.advance({ minutes: 11 });
  for (const answer of [
    await browser.delete('/account/sessions'),
    await browser.delete(`/account/sessions/${other?.id}`),
    await browser.post('/account/sessions/revoke-others', {}),
    await browser.post(`/account/sessions/${other?.id}/revoke`, {}),
    await browser.patch('/account', { username: 'ada' }),
  ]) {
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ code: 'recent_login_required', stepUp: '/auth/step-up' });
  }
  expect((await phone.post('/me/x')).status).toBe(200);
  expect(await sessionsOf(browser)).toHaveLength(2); // to look is free
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  expect((await browser.delete(`/account/sessions/${other?.id}`)).status).toBe(204);
  expect((await phone.post('/me/x')).status).toBe(401);
});

test('with a second factor enrolled a session of one factor ends nothing (MB-3)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  await enrolTotp(app, browser);
  const { session, token } = await app.authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
  const weak = app.browser();
  weak.jar.set([...browser.jar.keys()].find((name) => name.includes('at_sess')) ?? '', token);
  const answer = await weak.delete(`/account/sessions/${session.id}`);
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({ code: 'second_factor_required' });
});

test('by form, without a script: one device and then all others are signed out', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const visitor = new PageVisitor(browser);
  const phone = await elsewhere(app, user.email);
  const page = await visitor.open('/account/security');
  expect(page.status).toBe(200);
  expect(page.html).toContain('Firefox on Linux');
  expect(page.html.match(/This device/g)).toHaveLength(1);
  const action = /action="(\/account\/sessions\/[\w-]+\/revoke)"/.exec(page.html)?.[1] ?? '';
  const fields = { csrfToken: page.csrfToken };
  const ended = await visitor.postFields(action, fields);
  expect([ended.status, ended.headers.get('location')]).toEqual([303, '/account/security']);
  expect((await phone.post('/me/x')).status).toBe(401);

  const tablet = await elsewhere(app, user.email);
  const rest = await visitor.postFields('/account/sessions/revoke-others', fields);
  expect([rest.status, rest.headers.get('location')]).toEqual([303, '/account/security']);
  expect((await tablet.post('/me/x')).status).toBe(401);
  expect((await browser.post('/me/x')).status).toBe(200);
});

test('a form without its token, or with that of another session, ends nothing (CS-2)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const phone = await elsewhere(app, user.email);
  const visitor = new PageVisitor(browser);
  const own = await visitor.open('/account/security');
  const foreign = await new PageVisitor(phone).open('/account/security');
  const other = (await sessionsOf(browser)).find(({ isCurrent }) => !isCurrent);
  for (const path of ['/account/sessions/revoke-others', `/account/sessions/${other?.id}/revoke`]) {
    for (const fields of [{ x: '1' }, { csrfToken: foreign.csrfToken }] as Record<string, string>[])
      expect((await visitor.postFields(path, fields)).status).toBe(403);
    const crossSite = await visitor.postFields(
      path,
      { csrfToken: own.csrfToken },
      { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
    );
    expect(crossSite.status).toBe(403);
  }
  const script = await browser.delete('/account/sessions', {
    headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
  });
  expect(script.status).toBe(403);
  expect((await phone.post('/me/x')).status).toBe(200);
});

test('a form with an old proof leads through the step-up back to the page', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  await elsewhere(app, user.email);
  const visitor = new PageVisitor(browser);
  const page = await visitor.open('/account/security');
  app.clock.advance({ minutes: 11 });
  const answer = await visitor.postFields('/account/sessions/revoke-others', { csrfToken: page.csrfToken });
  expect([answer.status, answer.headers.get('location')]).toEqual([
    303,
    '/auth/step-up?returnTo=%2Faccount%2Fsecurity%3Fconfirmed%3Dagain',
  ]);
  const step = await visitor.open('/auth/step-up?returnTo=%2Faccount%2Fsecurity%3Fconfirmed%3Dagain');
  const done = await visitor.submit(step, { password: PASSWORD });
  expect([done.status, done.headers.get('location')]).toEqual([303, '/account/security?confirmed=again']);
});

test('a browser that is not signed in comes back to the page after signing in', async () => {
  const app = await startApp();
  const answer = await app.browser().get('/account/security', { headers: { accept: 'text/html' } });
  expect([answer.status, answer.headers.get('location')]).toEqual([
    303,
    '/auth/login?returnTo=%2Faccount%2Fsecurity',
  ]);
});

test('the username follows the rules of sign-up, and a taken one is told', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  await app.authTuna.users.create({ email: 'bob@example.com', username: 'bob' });
  expect(await json(browser.patch('/account', { username: 'Ada.L' }), 200)).toMatchObject({
    username: 'ada.l',
  });
  expect(await json(browser.get('/account'), 200)).toMatchObject({ username: 'ada.l' });
  expect(await json(browser.patch('/account', { username: 'bob' }), 409)).toMatchObject({
    field: 'username',
  });
  for (const body of [{ username: 'not a name' }, { username: 5 }, {}, { email: 'eve@example.com' }])
    expect((await browser.patch('/account', body)).status).toBe(422);
  expect(await json(browser.patch('/account', { username: null }), 200)).toMatchObject({ username: null });

  const without = await startApp({ signUp: { username: 'off' } });
  const { browser: eve } = await without.signedIn();
  await json(eve.patch('/account', { username: 'eve' }), 422);
  const needed = await startApp({ signUp: { username: 'required' } });
  const { browser: mia } = await needed.signedIn();
  await json(mia.patch('/account', { username: null }), 422);
});

test('the page and its navigation lead only to what is mounted; pages: false leaves them out', async () => {
  const only = (pages: boolean) => ({
    isBare: true,
    routes(app: Express, authTuna: AuthTuna) {
      app.use('/auth', authTuna.routers.auth());
      app.use('/auth/passkeys', authTuna.routers.passkeys({ pages }));
      app.use('/account', authTuna.routers.account({ pages }));
      app.get('/account/billing', (_req, res) => void res.send('the host'));
    },
  });
  const app = await startApp({}, only(true));
  const { browser, user } = await app.signedIn();
  const { html } = await new PageVisitor(browser).open('/account/security');
  expect(html).toContain('Two-step sign-in');
  expect(html).toContain('href="/auth/passkeys/manage"');
  expect(html).toContain('href="/auth/change-password?returnTo=%2Faccount%2Fsecurity"');
  expect(html).not.toContain('/auth/mfa');
  expect((await new PageVisitor(browser).open('/auth/passkeys/manage')).html).toContain(
    'href="/account/security"',
  );
  const host = await browser.get('/account/billing');
  expect([await host.text(), host.headers.get('content-security-policy')]).toEqual(['the host', null]);

  const bare = await startApp({}, only(false));
  const { browser: script } = await bare.signedIn(user.email);
  expect((await script.get('/account/security')).status).toBe(404);
  const [own] = await sessionsOf(script);
  expect((await script.post(`/account/sessions/${own?.id}/revoke`, {})).status).toBe(404);
  expect((await script.get('/account', { headers: { accept: 'text/html' } })).status).toBe(200);
});

test('every link and form of the page leads to a route that exists', async () => {
  const app = await startSocialApp();
  const { browser } = await app.signedIn();
  await enrolTotp(app, browser);
  const { html } = await new PageVisitor(browser).open('/account/security');
  const links = [...html.matchAll(/href="(\/a[^"]*)"/g)].map(([, path = '']) => path);
  expect(links.length).toBeGreaterThan(4);
  for (const path of links) {
    const answer = await browser.get(path, { headers: { accept: 'text/html' } });
    // A choice of language comes back to the page.
    expect([path, answer.status]).toEqual([path, path.startsWith('/auth/language/') ? 303 : 200]);
  }
  const forms = [...html.matchAll(/action="([^"]+)"/g)].map(([, path = '']) => path);
  expect(forms).toContain('/auth/social/oidc/link');
  for (const path of forms) {
    const answer = await new PageVisitor(browser).postFields(path, { csrfToken: 'forged' });
    expect([path, answer.status]).toEqual([path, 403]); // there, and guarded
  }
});

test('an identity is linked and unlinked from the page; the policy names its provider, and no other page does (OA-9)', async () => {
  const app = await startSocialApp();
  const { browser, user } = await app.signedIn();
  const visitor = new PageVisitor(browser);
  const page = await visitor.open('/account/security');
  const policy = page.headers.get('content-security-policy');
  expect(policy).toContain(`form-action 'self' ${new URL(app.idp.issuer).origin};`);
  expect((await visitor.open('/auth/passkeys/manage')).headers.get('content-security-policy')).toContain(
    "form-action 'self';",
  );
  const fields = { csrfToken: page.csrfToken };
  const start = await visitor.postFields('/auth/social/oidc/link', fields);
  expect(start.status).toBe(303);
  const callback = await app.idp.visit(start.headers.get('location') ?? '');
  expect((await visitor.open(callback.slice(app.url.length))).html).toContain('ada@example.com');
  const [linked] = await app.authTuna.social.list(user.id);
  expect(linked?.provider).toBe('oidc');

  const gone = await visitor.postFields('/auth/social/oidc/unlink', fields);
  expect([gone.status, gone.headers.get('location')]).toEqual([303, '/account/security']);
  expect(await app.authTuna.social.list(user.id)).toEqual([]);
  app.clock.advance({ minutes: 11 });
  for (const path of ['/auth/social/oidc/link', '/auth/social/oidc/unlink'])
    expect((await visitor.postFields(path, fields)).headers.get('location')).toBe(
      '/auth/step-up?returnTo=%2Faccount%2Fsecurity%3Fconfirmed%3Dagain',
    );
});
