import { expect, test } from 'vitest';
import { oidc, SYSTEM } from '../../../src/index.js';
import { TestClock, TestMailbox } from '../../../src/testing/index.js';
import { startAcme } from '../../support/acme.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { CLIENT, startOpenIdProvider } from '../../support/openid-provider.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { startSocialApp } from '../../support/social.js';

const withMail = () => ({ mail: { from: 'app@example.com', transport: new TestMailbox() } });

test('the first sign-in makes an account, the second finds it', async () => {
  const { browser, signIn, authTuna } = await startSocialApp();
  const first = browser();
  const answer = await signIn(first, undefined, '?returnTo=%2Freports%3Fyear%3D2030');
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe('/reports?year=2030');
  const me = (await (await first.get('/me')).json()) as {
    id: string;
    email: string;
    emailVerifiedAt: string;
  };
  expect(me).toMatchObject({ email: 'ada@example.com', emailVerifiedAt: expect.any(String) });

  const second = browser();
  expect((await signIn(second)).status).toBe(303);
  expect(((await (await second.get('/me')).json()) as { id: string }).id).toBe(me.id);
  expect((await authTuna.users.list()).items).toHaveLength(1);
  expect(await authTuna.social.list(me.id)).toMatchObject([
    { provider: 'oidc', email: 'ada@example.com', name: 'Ada' },
  ]);
  const { amr } = (await authTuna.sessions.list(me.id))[0]!;
  expect(amr).toEqual(['social']);
});

test('two people with one name are two people (D9)', async () => {
  const { browser, signIn, authTuna } = await startSocialApp();
  for (const sub of ['john-1', 'john-2'])
    expect(
      (
        await signIn(browser(), {
          sub,
          email: `${sub}@example.com`,
          email_verified: true,
          name: 'John Smith',
        })
      ).status,
    ).toBe(303);
  expect((await authTuna.users.list()).items).toHaveLength(2);
});

test('a callback works once, in the browser and for the provider it was begun with, for ten minutes (OA-1)', async () => {
  const { browser, toCallback, clock } = await startSocialApp();
  const ada = browser();
  const callback = await toCallback(ada);
  for (const refused of [browser(), ada.stolen()]) {
    if (refused.jar.size > 0) refused.jar.set('at_flow', 'x'.repeat(43));
    const answer = await refused.get(callback);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'invalid_token' });
    expect((await refused.get('/me')).status).toBe(401);
  }
  const changed = await ada.get(
    callback.replace(/state=([^&]+)/, (_all, state: string) => `state=${state.slice(0, -2)}xx`),
  );
  expect(changed.status).toBe(400);
  expect((await ada.get(callback)).status).toBe(303);
  const replayed = ada.stolen();
  replayed.jar.delete('at_sess');
  expect((await replayed.get(callback)).status).toBe(400);
  expect((await replayed.get('/me')).status).toBe(401);

  const late = browser();
  const lateCallback = await toCallback(late);
  clock.advance({ minutes: 10, seconds: 1 });
  expect((await late.get(lateCallback)).status).toBe(400);
  expect((await late.get('/me')).status).toBe(401);
});

test('of twenty racing callbacks one signs in (OA-1)', async () => {
  const { browser, toCallback, authTuna } = await startSocialApp();
  const ada = browser();
  const callback = await toCallback(ada);
  const answers = await Promise.all(Array.from({ length: 20 }, () => ada.stolen().get(callback)));
  expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
  expect((await authTuna.users.list()).items).toHaveLength(1);
});

test('linking is POST, and a start changes nothing but its own row (OA-1)', async () => {
  const { signedIn, browser } = await startSocialApp();
  const { browser: ada } = await signedIn();
  expect((await ada.get('/auth/social/oidc/link')).status).toBe(405);
  const forged = await ada.post('/auth/social/oidc/link', undefined, {
    headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
  });
  expect(forged.status).toBe(403);
  expect((await browser().post('/auth/social/oidc/link', {})).status).toBe(401);
});

