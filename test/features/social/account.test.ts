import { expect, onTestFinished, test, vi } from 'vitest';
import { oidc, SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { openDatabase } from '../../support/database.js';
import { CLIENT } from '../../support/openid-provider.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { type SocialApp, startSocialApp } from '../../support/social.js';

/** Goes through the provider to link, and gives the answer of the callback. */
async function link({ idp, url }: SocialApp, browser: Browser): Promise<Response> {
  const start = await browser.post('/auth/social/oidc/link', {});
  const { url: target } = (await start.json()) as { url: string };
  return browser.get((await idp.visit(target)).slice(url.length));
}

test('a linked identity is a further way into the same account, and its owner is told', async () => {
  const mailbox = new TestMailbox();
  const app = await startSocialApp({ mail: { from: 'app@example.com', transport: mailbox } });
  const { user, browser } = await app.signedIn('grace@example.com');
  const answer = await link(app, browser);
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe('/account/security');
  expect(await (await browser.get('/auth/social')).json()).toMatchObject({
    accounts: [{ provider: 'oidc', email: 'ada@example.com' }],
    providers: [{ id: 'oidc', name: 'Single sign-on' }],
  });
  const other = app.browser();
  expect((await app.signIn(other)).status).toBe(303);
  expect(await (await other.get('/me')).json()).toMatchObject({ id: user.id });
  expect((await app.authTuna.audit.list({ type: 'social.linked' })).items).toHaveLength(1);
  await expect.poll(() => mailbox.latestTo('grace@example.com')?.subject).toContain('linked');
});

test('an identity belongs to one account, and an account has one of each provider', async () => {
  const app = await startSocialApp();
  const { browser: ada } = await app.signedIn();
  const { browser: bob } = await app.signedIn();
  expect((await link(app, ada)).status).toBe(303);
  expect((await link(app, bob)).status).toBe(409);
  expect((await ada.post('/auth/social/oidc/link', {})).status).toBe(409);
});

test('of two accounts that link one identity at the same moment one gets it', async () => {
  const app = await startSocialApp();
  const people = [await app.signedIn(), await app.signedIn()];
  const callbacks: string[] = [];
  for (const { browser } of people) {
    const { url } = (await (await browser.post('/auth/social/oidc/link', {})).json()) as { url: string };
    callbacks.push((await app.idp.visit(url)).slice(app.url.length));
  }
  const answers = await Promise.all(people.map(({ browser }, index) => browser.get(callbacks[index]!)));
  expect(answers.map(({ status }) => status).sort()).toEqual([303, 409]);
});

test('linking ends in the session in which it began', async () => {
  const app = await startSocialApp();
  const { browser, user } = await app.signedIn();
  const { url } = (await (await browser.post('/auth/social/oidc/link', {})).json()) as { url: string };
  const callback = (await app.idp.visit(url)).slice(app.url.length);
  const thief = app.browser();
  thief.jar.set('at_flow', 'a'.repeat(43));
  expect((await thief.get(callback)).status).toBe(400);
  await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
  expect((await browser.get(callback)).status).toBe(401);
  expect(await app.authTuna.social.list(user.id)).toEqual([]);
});

test('linking and unlinking ask for a login of the last ten minutes (OA-9)', async () => {
  const app = await startSocialApp();
  const { browser, user } = await app.signedIn();
  await link(app, browser);
  app.clock.advance({ minutes: 10, seconds: 1 });
  for (const answer of [
    await browser.post('/auth/social/oidc/link', {}),
    await browser.delete('/auth/social/oidc'),
  ]) {
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ code: 'recent_login_required' });
  }
  expect(await app.authTuna.social.list(user.id)).toHaveLength(1);
});

test('unlinking takes the way in away, ends other sessions, and leaves one way in (OA-9)', async () => {
  const app = await startSocialApp();
  const { browser, user } = await app.signedIn();
  await link(app, browser);
  const elsewhere = app.browser();
  await app.signIn(elsewhere);
  expect((await browser.delete('/auth/social/oidc')).status).toBe(204);
  expect((await browser.get('/me')).status).toBe(200);
  expect((await elsewhere.post('/me/x')).status).toBe(401);
  expect((await browser.delete('/auth/social/oidc')).status).toBe(404);
  expect(await app.authTuna.social.list(user.id)).toEqual([]);

  const only = app.browser();
  await app.signIn(only, { sub: 'carol', email: 'carol@example.com', email_verified: true });
  const refused = await only.delete('/auth/social/oidc');
  expect(refused.status).toBe(409);
  expect(await refused.text()).toContain('only way');
  const carol = await app.authTuna.users.findByEmail('carol@example.com');
  await app.authTuna.passwords.set(carol!.id, PASSWORD, SYSTEM);
  const again = app.browser();
  await app.signIn(again);
  expect((await again.delete('/auth/social/oidc')).status).toBe(204);
});

