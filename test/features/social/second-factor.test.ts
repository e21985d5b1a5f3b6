import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { enrolTotp } from '../../support/factors.js';
import { startSocialApp } from '../../support/social.js';

test('whoever has a second factor is asked for it after the provider, and comes back to where they wanted (MB-1)', async () => {
  const app = await startSocialApp();
  const ada = app.browser();
  await app.signIn(ada);
  const totp = await enrolTotp(app, ada);
  const elsewhere = app.browser();
  const answer = await app.signIn(elsewhere, undefined, '?returnTo=%2Freports');
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe('/auth/mfa/challenge?returnTo=%2Freports');
  expect(elsewhere.jar.has('at_sess')).toBe(false);
  expect(elsewhere.jar.has('at_pending')).toBe(true);
  expect((await elsewhere.get('/me')).status).toBe(401);
  expect((await elsewhere.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(200);
  expect((await elsewhere.get('/me')).status).toBe(200);

  // D9: suspension counts before the second factor, and after it.
  const waiting = app.browser();
  await app.signIn(waiting);
  const user = await app.authTuna.users.findByEmail('ada@example.com');
  await app.authTuna.users.suspend(user!.id, 'abuse', SYSTEM);
  expect((await waiting.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBeGreaterThanOrEqual(
    400,
  );
  expect((await app.signIn(app.browser())).status).toBe(403);
});
