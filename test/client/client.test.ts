import { expect, test } from 'vitest';
import { AuthTunaClientError, createAuthTunaClient } from '../../src/client/index.js';
import { PASSWORD, startApp } from '../support/app.js';
import { json } from '../support/factors.js';

test('a request whose cookie was replaced by another tab is repeated once, with the cookie of now', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const before = browser.stolen();
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  const jars = [before, browser];
  const statuses: number[] = [];
  const client = createAuthTunaClient({
    async fetch(input, init) {
      const jar = jars.shift() ?? browser;
      const body = init?.body === undefined ? undefined : JSON.parse(String(init.body));
      const answer = await jar.request(init?.method ?? 'GET', String(input), body);
      statuses.push(answer.status);
      return answer;
    },
  });
  expect(await client.request('GET', '/user-info')).toMatchObject({ email: 'person1@example.com' });
  expect(statuses).toEqual([401, 200]);
  jars.push(before, before);
  await expect(client.request('GET', '/mfa')).rejects.toMatchObject({ code: 'superseded', status: 401 });
});

test('a refusal is an error with the code and the fields of the problem', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  app.clock.advance({ minutes: 11 });
  const client = createAuthTunaClient({
    fetch: (input, init) =>
      browser.request(init?.method ?? 'GET', String(input), JSON.parse(String(init?.body ?? '{}'))),
  });
  const refusal = await client
    .request('POST', '/passkeys/register/options', {})
    .catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(AuthTunaClientError);
  expect(refusal).toMatchObject({ code: 'recent_login_required', problem: { stepUp: '/auth/step-up' } });
  await client.stepUp({ password: PASSWORD });
  await client.request('POST', '/passkeys/register/options', {});
});