test('every authorization request carries an S256 challenge, and the provider checks the verifier (OA-2)', async () => {
  const { browser } = await startSocialApp();
  const start = await browser().get('/auth/social/oidc/login');
  const url = new URL(start.headers.get('location') ?? '');
  expect(url.searchParams.get('code_challenge_method')).toBe('S256');
  expect(url.searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/);
  expect(url.searchParams.get('nonce')).toMatch(/^[\w-]{43}$/);
  expect(start.headers.getSetCookie().join()).toMatch(/at_flow=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax/);
});

test('an answer for one provider is nothing for another (OA-4)', async () => {
  const [a, b] = [await startOpenIdProvider(), await startOpenIdProvider()];
  const providers = [
    oidc({ id: 'a', issuer: a.issuer, ...CLIENT }),
    oidc({ id: 'b', issuer: b.issuer, ...CLIENT }),
  ];
  const { browser, url } = await startApp({ social: { providers } }, { clock: new TestClock(new Date()) });
  await a.allow(`${url}/auth/social/a/callback`);
  await b.allow(`${url}/auth/social/b/callback`);
  const callbackOf = async (ada: ReturnType<typeof browser>) => {
    const start = await ada.get('/auth/social/a/login');
    return (await a.visit(start.headers.get('location') ?? '')).slice(url.length);
  };
  const ada = browser();
  a.requests.length = 0;
  const otherPath = (await callbackOf(ada)).replace('/a/callback', '/b/callback');
  expect((await ada.get(otherPath)).status).toBe(400);
  const otherIssuer = (await callbackOf(ada)).replace(/iss=[^&]+/, `iss=${encodeURIComponent(b.issuer)}`);
  expect((await ada.get(otherIssuer)).status).toBe(400);
  const noIssuer = (await callbackOf(ada)).replace(/&iss=[^&]+/, '');
  expect((await ada.get(noIssuer)).status).toBe(400);
  expect([...a.requests, ...b.requests].filter((request) => request === 'POST /token')).toEqual([]);
  expect((await ada.get('/me')).status).toBe(401);
});

test('a canceled consent is said kindly, in our words, and is over', async () => {
  const { browser, toCallback, idp } = await startSocialApp();
  idp.consents = false;
  const ada = browser();
  const callback = await toCallback(ada);
  const answer = await ada.get(callback);
  expect(answer.status).toBe(400);
  const problem = await answer.text();
  expect(problem).toContain('was canceled');
  expect(problem).not.toContain('script');
  expect((await ada.get(callback)).status).toBe(400);
});

test('a code that the provider no longer accepts signs nobody in', async () => {
  const { browser, signIn, idp } = await startSocialApp();
  idp.expiresCodes = true;
  const ada = browser();
  expect((await signIn(ada)).status).toBe(400);
  expect((await ada.get('/me')).status).toBe(401);
});

test('keys that the provider has changed are fetched again', async () => {
  const { browser, signIn, idp, clock } = await startSocialApp();
  expect((await signIn(browser())).status).toBe(303);
  await idp.rotateKeys();
  clock.advance({ seconds: 31 });
  expect((await signIn(browser())).status).toBe(303);
  expect((await signIn(browser())).status).toBe(303);
  expect(idp.requests.filter((request) => request.endsWith('/jwks'))).toHaveLength(2);
});

test('the identity finds the account, whatever its address is by now (OA-5, D9)', async () => {
  const { browser, signIn, authTuna } = await startSocialApp({ social: { linkVerifiedEmails: true } });
  const ada = browser();
  expect((await signIn(ada, { sub: 'ada-1', email: 'ada@example.com', email_verified: true })).status).toBe(
    303,
  );
  await authTuna.users.create({ email: 'victim@example.com', password: PASSWORD, emailVerified: true });
  const again = browser();
  expect(
    (await signIn(again, { sub: 'ada-1', email: 'victim@example.com', email_verified: true })).status,
  ).toBe(303);
  expect(await (await again.get('/me')).json()).toMatchObject({ email: 'ada@example.com' });
  expect((await authTuna.users.list()).items).toHaveLength(2);
});