test('whoever has nothing but a provider signs in there once more to prove who they are, and comes back', async () => {
  const app = await startSocialApp();
  const visitor = new PageVisitor(app.browser());
  await app.signIn(visitor.browser);
  app.clock.advance({ minutes: 10, seconds: 1 });
  const security = await visitor.open('/account/security');
  const stepUp = await visitor.postFields('/auth/social/oidc/unlink', { csrfToken: security.csrfToken });
  const page = await visitor.open(stepUp.headers.get('location') ?? '');
  expect(page.status).toBe(200);
  const query = '?returnTo=%2Faccount%2Fsecurity%3Fconfirmed%3Dagain';
  expect(page.html).toContain(`href="/auth/social/oidc/login${query}"`);
  const answer = await app.signIn(visitor.browser, undefined, query);
  expect(answer.headers.get('location')).toBe('/account/security?confirmed=again');
  expect((await visitor.open('/account/security?confirmed=again')).html).toContain(
    'press the button once more',
  );
  // Asked no more; refused for another reason.
  expect((await visitor.browser.delete('/auth/social/oidc')).status).toBe(409);
});

test('unlinking gives the session a new cookie, tells its owner by mail, and is recorded (SS-14)', async () => {
  const mailbox = new TestMailbox();
  const app = await startSocialApp({ mail: { from: 'app@example.com', transport: mailbox } });
  const { browser, user } = await app.signedIn('grace@example.com');
  await link(app, browser);
  const before = (await app.authTuna.sessions.list(user.id))[0];
  const copied = browser.stolen();
  expect((await browser.delete('/auth/social/oidc')).status).toBe(204);
  expect((await browser.post('/me/x')).status).toBe(200);
  expect((await copied.post('/me/x')).status).toBe(401);
  // The new cookie proves nothing more than the old one did.
  const after = (await app.authTuna.sessions.list(user.id))[0];
  expect([after?.id, after?.authenticatedAt, after?.amr]).toEqual([
    before?.id,
    before?.authenticatedAt,
    before?.amr,
  ]);
  const { items } = await app.authTuna.audit.list({ type: 'social.unlinked' });
  expect(items).toMatchObject([{ targetId: user.id, actorId: user.id, data: { provider: 'oidc' } }]);
  await expect
    .poll(() => mailbox.latestTo('grace@example.com')?.subject)
    .toBe('Single sign-on was unlinked from your account');
});

test("nobody unlinks another person's identity", async () => {
  const app = await startSocialApp();
  const { browser, user } = await app.signedIn();
  await link(app, browser);
  const { user: mallory } = await app.signedIn();
  const actor = { userId: mallory.id, ip: null, userAgent: null };
  await expect(app.authTuna.social.unlink(user.id, 'oidc', actor)).rejects.toMatchObject({
    code: 'forbidden',
  });
  await expect(app.authTuna.social.beginLink(user.id, 'oidc', { browser: 'x' }, actor)).rejects.toMatchObject(
    { code: 'unauthenticated' },
  );
});

test('provider tokens are dropped unless asked for, then kept encrypted, refreshed on demand, and revoked when unlinked', async () => {
  const plain = await startSocialApp();
  await plain.signIn(plain.browser());
  const dropped = await plain.authTuna.users.findByEmail('ada@example.com');
  await expect(plain.authTuna.social.tokens(dropped!.id, 'oidc')).rejects.toMatchObject({
    code: 'not_found',
  });

  const app = await startSocialApp({}, { keepTokens: true });
  app.idp.accessTokenSeconds = 300;
  const browser = app.browser();
  await app.signIn(browser);
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  const first = await app.authTuna.social.tokens(user!.id, 'oidc');
  expect(first.scopes).toContain('openid');
  expect((await app.authTuna.social.tokens(user!.id, 'oidc')).accessToken).toBe(first.accessToken);
  app.clock.advance({ seconds: 290 });
  const refreshed = await Promise.all(
    Array.from({ length: 5 }, () => app.authTuna.social.tokens(user!.id, 'oidc')),
  );
  expect(new Set(refreshed.map(({ accessToken }) => accessToken)).size).toBe(1);
  expect(refreshed[0]!.accessToken).not.toBe(first.accessToken);

  await app.authTuna.passwords.set(user!.id, PASSWORD, SYSTEM);
  const again = app.browser();
  await app.signIn(again);
  expect((await again.delete('/auth/social/oidc')).status).toBe(204);
  expect(app.idp.requests.filter((request) => request.includes('revocation'))).toHaveLength(1);
});

