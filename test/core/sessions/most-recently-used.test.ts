import { expect, inject, test, vi } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { at, claimsOf, startSibling } from '../../support/sessions.js';

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

test('with recheckSeconds 0, where no session is remembered, the one that is in use stays too (SS-13)', async () => {
  const app = await startApp({ session: { recheckSeconds: 0, maxPerUser: 3 } });
  const { user, browser } = await app.signedIn();
  for (let count = 0; count < 6; count += 1) {
    app.clock.advance({ milliseconds: 40 });
    expect((await browser.get('/me')).status).toBe(200);
    app.clock.advance({ milliseconds: 1 });
    await app.authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
  }
  expect((await browser.post('/me/x', {})).status).toBe(200);
});

test.runIf(inject('dialect') === 'postgresql')(
  'a session that is used on another server is not the one that makes room (SS-13)',
  async () => {
    const app = await startApp({ session: { maxPerUser: 3 } });
    const sibling = await startSibling(app, { session: { maxPerUser: 3 } });
    const { user, browser } = await app.signedIn();
    const used = at(sibling, browser);
    expect((await used.post('/me/x', {})).status).toBe(200);
    for (let count = 0; count < 6; count += 1) {
      app.clock.advance({ milliseconds: 40 });
      expect((await used.get('/me')).status).toBe(200);
      const usedAt = app.clock.now();
      app.clock.advance({ milliseconds: 1 });
      await app.authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
      if (count < 1) continue; // there is room still
      // The sign-in asked the other server, which writes the time down.
      await vi.waitFor(async () => {
        const row = (await app.authTuna.sessions.list(user.id)).find(({ id }) => id === claimsOf(used).sid);
        expect(row?.lastSeenAt).toEqual(usedAt);
      });
    }
    expect((await used.post('/me/x', {})).status).toBe(200);
  },
);