for (const option of [false, true]) {
  for (const local of [false, true]) {
    for (const theirs of [false, true]) {
      const links = option && local && theirs;
      test(`equal addresses, ${option ? '' : 'not '}allowed to meet, ours ${local ? '' : 'un'}proved, theirs ${theirs ? '' : 'un'}proved: ${links ? 'linked' : 'not linked'} (OA-6)`, async () => {
        const idp = await startOpenIdProvider();
        const app = await startApp(
          { social: { providers: [oidc({ issuer: idp.issuer, ...CLIENT })], linkVerifiedEmails: option } },
          { clock: new TestClock(new Date()) },
        );
        await idp.allow(`${app.url}/auth/social/oidc/callback`);
        const user = await app.authTuna.users.create({
          email: 'ada@example.com',
          password: PASSWORD,
          emailVerified: local,
        });
        const ada = app.browser();
        idp.person = { sub: 'ada-1', email: 'Ada@Example.com', email_verified: theirs };
        const start = await ada.get('/auth/social/oidc/login');
        const answer = await ada.get(
          (await idp.visit(start.headers.get('location') ?? '')).slice(app.url.length),
        );
        expect(answer.status).toBe(links ? 303 : 409);
        if (!links) expect(await answer.text()).toContain('then link');
        expect((await ada.get('/me')).status).toBe(links ? 200 : 401);
        expect(await app.authTuna.social.list(user.id)).toHaveLength(links ? 1 : 0);
      });
    }
  }
}

test('only the boolean true of email_verified is verified (OA-7)', async () => {
  const { browser, signIn, authTuna } = await startSocialApp({ signUp: { requireVerifiedEmail: false } });
  for (const [index, said] of [false, 'false', 'true', undefined, 1, null].entries()) {
    const email = `person${index}@example.com`;
    await signIn(browser(), { sub: email, email, ...(said !== undefined && { email_verified: said }) });
    expect((await authTuna.users.findByEmail(email))?.emailVerifiedAt, String(said)).toBeNull();
  }
});

test('an unproved address waits for its confirmation, and a missing one makes no account (OA-7)', async () => {
  const { browser, signIn, authTuna } = await startSocialApp(withMail());
  const ada = browser();
  const answer = await signIn(ada, { sub: 'ada-1', email: 'ada@example.com', email_verified: false });
  expect(answer.status).toBe(403);
  expect(await answer.json()).toMatchObject({ code: 'email_not_verified' });
  expect((await ada.get('/me')).status).toBe(401);
  const none = await signIn(browser(), { sub: 'bob-1' });
  expect(none.status).toBe(422);
  expect((await authTuna.users.list()).items).toHaveLength(1);
});

test('whether an account exists is not told to somebody whose provider has not proved the address', async () => {
  const { browser, signIn, authTuna } = await startSocialApp(withMail());
  await authTuna.users.create({ email: 'known@example.com', password: PASSWORD, emailVerified: true });
  const bodies = [];
  for (const email of ['known@example.com', 'unknown@example.com']) {
    const answer = await signIn(browser(), { sub: `sub of ${email}`, email, email_verified: false });
    bodies.push([answer.status, await answer.text()]);
  }
  expect(bodies[0]).toEqual(bodies[1]);
});

/** One of each kind that test/http/answer/return-to.test.ts tries. */
const SOME_REDIRECTS = [
  '//e.example',
  '/\\e.example',
  '/\t/e.example',
  'javascript:alert(1)',
  '/%0d%0aLocation:https://e.example',
];

