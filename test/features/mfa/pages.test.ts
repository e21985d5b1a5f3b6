import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { enrolTotp, halfSignedIn, json, totpCode } from '../../support/factors.js';
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
    rawBody: new URLSearchParams({ csrfToken: step.csrfToken }).toString(),
  });
  expect([answer.status, answer.headers.get('location')]).toEqual([
    303,
    '/auth/step-up?returnTo=%2Fauth%2Fmfa%2Fmanage%3Fconfirmed%3Dagain',
  ]);
});

test('a form about factors without its token changes nothing', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const answer = await browser.post('/auth/mfa/totp', undefined, { headers: FORM, rawBody: 'x=1' });
  expect(answer.status).toBe(403);
});

test('without a script: enroll, save the codes, sign in with the app, and see the challenge only while it waits', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const visitor = new PageVisitor(browser);
  const begin = await visitor.open('/auth/mfa/setup?returnTo=/me');
  const send = (path: string, fields: Record<string, string>, from = browser) =>
    from.post(path, undefined, { headers: FORM, rawBody: new URLSearchParams(fields).toString() });
  const begun = await send('/auth/mfa/totp', { csrfToken: begin.csrfToken, returnTo: '/me' });
  expect([begun.status, begun.headers.get('location')]).toEqual([303, '/auth/mfa/setup?returnTo=%2Fme']);
  const setup = (await visitor.open('/auth/mfa/setup?returnTo=%2Fme')).html;
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

test('without a script: new codes, a device that is trusted no more, the stopped reset, and the app removed', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const half = await halfSignedIn(app, user.email);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  const admin = await app.signedIn('admin@example.com');
  await app.authTuna.roles.assign({ userId: admin.user.id, role: 'admin', scope: 'global' }, SYSTEM);
  await app.authTuna.mfa.reset(user.id, { userId: admin.user.id, ip: null, userAgent: null });
  const visitor = new PageVisitor(browser);
  const manage = '/auth/mfa/manage';
  /** Sends the form with this address; where that leads, or what it shows. */
  const send = async (action: RegExp) => {
    const { html, csrfToken } = await visitor.open(manage);
    const found = [...html.matchAll(/<form method="post" action="([^"]*)"/g)].map(([, to = '']) => to);
    const path = found.find((to) => action.test(to));
    if (path === undefined) throw new Error(`no form ${action} among ${found.join(', ')}`);
    const forged = await visitor.postFields(path, { csrfToken: 'forged' });
    expect([403, 303]).toContain(forged.status); // 303 to the step-up
    return visitor.postFields(path, { csrfToken, ...(path.endsWith('codes') && { returnTo: manage }) });
  };
  const status = async () => json(browser.get('/auth/mfa'), 200);

  const codes = await send(/recovery-codes$/);
  expect(await codes.text()).toMatch(/<code>10-[\s\S]*href="\/auth\/mfa\/manage"/);
  const kept = await send(/reset\/stop$/);
  expect([kept.status, kept.headers.get('location')]).toEqual([303, manage]);
  expect((await status()).resetAt).toBeNull();
  expect((await send(/trusted-devices\/[^/]+\/remove$/)).status).toBe(303);
  expect((await status()).trustedDevices).toEqual([]);

  app.clock.advance({ minutes: 11 });
  const led = await send(/totp\/remove$/);
  expect(led.headers.get('location')).toBe(
    '/auth/step-up?returnTo=%2Fauth%2Fmfa%2Fmanage%3Fconfirmed%3Dagain',
  );
  const stepUp = await visitor.open(led.headers.get('location') ?? '');
  const raised = await visitor.submit(stepUp, { password: PASSWORD, code: totp.nextCode() });
  expect(raised.headers.get('location')).toBe(`${manage}?confirmed=again`);
  const copy = browser.stolen();
  expect((await send(/totp\/remove$/)).headers.get('location')).toBe(manage);
  expect((await copy.post('/me/x')).status).toBe(401);
  expect(await status()).toMatchObject({ totp: false, factors: [], recoveryCodesLeft: 0 });
  expect((await visitor.open(manage)).html).toContain('/auth/mfa/setup?returnTo=');
});
