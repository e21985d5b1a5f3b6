import { once } from 'node:events';
import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startApp } from '../../support/app.js';

/** Sends each value of a header in a line of its own, which `fetch` would join. */
async function get(url: string, headers: Record<string, string | string[]>) {
  const sent = request(url, { headers }).end();
  const [answer] = await once(sent, 'response');
  return {
    status: answer.statusCode as number,
    body: (await json(answer)) as { code?: string; method?: string },
  };
}

async function startWho() {
  const app = await startApp(
    {},
    { routes: (host) => void host.get('/who', (req, res) => void res.json({ method: req.auth.method })) },
  );
  const { browser } = await app.signedIn();
  const own = { 'user-agent': browser.userAgent, cookie: browser.cookieHeader };
  return { app, own, who: (headers: Record<string, string | string[]>) => get(`${app.url}/who`, headers) };
}

test('req.auth.method says by what credential a request came', async () => {
  const { own, who } = await startWho();
  expect(await who({})).toEqual({ status: 200, body: { method: 'anonymous' } });
  expect(await who(own)).toEqual({ status: 200, body: { method: 'session' } });
});

test('a bearer token beside a session cookie counts alone, also when it is no good', async () => {
  const { own, who } = await startWho();
  for (const authorization of ['Bearer x', 'bearer x', 'BEARER', 'Bearer'])
    expect((await who({ ...own, authorization })).body, authorization).toEqual({ method: 'anonymous' });
  expect((await who({ ...own, authorization: 'Basic eDp5' })).body).toEqual({ method: 'session' });
});

test('two Authorization headers are 400, in two lines or joined by a comma, with or without a cookie (PX-3)', async () => {
  const { own, who } = await startWho();
  for (const cookie of [{}, own]) {
    for (const authorization of [
      ['Bearer a', 'Bearer b'],
      ['Basic eDp5', 'Bearer b'],
      ['Bearer a', 'Bearer a'],
      'Bearer a, Bearer b',
      'Basic eDp5,bearer b',
      'Bearer a,b',
    ])
      expect(await who({ ...cookie, authorization }), String(authorization)).toMatchObject({
        status: 400,
        body: { code: 'malformed_request' },
      });
    // The parameters of another scheme are separated by commas.
    const digest = 'Digest username="ada", realm="a, b", nonce="x"';
    expect((await who({ ...cookie, authorization: digest })).status).toBe(200);
  }
});

test('a guard takes kinds of credential that exist, and a session is no key', async () => {
  const { app } = await startWho();
  const { requireUser, requirePermission, requireRole } = app.authTuna;
  const wrong = { credentials: ['cookie'] } as never;
  const message = "'cookie' is not a kind of credential; use one or more of: session, access_token, api_key";
  expect(() => requireUser(wrong)).toThrow(message);
  expect(() => requirePermission('project:read', wrong)).toThrow(message);
  expect(() => requireRole('admin', wrong)).toThrow(message);
  for (const credentials of [[], 'session', null] as never[])
    expect(() => requireUser({ credentials })).toThrow('credentials names no kind');
});
