import { expect, test } from 'vitest';
import { AuthTunaError } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';

test('a problem is titled by what it is, not by its status (HD-4)', async () => {
  const app = await startApp(
    {},
    {
      routes(server) {
        server.get('/teapot', () => {
          throw Object.assign(new Error('short and stout'), { status: 418 });
        });
        server.get('/revoked', () => {
          throw new AuthTunaError('session_revoked');
        });
      },
    },
  );
  await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
  const titleOf = async (answer: Response) => ((await answer.json()) as { title: string }).title;
  const wrong = { login: 'ada@example.com', password: 'not the password at all' };
  const answer = await app.browser().post('/auth/login', wrong);
  expect(answer.status).toBe(401);
  expect(await titleOf(answer)).toBe('Not correct');
  expect(await titleOf(await app.browser().get('/me'))).toBe('Sign-in required');
  expect(await titleOf(await app.browser().get('/revoked'))).toBe('Session ended');
  expect(await titleOf(await app.browser().get('/teapot'))).toBe("I'm a Teapot");
});
