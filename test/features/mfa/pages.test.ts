import { expect, test } from 'vitest';
import { PASSWORD, startApp } from '../../support/app.js';
import { enrolTotp, json, totpCode } from '../../support/factors.js';
import { PageVisitor } from '../../support/page-visitor.js';

const FORM = { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' };

test('a form about factors with an old proof leads through the step-up to the page it was on', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  await enrolTotp(app, browser);
  app.clock.advance({ minutes: 11 });
  const step = await new PageVisitor(browser).open('/auth/mfa/setup');
  expect(step.html).toContain('action="/auth/step-up"');
  const answer = await browser.post('/auth/mfa/recovery-codes', undefined, {
    headers: FORM,
    rawBody: new URLSearchParams({ csrfToken: step.csrfToken, returnTo: '/account/security' }).toString(),
  });
  expect([answer.status, answer.headers.get('location')]).toEqual([
    303,
    '/auth/step-up?returnTo=%2Faccount%2Fsecurity',
  ]);
});

test('a form about factors without its token changes nothing', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const answer = await browser.post('/auth/mfa/totp', undefined, { headers: FORM, rawBody: 'x=1' });
  expect(answer.status).toBe(403);
});

test('without a script: enrol, save the codes, sign in with the app, and see the challenge only while it waits', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const visitor = new PageVisitor(browser);
  const begin = await visitor.open('/auth/mfa/setup?returnTo=/me');
  const send = (path: string, fields: Record<string, string>, from = browser) =>
    from.post(path, undefined, { headers: FORM, rawBody: new URLSearchParams(fields).toString() });
  const setup = await (await send('/auth/mfa/totp', { csrfToken: begin.csrfToken, returnTo: '/me' })).text();
  const secret = /<code id="secret"[^>]*>([A-Z2-7 ]+)</.exec(setup)?.[1]?.replaceAll(' ', '') ?? '';
  const csrfToken = /name="csrfToken" value="([^"]+)"/.exec(setup)?.[1] ?? '';
  const code = totpCode(secret, app.clock);
  const codes = await send('/auth/mfa/totp/confirm', { csrfToken, code, returnTo: '/me' });
  expect(codes.headers.get('cache-control')).toBe('no-store');
  expect(await codes.text()).toMatch(/<code>10-[\s\S]*href="\/me"/);

  const fresh = new PageVisitor(app.browser());
  const login = await fresh.open('/auth/login');
  await send(
    '/auth/login',
    { csrfToken: login.csrfToken, login: user.email, password: PASSWORD },
    fresh.browser,
  );
  app.clock.advance({ seconds: 30 });
  const challenge = await fresh.open('/auth/mfa/challenge?returnTo=/me');
  const done = await send(
    '/auth/mfa/verify',
    {
      csrfToken: challenge.csrfToken,
      code: totpCode(secret, app.clock),
      returnTo: '/me',
      trustDevice: 'true',
    },
    fresh.browser,
  );
  expect([done.status, done.headers.get('location')]).toEqual([303, '/me']);
  expect(fresh.browser.jar.has('at_trusted')).toBe(true);
  await json(fresh.browser.get('/me'), 200);
  const over = await fresh.browser.get('/auth/mfa/challenge', { headers: { accept: 'text/html' } });
  expect([over.status, over.headers.get('location')]).toEqual([303, '/auth/login']);
});
