import { expect, test } from 'vitest';
import { PASSWORD, startApp } from '../../support/app.js';

test('signing up signs in, and the cookie is who one is', async () => {
  const { browser } = await startApp();
  const ada = browser();
  const signUp = await ada.post('/auth/signup', { email: 'Ada@Example.com', password: PASSWORD });
  expect(signUp.status).toBe(201);
  expect(await signUp.json()).toMatchObject({ user: { email: 'ada@example.com' } });
  expect(await (await ada.get('/me')).json()).toMatchObject({ email: 'ada@example.com' });
  expect(await (await ada.get('/auth/user-info')).json()).toMatchObject({ email: 'ada@example.com' });
});