test('a refresh token that changes with each use is used once, by however many processes at the same moment', async () => {
  const app = await startSocialApp({}, { keepTokens: true });
  app.idp.accessTokenSeconds = 300;
  await app.signIn(app.browser());
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  const provider = oidc({ issuer: app.idp.issuer, ...CLIENT, keepTokens: true });
  const others = await Promise.all(
    [1, 2].map(() =>
      startApp(
        { baseUrl: app.url, social: { providers: [provider] } },
        { database: app.database, clock: app.clock },
      ),
    ),
  );
  const tokensOf = ({ authTuna }: Pick<typeof app, 'authTuna'>) => authTuna.social.tokens(user!.id, 'oidc');
  // Three rounds: were a token lost in one, the next could not refresh.
  for (let round = 0; round < 3; round += 1) {
    app.clock.advance({ seconds: 290 });
    const asked = app.idp.requests.length;
    const answers = await Promise.all([app, ...others, app, ...others].map(tokensOf));
    expect(new Set(answers.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(app.idp.requests.slice(asked).filter((request) => request === 'POST /token')).toHaveLength(1);
  }
});

test('tokens that are refreshed while the account is unlinked are revoked, and do not come back', async () => {
  const app = await startSocialApp({}, { keepTokens: true });
  app.idp.accessTokenSeconds = 300;
  await app.signIn(app.browser());
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  await app.authTuna.passwords.set(user!.id, PASSWORD, SYSTEM);
  const browser = app.browser();
  await app.signIn(browser);
  app.clock.advance({ seconds: 290 });
  const { fetch } = globalThis;
  onTestFinished(() => void vi.unstubAllGlobals());
  vi.stubGlobal('fetch', async (...asked: Parameters<typeof fetch>) => {
    const answer = await fetch(...asked);
    if (String(asked[0]).endsWith('/token')) {
      vi.unstubAllGlobals();
      expect((await browser.delete('/auth/social/oidc')).status).toBe(204);
    }
    return answer;
  });
  await expect(app.authTuna.social.tokens(user!.id, 'oidc')).rejects.toMatchObject({ code: 'invalid_token' });
  await expect(app.authTuna.social.tokens(user!.id, 'oidc')).rejects.toMatchObject({ code: 'not_found' });
  expect(await app.authTuna.social.list(user!.id)).toEqual([]);
  expect(app.idp.requests.filter((request) => request.includes('revocation'))).toHaveLength(2); // those before, and those that came too late
});

test('a provider that is down for a moment costs no tokens, and one that has withdrawn them says so', async () => {
  const app = await startSocialApp({}, { keepTokens: true });
  app.idp.accessTokenSeconds = 300;
  await app.signIn(app.browser());
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  app.clock.advance({ seconds: 290 });
  vi.stubGlobal('fetch', async () => {
    throw new TypeError('nobody answers');
  });
  await expect(app.authTuna.social.tokens(user!.id, 'oidc')).rejects.toMatchObject({ code: 'unavailable' });
  vi.unstubAllGlobals();
  expect((await app.authTuna.social.tokens(user!.id, 'oidc')).accessToken).toBeTruthy();

  app.clock.advance({ seconds: 290 });
  await app.idp.forgetGrants();
  await expect(app.authTuna.social.tokens(user!.id, 'oidc')).rejects.toMatchObject({ code: 'invalid_token' });
  await expect(app.authTuna.social.tokens(user!.id, 'oidc')).rejects.toMatchObject({ code: 'not_found' });
});

test('tokens of a deleted user are given to nobody', async () => {
  const app = await startSocialApp({}, { keepTokens: true });
  await app.signIn(app.browser());
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  expect((await app.authTuna.social.tokens(user!.id, 'oidc')).accessToken).toBeTruthy();
  await app.authTuna.users.delete(user!.id, SYSTEM);
  await expect(app.authTuna.social.tokens(user!.id, 'oidc')).rejects.toMatchObject({ code: 'not_found' });
  expect((await app.signIn(app.browser())).status).toBe(403);
});

test('provider tokens and client secrets lie encrypted in the database', async () => {
  const app = await startSocialApp({}, { keepTokens: true });
  await app.signIn(app.browser());
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  const { accessToken } = await app.authTuna.social.tokens(user!.id, 'oidc');
  await app.authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  const input = { scope: 'org:acme', name: 'Acme', issuer: app.idp.issuer, ...CLIENT };
  await app.authTuna.sso.create(input, SYSTEM);
  const connection = await openDatabase(app.database);
  onTestFinished(() => connection.close());
  const accounts = await connection.client.socialAccount.findMany({});
  const rows = [...accounts, ...(await connection.client.ssoConnection.findMany({}))];
  expect(rows).toHaveLength(2);
  expect(JSON.stringify(rows)).not.toContain(accessToken);
  expect(JSON.stringify(rows)).not.toContain(CLIENT.clientSecret.slice(0, 8));
  // Sealed for its own row: a copy in another one opens to nothing.
  const other = await app.authTuna.users.create({ email: 'mallory@example.com' });
  const { id: _id, userId: _userId, subject: _subject, ...copied } = accounts[0]!;
  await connection.client.socialAccount.create({
    data: { ...copied, id: 'copy', userId: other.id, subject: 'copy' },
  });
  await expect(app.authTuna.social.tokens(other.id, 'oidc')).rejects.toMatchObject({ code: 'not_found' });
});
