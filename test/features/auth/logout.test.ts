import { expect, test } from 'vitest';
import { PASSWORD, startApp } from '../../support/app.js';

test('a tab with the cookie from before a renewal signs the session out, not only itself (SS-9)', async () => {
  const { authTuna, signedIn } = await startApp();
  const { user, browser } = await signedIn();
  const otherTab = browser.stolen();
  const changed = await browser.post('/auth/change-password', {
    currentPassword: PASSWORD,
    newPassword: `${PASSWORD}, renewed`,
  });
  expect(changed.status).toBe(200);
  expect((await otherTab.get('/me')).status).toBe(401);
  expect(await authTuna.sessions.list(user.id)).toHaveLength(1);

  const answer = await otherTab.post('/auth/logout');
  expect(answer.status).toBe(204);
  expect(await authTuna.sessions.list(user.id)).toHaveLength(0);
  expect((await browser.post('/me/x')).status).toBe(401);
});
