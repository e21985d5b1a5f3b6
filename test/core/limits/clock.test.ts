import { expect, test } from 'vitest';
import { PASSWORD, startApp } from '../../support/app.js';
import { startMailedApp } from '../../support/mailed-app.js';

const LIMITS = {
  signUp: { limit: 2, windowSeconds: 600 },
  mailAddress: { limit: 3, windowSeconds: 3600 },
};

test('what was counted while a clock ran two days ahead keeps nobody out once it is right again (LG-4, PX-2)', async () => {
  const app = await startMailedApp({ rateLimits: LIMITS });
  const { user } = await app.signedIn('ada@example.com');
  const login = async (password: string) =>
    (await app.browser().post('/auth/login', { login: user.email, password })).status;
  const forgot = () => app.browser().post('/auth/forgot-password', { email: user.email });
  const signUp = async (name: string) =>
    (await app.browser().post('/auth/signup', { email: `${name}@example.com`, password: PASSWORD })).status;

  app.clock.advance({ days: 2 });
  for (let attempt = 0; attempt < 9; attempt += 1) await login(`wrong password ${attempt}`);
  expect(await login(PASSWORD)).toBe(429);
  for (const name of ['a', 'b']) expect(await signUp(name)).toBe(202);
  expect(await signUp('c')).toBe(429);
  await forgot();
  const before = (await app.mailsTo(user.email)).length;

  app.clock.advance({ days: -2 });
  expect(await login(PASSWORD)).toBe(200);
  expect(await signUp('d')).toBe(202);
  await forgot();
  expect((await app.mailsTo(user.email)).length).toBe(before + 1);
  // Limits hold as ever by the clock that is right.
  expect(await signUp('e')).toBe(202);
  expect(await signUp('f')).toBe(429);
});

test('a clock that is put back, or was ahead, signs nobody out (SS-1)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  for (const step of [{ minutes: -5 }, { days: -2 }, { days: 2, minutes: 5 }]) {
    app.clock.advance(step);
    expect((await browser.get('/me')).status, JSON.stringify(step)).toBe(200);
    expect((await browser.post('/me/x', {})).status, JSON.stringify(step)).toBe(200);
  }
  app.clock.advance({ days: 2 });
  const made = await app.signedIn();
  app.clock.advance({ days: -2 });
  expect((await made.browser.post('/me/x', {})).status).toBe(200);
});

test('a proof that a wrong clock dated into the future is not recent (SS-11)', async () => {
  const app = await startApp();
  app.clock.advance({ days: 2 });
  const { browser } = await app.signedIn();
  app.clock.advance({ days: -2 });
  const answer = await browser.post('/auth/change-email', { newEmail: 'new@example.com' });
  expect(await answer.json()).toMatchObject({ code: 'recent_login_required' });
});
