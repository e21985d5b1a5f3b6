import { expect, test } from 'vitest';
import { PASSWORD, startApp } from '../support/app.js';
import { PageVisitor } from '../support/page-visitor.js';

test('CS-2, CS-4: signing in by form needs the token of a page this browser opened', async () => {
  const app = await startApp();
  await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const fields = { login: 'ada@example.com', password: PASSWORD };

  const clean = new PageVisitor(app.browser());
  const forged = await clean.postFields('/auth/login', fields);
  expect(forged.status).toBe(403);
  expect(forged.headers.get('set-cookie') ?? '').not.toContain('at_sess');

  // The attacker's own token does not help in the victim's browser.
  const attacker = new PageVisitor(app.browser());
  const token = (await attacker.open('/auth/login')).csrfToken;
  expect((await clean.postFields('/auth/login', { ...fields, csrfToken: token })).status).toBe(403);

  const page = await clean.open('/auth/login');
  const signedIn = await clean.postFields('/auth/login', { ...fields, csrfToken: page.csrfToken });
  expect(signedIn.status).toBe(303);
  expect(signedIn.headers.get('location')).toBe('/');
  expect(clean.browser.jar.has('at_sess')).toBe(true);
});
