import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
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

test('OA-9: linking and unlinking ask for a login of the last ten minutes', async () => {
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

test('OA-9: unlinking takes the way in away, ends other sessions, and leaves one way in', async () => {
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
