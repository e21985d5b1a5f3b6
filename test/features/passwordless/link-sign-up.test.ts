import { expect, test } from 'vitest';
import { PASSWORD } from '../../support/app.js';
import { linkIn, startMailedApp, tokenIn } from '../../support/mailed-app.js';

const EVA = 'eva@example.com';
const OPEN = '/auth/passwordless/link/open';
const CONSUME = '/auth/passwordless/link/consume';

test('a newcomer who asks for a sign-in link makes an account with it, and is signed in', async () => {
  const app = await startMailedApp();
  const browser = app.browser();
  const asked = await browser.post('/auth/passwordless/link', { email: EVA });
  expect([asked.status, await asked.json()]).toEqual([202, { status: 'requested' }]);
  expect(await app.authTuna.users.findByEmail(EVA)).toBeNull();
  const token = tokenIn(await app.mailTo(EVA), OPEN);
  const answer = await browser.post(CONSUME, { token });
  expect(answer.status).toBe(200);
  expect(await (await browser.get('/me')).json()).toMatchObject({
    email: EVA,
    emailVerifiedAt: expect.any(String),
  });
  expect((await browser.post(CONSUME, { token })).status).toBe(400);
});

test('in another browser a sign-up link needs the code of the asking one (EM-11)', async () => {
  const app = await startMailedApp();
  await app.browser().post('/auth/passwordless/link', { email: EVA });
  const token = tokenIn(await app.mailTo(EVA), OPEN);
  expect((await app.browser().post(CONSUME, { token })).status).toBe(401);
  expect(await app.authTuna.users.findByEmail(EVA)).toBeNull();
});

test('of ten parallel uses of a sign-up link one makes the account (EM-3)', async () => {
  const app = await startMailedApp({ passwordless: { magicLink: { bindToBrowser: false } } });
  await app.browser().post('/auth/passwordless/link', { email: EVA });
  const token = tokenIn(await app.mailTo(EVA), OPEN);
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      app.browser().post(CONSUME, { token, username: `eva-${'abcdefghij'[index]}` }),
    ),
  );
  const made = answers.filter(({ status }) => status === 200);
  const others = answers.filter(({ status }) => ![200, 400, 409].includes(status));
  expect([others.length, (await app.authTuna.users.list()).items.length]).toEqual([0, 1]);
  expect(made.length).toBeGreaterThanOrEqual(1);
});

test('a link that was mailed to a newcomer signs in to the account that was made meanwhile, without what an impostor put there (EM-11)', async () => {
  const app = await startMailedApp();
  const owner = app.browser();
  await owner.post('/auth/passwordless/link', { email: EVA });
  const token = tokenIn(await app.mailTo(EVA), OPEN);
  await app.browser().post('/auth/signup', { email: EVA, password: PASSWORD });
  expect((await owner.post(CONSUME, { token })).status).toBe(200);
  expect((await app.browser().post('/auth/login', { login: EVA, password: PASSWORD })).status).toBe(401);
});

test('where sign-up is closed, no newcomer gets a link', async () => {
  const app = await startMailedApp({ signUp: { enabled: false } });
  expect((await app.browser().post('/auth/passwordless/link', { email: EVA })).status).toBe(202);
  expect(await app.mailsTo(EVA)).toHaveLength(0);
});

test('the page of a sign-up link asks for the username, tells its faults, and signs in', async () => {
  const app = await startMailedApp({ signUp: { username: 'required' } });
  await app.authTuna.users.create({ email: 'ada@example.com', username: 'ada', emailVerified: true });
  const visitor = app.visitor();
  const asking = await visitor.open('/auth/passwordless/link');
  await visitor.send(asking, { email: EVA });
  const page = await visitor.open(linkIn(await app.mailTo(EVA), OPEN));
  expect(page.html).toContain('Complete your account');
  expect(page.html).toContain('name="username"');
  const missing = await visitor.send(page, {});
  expect([missing.status, missing.html.includes('Please fill this in.')]).toEqual([422, true]);
  const taken = await visitor.send(missing, { username: 'ada' });
  expect([taken.status, taken.html.includes('This username is taken.')]).toEqual([409, true]);
  expect(taken.html).not.toContain('changed meanwhile');
  const done = await visitor.submit(taken, { username: 'eva' });
  expect(done.status).toBe(303);
  expect(await (await visitor.browser.get('/me')).json()).toMatchObject({ email: EVA, username: 'eva' });
});
