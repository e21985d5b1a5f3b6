import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';

const LOGIN = { login: 'ada@example.com', password: PASSWORD };
const GRANT = { grant_type: 'password', username: LOGIN.login, password: PASSWORD };

test('humanCheck is asked at both doors for a password, and at none for a refresh token', async () => {
  let answer = true;
  const app = await startApp({ humanCheck: async ({ token }) => answer && token === 'ok' });
  await app.authTuna.users.create({ email: LOGIN.login, password: PASSWORD, emailVerified: true });
  const post = async (path: string, body: object) => (await app.browser().post(path, body)).status;
  expect(await post('/auth/login', LOGIN)).toBe(403);
  expect(await post('/auth/token', GRANT)).toBe(403);
  const granted = await app.browser().post('/auth/token', { ...GRANT, humanCheck: 'ok' });
  expect(granted.status).toBe(200);
  const { refresh_token } = (await granted.json()) as { refresh_token: string };
  answer = false;
  expect(await post('/auth/token', { ...GRANT, humanCheck: 'ok' })).toBe(403);
  expect(await post('/auth/token', { grant_type: 'refresh_token', refresh_token })).toBe(200);
});

test('a token with a scope is no recent login, and a whole one is (AK-3)', async () => {
  const app = await startApp(
    {},
    {
      routes: (express, tuna) =>
        void express.post(
          '/danger',
          tuna.requireUser({ credentials: ['session', 'access_token'] }),
          tuna.requireRecentLogin(),
          (_req, res) => void res.json({}),
        ),
    },
  );
  const { id } = await app.authTuna.users.create({ email: LOGIN.login });
  const askedWith = async (scope?: string) => {
    const { access_token } = await app.authTuna.bearer.issue(
      id,
      { amr: ['pwd'], ...(scope !== undefined && { scope }) },
      SYSTEM,
    );
    return (await app.browser().post('/danger', {}, { headers: { authorization: `Bearer ${access_token}` } }))
      .status;
  };
  expect(await askedWith('project:read')).toBe(403);
  expect(await askedWith()).toBe(200);
});