/** Asserts that a browser at our page which is sent there stays on this site. */
function expectOwn(location: string, payload: string): void {
  expect(new URL(location, 'http://own.example').origin, payload).toBe('http://own.example');
  expect(location, payload).toMatch(/^\/(?![/\\])/);
}

test('the way back from a sign-in stays on this site (OA-8, D10)', async () => {
  const { browser, signIn } = await startSocialApp();
  for (const payload of SOME_REDIRECTS) {
    const answer = await signIn(browser(), undefined, `?returnTo=${encodeURIComponent(payload)}`);
    expect(answer.status).toBe(303);
    expectOwn(answer.headers.get('location') ?? '', payload);
  }
});

test('a way back that cannot be stored is refused (OA-8)', async () => {
  const { browser } = await startSocialApp();
  const answer = await browser().get('/auth/social/oidc/login?returnTo=/%00/e.example');
  expect([answer.status, answer.headers.get('location')]).toEqual([422, null]);
});

test('the way back from linking stays on this site, for scripts and for forms (OA-8, D10)', async () => {
  const { signedIn, idp, url } = await startSocialApp({
    rateLimits: { social: { limit: 1000, windowSeconds: 60 } },
  });
  const { browser } = await signedIn();
  const visitor = new PageVisitor(browser);
  const { csrfToken } = await visitor.open('/account/security');
  for (const [index, payload] of SOME_REDIRECTS.entries()) {
    idp.person = { sub: `sub ${index}`, email: 'x@example.com', email_verified: true };
    const byForm = await visitor.postFields('/auth/social/oidc/link', { csrfToken, returnTo: payload });
    const byScript = await browser.post('/auth/social/oidc/link', { returnTo: payload });
    const { url: second } = (await byScript.json()) as { url: string };
    for (const start of [byForm.headers.get('location') ?? '', second]) {
      const answer = await browser.get((await idp.visit(start)).slice(url.length));
      expect(answer.status, payload).toBe(303);
      expectOwn(answer.headers.get('location') ?? '', payload);
    }
    expect((await browser.delete('/auth/social/oidc')).status).toBe(204);
  }
});

test("the way to an organization's provider, and the way back, stay on this site (OA-8, D10)", async () => {
  const { browser, idp, url, connection } = await startAcme();
  const visitor = new PageVisitor(browser());
  for (const payload of SOME_REDIRECTS) {
    const query = `email=bob%40acme.example&returnTo=${encodeURIComponent(payload)}`;
    const page = await visitor.open(`/auth/social/sso/login?${query}`);
    const continueUrl = (page.headers.get('refresh') ?? '').slice('0; url='.length);
    expect(continueUrl.startsWith(`/auth/social/${connection.provider}/login?`), payload).toBe(true);
    expectOwn(new URL(continueUrl, url).searchParams.get('returnTo') ?? '/', payload);
    const start = await visitor.browser.get(`/auth/social/sso/login?${query}`);
    const back = (await idp.visit(start.headers.get('location') ?? '')).slice(url.length);
    const answer = await visitor.browser.get(back);
    expect(answer.status, payload).toBe(303);
    expectOwn(answer.headers.get('location') ?? '', payload);
  }
});

test('a suspended user is refused after the provider, as after a password (D9)', async () => {
  const { browser, signIn, authTuna } = await startSocialApp();
  await signIn(browser());
  const user = await authTuna.users.findByEmail('ada@example.com');
  await authTuna.users.suspend(user!.id, 'abuse', SYSTEM);
  const ada = browser();
  expect((await signIn(ada)).status).toBe(403);
  expect((await ada.get('/me')).status).toBe(401);
});

test('sign-up that is closed stays closed to newcomers from providers', async () => {
  const { browser, signIn, authTuna } = await startSocialApp({ signUp: { enabled: false } });
  expect((await signIn(browser())).status).toBe(403);
  expect((await authTuna.users.list()).items).toHaveLength(0);
});
