import { expect, test } from 'vitest';
import { github, SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { Authenticator, type Forgery } from '../../support/authenticator.js';
import type { Browser } from '../../support/browser.js';
import { openDatabase } from '../../support/database.js';
import { enrolTotp, halfSignedIn, json } from '../../support/factors.js';
import { PageVisitor } from '../../support/page-visitor.js';

async function register(
  browser: Browser,
  authenticator: Authenticator,
  forgery?: Forgery,
): Promise<Response> {
  const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  return browser.post('/auth/passkeys/register', authenticator.create(options, forgery));
}

async function signIn(
  browser: Browser,
  authenticator: Authenticator,
  forgery?: Forgery,
  purpose?: string,
): Promise<Response> {
  const body = purpose === undefined ? {} : { purpose };
  const options = await json(browser.post('/auth/passkeys/sign-in/options', body), 200);
  return browser.post('/auth/passkeys/sign-in', { ...authenticator.get(options, forgery), ...body });
}

/** Somebody with a passkey, and a browser in which nobody is signed in. */
async function withPasskey(app: TestInstance, options: { counts?: boolean } = {}) {
  const { browser, user } = await app.signedIn();
  const authenticator = new Authenticator(app.url, options);
  const { passkey } = await json(register(browser, authenticator), 201);
  return { browser, user, authenticator, passkey, stranger: app.browser() };
}

test('a passkey alone signs in, and counts as two factors (PK-3)', async () => {
  const app = await startApp();
  const { stranger, authenticator, user } = await withPasskey(app);
  app.clock.advance({ seconds: 1 });
  const answer = await json(signIn(stranger, authenticator), 200);
  expect(answer.user.id).toBe(user.id);
  const [newest] = await app.authTuna.sessions.list(user.id);
  expect(newest).toMatchObject({ amr: ['hwk', 'user'], assuranceLevel: 2 });
});

test.each<[string, Forgery]>([
  ['wrong_origin', { origin: 'http://evil.localhost' }],
  ['wrong_origin', { origin: 'https://localhost' }],
  ['wrong_origin', { origin: 'http://localhost:1' }],
  ['cross_origin', { crossOrigin: true }],
  ['cross_origin', { topOrigin: 'https://evil.example' }],
  ['wrong_type', { type: 'webauthn.create' }],
  ['wrong_challenge', { challenge: 'A'.repeat(59) }],
  ['wrong_rp', { rpId: 'evil.example' }],
  ['user_not_present', { flags: { up: false } }],
  ['user_not_verified', { flags: { uv: false } }],
  ['wrong_backup_state', { flags: { be: false, bs: false } }],
  ['wrong_backup_state', { flags: { be: false, bs: true } }],
  ['wrong_user_handle', { userHandle: Buffer.alloc(32, 1).toString('base64url') }],
  ['wrong_user_handle', { userHandle: null }],
  ['unknown_credential', { credentialId: Buffer.alloc(16, 2).toString('base64url') }],
  [
    'wrong_signature',
    {
      signature:
        'MEUCIQDx0Y6n5gq4cV0VqQqB2m3e3rCqk2cQj3p2W3e1yq0ZrAIgX8a8wV5l3b7m0eS9Y4JQv0v3iJx3o0B5n0c2j4r9kqM',
    },
  ],
])('an assertion with %s (%j) signs nobody in (PK-2 to PK-5, D27)', async (failure, forgery) => {
  const app = await startApp();
  const { stranger, authenticator } = await withPasskey(app);
  const answer = await signIn(stranger, authenticator, forgery);
  expect([answer.status, await json(answer)]).toMatchObject([401, { code: 'invalid_credentials', failure }]);
  expect(answer.headers.getSetCookie().filter((cookie) => !cookie.startsWith('at_pre='))).toEqual([]);
  const { items } = await app.authTuna.audit.list({ type: 'factor.failed' });
  expect(items[0]?.reason).toBe(failure);
});

test.each<[string, Forgery]>([
  ['wrong_origin', { origin: 'https://evil.example' }],
  ['cross_origin', { crossOrigin: true }],
  ['wrong_type', { type: 'webauthn.get' }],
  ['wrong_challenge', { challenge: 'A'.repeat(59) }],
  ['wrong_rp', { rpId: 'evil.example' }],
  ['user_not_verified', { flags: { uv: false } }],
  ['wrong_backup_state', { flags: { be: false, bs: true } }],
])('a registration with %s (%j) stores nothing (PK-2, PK-3)', async (failure, forgery) => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const answer = await register(browser, new Authenticator(app.url), forgery);
  expect([answer.status, await json(answer)]).toMatchObject([401, { failure }]);
  expect(await app.authTuna.passkeys.list(user.id)).toEqual([]);
});

