import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';

test('many sign-ins of one person never end the session that is in use (SS-13)', async () => {
  const app = await startApp();
  const { user, browser } = await app.signedIn();
  const elsewhere = app.browser();
  await elsewhere.post('/auth/login', { login: user.email, password: PASSWORD });
  for (const used of [browser, elsewhere]) expect((await used.get('/me')).status).toBe(200);

  for (let count = 0; count < 25; count += 1) {
    app.clock.advance({ milliseconds: 40 });
    expect((await browser.get('/me')).status).toBe(200);
    app.clock.advance({ milliseconds: 1 });
    await app.authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
  }
  expect((await browser.post('/me/x', {})).status).toBe(200);
  const left = await app.authTuna.sessions.list(user.id);
  expect(left).toHaveLength(20);
  // The one that was not used meanwhile made room.
  expect((await elsewhere.post('/me/x', {})).status).toBe(401);
}, 60_000);