test('a response is accepted once, whoever sends it again (PK-1, D27)', async () => {
  const app = await startApp();
  const { stranger, authenticator, user } = await withPasskey(app);
  const options = await json(stranger.post('/auth/passkeys/sign-in/options', {}), 200);
  const response = authenticator.get(options);
  const copies = Array.from({ length: 20 }, () => stranger.stolen());
  const answers = await Promise.all(copies.map((copy) => copy.post('/auth/passkeys/sign-in', response)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  const refused = answers.filter(({ status }) => status === 401);
  const failures = await Promise.all(refused.map(async (answer) => (await json(answer)).failure));
  expect(failures).toEqual(Array(19).fill('replayed'));
  expect(await json(stranger.stolen().post('/auth/passkeys/sign-in', response))).toMatchObject({
    code: 'invalid_credentials',
    failure: 'replayed',
  });
  expect(await app.authTuna.sessions.list(user.id)).toHaveLength(2);
});

test('a challenge is good for its ceremony, its browser and five minutes (PK-1)', async () => {
  const app = await startApp();
  const { browser, stranger, authenticator } = await withPasskey(app);
  const refusal = async (answer: Response) => (await json(answer)).failure;

  const options = await json(stranger.post('/auth/passkeys/sign-in/options', {}), 200);
  expect(await refusal(await app.browser().post('/auth/passkeys/sign-in', authenticator.get(options)))).toBe(
    'wrong_challenge',
  );
  const late = await json(stranger.post('/auth/passkeys/sign-in/options', {}), 200);
  app.clock.advance({ minutes: 5, seconds: 1 });
  expect(await refusal(await stranger.post('/auth/passkeys/sign-in', authenticator.get(late)))).toBe(
    'wrong_challenge',
  );
  const ofSignIn = await json(stranger.post('/auth/passkeys/sign-in/options', {}), 200);
  expect(await refusal(await browser.post('/auth/passkeys/sign-in', authenticator.get(ofSignIn)))).toBe(
    'wrong_challenge',
  );
  const ofRegistration = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  expect(await refusal(await browser.post('/auth/passkeys/sign-in', authenticator.get(ofRegistration)))).toBe(
    'wrong_challenge',
  );
  const ofStepUp = await json(browser.post('/auth/passkeys/sign-in/options', {}), 200);
  const made = new Authenticator(app.url).create({ ...ofStepUp, user: { id: 'AAAA' } });
  expect(await refusal(await browser.post('/auth/passkeys/register', made))).toBe('wrong_challenge');
});

test('the options are the same for everybody and name no credential (PK-4)', async () => {
  const app = await startApp();
  await withPasskey(app);
  const options = await json(app.browser().post('/auth/passkeys/sign-in/options', {}), 200);
  expect(options.allowCredentials ?? []).toEqual([]);
  expect(options.userVerification).toBe('required');
  expect(Buffer.from(options.challenge, 'base64url').length).toBeGreaterThanOrEqual(32);
});

test('a credential is registered once, for one account (PK-4)', async () => {
  const app = await startApp();
  const { authenticator } = await withPasskey(app);
  const other = await app.signedIn('other@example.com');
  const credentialId = authenticator.credentials[0]?.id ?? '';
  expect((await register(other.browser, new Authenticator(app.url), { credentialId })).status).toBe(409);
});

test('an authenticator whose counter went back signs nobody in alone (PK-5)', async () => {
  const app = await startApp();
  const { stranger, authenticator, user } = await withPasskey(app, { counts: true });
  await json(signIn(stranger, authenticator), 200);
  const thief = app.browser();
  const answer = await signIn(thief, authenticator, { counter: 1 });
  expect(await json(answer, 401)).toMatchObject({ failure: 'wrong_counter' });
  expect((await app.authTuna.audit.list({ type: 'passkey.suspicious' })).items[0]?.targetId).toBe(user.id);
  await json(signIn(app.browser(), authenticator), 200);
});

test('with another factor enrolled it leads to that one (PK-5)', async () => {
  const app = await startApp();
  const { browser, authenticator } = await withPasskey(app, { counts: true });
  const totp = await enrolTotp(app, browser);
  await json(signIn(app.browser(), authenticator), 200);
  const doubtful = app.browser();
  const answer = await signIn(doubtful, authenticator, { counter: 1 });
  expect(await json(answer, 202)).toEqual({ secondFactor: { factors: ['totp', 'recovery_code'] } });
  expect(answer.headers.getSetCookie().some((cookie) => cookie.startsWith('at_sess='))).toBe(false);
  expect((await json(signIn(doubtful, authenticator, {}, 'second_factor'), 401)).code).toBe(
    'invalid_credentials',
  );
  await json(doubtful.post('/auth/mfa/verify', { code: totp.nextCode() }), 200);
});

test('a passkey completes a password sign-in also without user verification, and only its owner’s (PK-3)', async () => {
  const app = await startApp();
  const { user, authenticator } = await withPasskey(app);
  const other = await app.signedIn('other@example.com');
  const foreign = new Authenticator(app.url);
  await json(register(other.browser, foreign), 201);

  const half = await halfSignedIn(app, user.email);
  expect(await json(signIn(half, foreign), 401)).toMatchObject({ failure: 'unknown_credential' });
  app.clock.advance({ seconds: 1 });
  await json(signIn(half, authenticator, { flags: { uv: false } }), 200);
  const [newest] = await app.authTuna.sessions.list(user.id);
  expect(newest).toMatchObject({ amr: ['pwd', 'hwk'], assuranceLevel: 2 });
});

test('registering and removing ask for a fresh proof (PK-6)', async () => {
  const app = await startApp();
  const { browser, passkey, authenticator } = await withPasskey(app);
  app.clock.advance({ minutes: 11 });
  for (const [method, path] of [
    ['POST', '/auth/passkeys/register/options'],
    ['PATCH', `/auth/passkeys/${passkey.id}`],
    ['DELETE', `/auth/passkeys/${passkey.id}`],
  ] as const) {
    const answer = await browser.request(method, path, method === 'DELETE' ? undefined : {});
    expect(await json(answer, 401)).toMatchObject({ code: 'recent_login_required', stepUp: '/auth/step-up' });
  }
  await json(signIn(browser, authenticator), 200);
  expect((await browser.delete(`/auth/passkeys/${passkey.id}`)).status).toBe(204);
});

test('removing a passkey ends the other sessions and is mailed (PK-6, SS-11)', async () => {
  const app = await startApp();
  const { browser, passkey, authenticator, stranger } = await withPasskey(app);
  await json(signIn(stranger, authenticator), 200);
  const copy = browser.stolen();
  expect((await browser.delete(`/auth/passkeys/${passkey.id}`)).status).toBe(204);
  expect((await stranger.post('/me/x')).status).toBe(401);
  expect(await json(copy.post('/me/x'), 401)).toMatchObject({ code: 'superseded' });
  expect((await browser.post('/me/x')).status).toBe(200);
  expect((await json(signIn(app.browser(), authenticator), 401)).failure).toBe('unknown_credential');
});

test('the twenty-first passkey is refused (PK-6)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  for (let count = 0; count < 20; count += 1) await json(register(browser, new Authenticator(app.url)), 201);
  expect((await browser.post('/auth/passkeys/register/options', {})).status).toBe(409);
});

test('a sign-up with a passkey needs no password, and its last way in stays (PK-6)', async () => {
  const app = await startApp({ signUp: { requireVerifiedEmail: false } });
  const browser = app.browser();
  const authenticator = new Authenticator(app.url, { aaguid: 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4' });
  const options = await json(
    browser.post('/auth/passkeys/register/options', { email: 'New@Example.com' }),
    200,
  );
  const { user } = await json(browser.post('/auth/passkeys/register', authenticator.create(options)), 201);
  expect(user.email).toBe('new@example.com');
  const { items } = await json(browser.get('/auth/passkeys'), 200);
  expect(items).toMatchObject([{ name: 'Google Password Manager', isBackedUp: true }]);
  expect((await browser.delete(`/auth/passkeys/${items[0].id}`)).status).toBe(409);
  await json(signIn(app.browser(), authenticator), 200);

  await json(register(browser, new Authenticator(app.url)), 201);
  const both = await app.authTuna.passkeys.list(user.id);
  const actor = { userId: user.id, ip: null, userAgent: null };
  const outcomes = await Promise.allSettled(
    both.map(({ id }) => app.authTuna.passkeys.delete(user.id, id, actor)),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await app.authTuna.passkeys.list(user.id)).toHaveLength(1);
});

test('one rule says what a last way in is: an identity counts only where its provider is still there (PK-6, OA-9)', async () => {
  const app = await startApp({
    signUp: { requireVerifiedEmail: false },
    social: { providers: [github({ clientId: 'id', clientSecret: 'secret' })] },
  });
  const browser = app.browser();
  const options = await json(
    browser.post('/auth/passkeys/register/options', { email: 'a@example.com' }),
    200,
  );
  const made = new Authenticator(app.url).create(options);
  const { user } = await json(browser.post('/auth/passkeys/register', made), 201);
  const [passkey] = await app.authTuna.passkeys.list(user.id);
  const { client } = await openDatabase(app.database);
  const now = app.clock.now();
  const link = (provider: string) =>
    client.socialAccount.create({
      data: { id: provider, userId: user.id, provider, subject: '1', createdAt: now, lastUsedAt: now },
    });
  const remove = () => browser.delete(`/auth/passkeys/${passkey?.id}`);
  await link('abandoned');
  expect((await remove()).status).toBe(409);
  await link('github');
  expect((await remove()).status).toBe(204);
  const actor = { userId: user.id, ip: null, userAgent: null };
  await expect(app.authTuna.social.unlink(user.id, 'github', actor)).rejects.toMatchObject({
    code: 'conflict',
    details: { reason: 'last_way_in' },
  });
  await client.$disconnect();
});

test('a passkey has a name that its owner may change, and nobody else sees or touches it', async () => {
  const app = await startApp();
  const { browser, passkey, user } = await withPasskey(app);
  const other = await app.signedIn('other@example.com');
  expect(
    (await json(browser.patch(`/auth/passkeys/${passkey.id}`, { name: ' Key ' }), 200)).passkey.name,
  ).toBe('Key');
  expect((await other.browser.patch(`/auth/passkeys/${passkey.id}`, { name: 'Mine' })).status).toBe(404);
  expect((await other.browser.delete(`/auth/passkeys/${passkey.id}`)).status).toBe(404);
  expect(await app.authTuna.passkeys.list(user.id)).toHaveLength(1);
});

test('the forms of a passkey answer a script as a script, a form with the page, and a wrong method with the right one', async () => {
  const app = await startApp();
  const { browser, passkey, authenticator } = await withPasskey(app);
  const at = `/auth/passkeys/${passkey.id}`;
  const renamed = await json(browser.post(`${at}/rename`, { name: ' Key ' }), 200);
  expect(renamed.passkey).toMatchObject({ id: passkey.id, name: 'Key' });
  for (const path of [`${at}/rename`, `${at}/delete`]) {
    const refused = await browser.patch(path, {});
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'POST']);
  }
  expect((await browser.post(`${at}/delete`, {})).status).toBe(204);
  expect((await json(browser.get('/auth/passkeys'), 200)).items).toEqual([]);

  const second = (await json(register(browser, authenticator), 201)).passkey;
  const visitor = new PageVisitor(browser);
  const manage = '/auth/passkeys/manage';
  const { csrfToken } = await visitor.open(manage);
  const send = (form: string, fields = {}) =>
    visitor.postFields(`/auth/passkeys/${second.id}/${form}`, { csrfToken, ...fields });
  const answer = await send('rename', { name: 'Other key' });
  expect([answer.status, answer.headers.get('location')]).toEqual([303, manage]);
  expect((await visitor.open(manage)).html).toContain('Other key');
  const gone = await send('delete');
  expect([gone.status, gone.headers.get('location')]).toEqual([303, manage]);
  expect((await json(browser.get('/auth/passkeys'), 200)).items).toEqual([]);
});

test('a dead cookie in the jar does not take the fresh sign-in away (D18)', async () => {
  const app = await startApp();
  const { browser, authenticator, user } = await withPasskey(app);
  await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
  const answer = await signIn(browser, authenticator);
  expect(answer.status).toBe(200);
  const cookies = answer.headers.getSetCookie().filter((cookie) => cookie.startsWith('at_sess='));
  expect(cookies).toHaveLength(1);
  expect(cookies[0]).not.toMatch(/Max-Age=0/);
  expect((await browser.post('/me/x')).status).toBe(200);

  await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
  await json(browser.post('/auth/login', { login: user.email, password: PASSWORD }), 202);
  const completed = await signIn(browser, authenticator);
  expect(completed.headers.getSetCookie().filter((cookie) => cookie.startsWith('at_sess='))).toHaveLength(1);
  expect((await browser.post('/me/x')).status).toBe(200);
});

test('a passkey works from every origin that is listed, and from no other', async () => {
  const app = await startApp({
    passkeys: { origins: ['http://localhost:4000', 'http://admin.localhost:4000'] },
  });
  const { browser, user } = await app.signedIn();
  const authenticator = new Authenticator('http://localhost:4000');
  await json(register(browser, authenticator), 201);
  await json(signIn(app.browser(), authenticator, { origin: 'http://admin.localhost:4000' }), 200);
  expect((await json(signIn(app.browser(), authenticator, { origin: app.url }), 401)).failure).toBe(
    'wrong_origin',
  );
  expect(await app.authTuna.passkeys.list(user.id)).toHaveLength(1);
});
