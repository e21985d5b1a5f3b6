import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import type { Browser } from '../../support/browser.js';
import { openDatabase } from '../../support/database.js';
import { enrolTotp, halfSignedIn, json, totpCode } from '../../support/factors.js';
import { startMailedApp, tokenIn } from '../../support/mailed-app.js';

test('the seed is shown by POST while it is enrolled and never again, and no row holds it readable (TO-1)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const begun = await browser.post('/auth/mfa/totp');
  expect(begun.headers.get('cache-control')).toBe('no-store');
  const { secret, otpauthUrl, qrCode } = await json(begun, 201);
  expect(secret).toMatch(/^[A-Z2-7]{32}$/);
  expect(otpauthUrl).toContain(`secret=${secret}`);
  expect(qrCode).toMatch(/^data:image\/svg\+xml;base64,/);
  expect((await browser.get('/auth/mfa/totp')).status).toBe(405);
  expect((await browser.get(`/auth/mfa/qr?uri=${encodeURIComponent(otpauthUrl)}`)).status).toBe(404);
  await json(browser.post('/auth/mfa/totp/confirm', { code: totpCode(secret, app.clock) }), 201);
  expect(await (await browser.get('/auth/mfa')).text()).not.toContain(secret);
  expect((await browser.post('/auth/mfa/totp')).status).toBe(409);

  const { client } = await openDatabase(app.database);
  const row = await client.totp.findUniqueOrThrow({ where: { userId: user.id } });
  expect(JSON.stringify(row)).not.toContain(secret);
  expect(row.sealed).toMatch(/^v1\./);
  await client.$disconnect();
});

test('a sealed seed that was moved to another row opens nothing (TO-1)', async () => {
  const app = await startApp();
  const thief = await app.signedIn('thief@example.com');
  const victim = await app.signedIn('victim@example.com');
  const own = await enrolTotp(app, thief.browser);
  await enrolTotp(app, victim.browser);
  const { client } = await openDatabase(app.database);
  const { sealed } = await client.totp.findUniqueOrThrow({ where: { userId: thief.user.id } });
  await client.totp.update({ where: { userId: victim.user.id }, data: { sealed } });
  await client.$disconnect();
  expect(await app.authTuna.mfa.verify(victim.user.id, own.nextCode(), SYSTEM)).toBe(false);
  expect(app.logger.lines.some(({ message }) => message.includes('TOTP seed could not be opened'))).toBe(
    true,
  );
});

test('a code is accepted once, and none of an earlier step after it (TO-2)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const { mfa } = app.authTuna;
  app.clock.advance({ minutes: 5 });
  const code = totpCode(totp.secret, app.clock);
  expect(await mfa.verify(user.id, code, SYSTEM)).toBe(true);
  expect(await mfa.verify(user.id, code, SYSTEM)).toBe(false);
  expect(await mfa.verify(user.id, totpCode(totp.secret, app.clock, -1), SYSTEM)).toBe(false);
  app.clock.advance({ seconds: 30 });
  expect(await mfa.verify(user.id, totp.nextCode(), SYSTEM)).toBe(true);
});

test('one code signs one of eight waiting sign-ins in, however many copies of it arrive at one instant (TO-2, D26)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const waiting: Browser[] = [];
  for (let count = 0; count < 8; count += 1) waiting.push(await halfSignedIn(app, user.email));
  const code = totp.nextCode();
  const answers = await Promise.all(
    waiting.flatMap((half) =>
      Array.from({ length: 4 }, () => half.stolen().post('/auth/mfa/verify', { code })),
    ),
  );
  const statuses = answers.map((answer) => answer.status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  expect(statuses.every((status) => [200, 400, 401, 429].includes(status))).toBe(true);
  expect(await app.authTuna.sessions.list(user.id)).toHaveLength(2);
});

test('the step before and the step after count for clocks that differ, further ones do not (TO-3)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const { secret } = await enrolTotp(app, browser);
  for (const [steps, accepted] of [
    [-2, false],
    [2, false],
    [-1, true],
    [0, true],
    [1, true],
  ] as const) {
    app.clock.advance({ minutes: 10 });
    expect(await app.authTuna.mfa.verify(user.id, totpCode(secret, app.clock, steps), SYSTEM)).toBe(accepted);
  }
});

test('guesses stop after five, however they are spread over sign-ins (TO-4, D26)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  let half = await halfSignedIn(app, user.email);
  for (let guess = 0; guess < 5; guess += 1) {
    expect((await half.post('/auth/mfa/verify', { code: '000000' })).status).toBe(401);
    if (guess === 2) half = await halfSignedIn(app, user.email);
  }
  half = await halfSignedIn(app, user.email);
  const blocked = await half.post('/auth/mfa/verify', { code: totpCode(totp.secret, app.clock) });
  expect(blocked.status).toBe(429);
  expect(Number(blocked.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await half.post('/auth/mfa/verify', { code: '01-AAAA-AAAA-AAAA-AAAA' })).status).toBe(429);
  expect((await half.post('/auth/mfa/verify', { code: totp.nextCode() })).status).toBe(200);
});

test('of two hundred parallel guesses five are looked at (TO-4)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  await enrolTotp(app, browser);
  const half = await halfSignedIn(app, user.email);
  const guess = async (number: number) =>
    (await half.stolen().post('/auth/mfa/verify', { code: String(number).padStart(6, '0') })).status;
  const statuses = await Promise.all(Array.from({ length: 200 }, (_, index) => guess(index)));
  // A busy machine answers some of them with 503, before or after the guess was counted.
  while (statuses.at(-1) !== 429 && statuses.length < 220) statuses.push(await guess(statuses.length));
  expect(statuses.at(-1)).toBe(429);
  expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(5);
  expect(statuses.filter((status) => ![401, 429, 503].includes(status))).toEqual([]);
});

test('every beginning shows a seed of its own, the one of a first tab stays good, and both are over after ten minutes (TO-5)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const first = await json(browser.post('/auth/mfa/totp'), 201);
  app.clock.advance({ minutes: 5 });
  const second = await json(browser.post('/auth/mfa/totp'), 201);
  expect(second.secret).not.toBe(first.secret);
  app.clock.advance({ minutes: 4, seconds: 59 });
  const late = browser.stolen();
  expect((await late.post('/auth/mfa/totp/confirm', { code: '000000' })).status).toBe(401);
  app.clock.advance({ seconds: 2 });
  // The session is older than ten minutes by now, too: a step-up comes first.
  await json(browser.post('/auth/step-up', { password: PASSWORD }), 200);
  const over = await browser.post('/auth/mfa/totp/confirm', { code: totpCode(first.secret, app.clock) });
  expect(over.status).toBe(401);
  app.clock.advance({ minutes: 5 });
  expect(
    (await browser.post('/auth/mfa/totp/confirm', { code: totpCode(second.secret, app.clock) })).status,
  ).toBe(400);

  const tabs = [];
  for (let tab = 0; tab < 3; tab += 1) tabs.push((await json(browser.post('/auth/mfa/totp'), 201)).secret);
  expect(new Set([first.secret, second.secret, ...tabs]).size).toBe(5);
  await json(browser.post('/auth/mfa/totp/confirm', { code: totpCode(tabs[0], app.clock) }), 201);
  app.clock.advance({ seconds: 30 });
  const half = await halfSignedIn(app, (await json(browser.get('/me'), 200)).email);
  expect((await half.post('/auth/mfa/verify', { code: totpCode(tabs[1], app.clock) })).status).toBe(401);
  await json(half.post('/auth/mfa/verify', { code: totpCode(tabs[0], app.clock) }), 200);
});

test('nobody confirms a seed that another session began, nor is shown it (TO-5)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const thief = app.browser();
  await json(thief.post('/auth/login', { login: user.email, password: PASSWORD }), 200);
  const seen = await json(thief.post('/auth/mfa/totp'), 201);
  const confirm = (from: Browser, secret: string) =>
    from.post('/auth/mfa/totp/confirm', { code: totpCode(secret, app.clock) });
  expect((await confirm(browser, seen.secret)).status).toBe(400);
  const own = await json(browser.post('/auth/mfa/totp'), 201);
  expect(own.secret).not.toBe(seen.secret);
  expect((await confirm(browser, seen.secret)).status).toBe(401);
  expect((await confirm(thief, own.secret)).status).toBe(400);
  await json(confirm(browser, own.secret), 201);
  expect((await thief.post('/me/x')).status).toBe(401);
});

test('of ten beginnings at one instant the last three count, and one confirmation (TO-5)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const begun = await Promise.all(
    Array.from({ length: 10 }, async () => (await json(browser.stolen().post('/auth/mfa/totp'), 201)).secret),
  );
  const answers = [];
  for (const secret of begun) {
    answers.push(
      (await browser.stolen().post('/auth/mfa/totp/confirm', { code: totpCode(secret, app.clock) })).status,
    );
    app.clock.advance({ seconds: 35 });
  }
  expect(answers.filter((status) => status === 201)).toHaveLength(1);
});

test('enrolling and removing end every other session and give the own one a new cookie (TO-5, SS-11)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const other = app.browser();
  await json(other.post('/auth/login', { login: user.email, password: 'correct horse battery staple' }), 200);
  const copy = browser.stolen();
  const totp = await enrolTotp(app, browser);
  expect((await other.post('/me/x')).status).toBe(401);
  expect((await copy.post('/me/x')).status).toBe(401);
  expect((await browser.post('/me/x')).status).toBe(200);

  const second = await halfSignedIn(app, user.email);
  await json(second.post('/auth/mfa/verify', { code: totp.nextCode() }), 200);
  expect((await second.post('/me/x')).status).toBe(200);
  const before = browser.stolen();
  expect((await browser.delete('/auth/mfa/totp')).status).toBe(204);
  expect((await second.post('/me/x')).status).toBe(401);
  const superseded = await before.post('/me/x');
  expect((await json(superseded)).code).toBe('superseded');
  expect((await browser.post('/me/x')).status).toBe(200);
  expect(await json(browser.get('/auth/mfa'), 200)).toMatchObject({ totp: false, recoveryCodesLeft: 0 });
});

test('a session that never saw the factor may change nothing about it (TO-5)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const half = await halfSignedIn(app, user.email);
  await json(half.post('/auth/mfa/verify', { code: totp.nextCode(), trustDevice: true }), 200);
  await half.post('/auth/logout');
  const stolen = half; // the browser is trusted, so the password alone signs in
  await json(
    stolen.post('/auth/login', { login: user.email, password: 'correct horse battery staple' }),
    200,
  );
  for (const [method, path] of [
    ['POST', '/auth/mfa/totp'],
    ['DELETE', '/auth/mfa/totp'],
    ['POST', '/auth/mfa/recovery-codes'],
    ['POST', '/auth/passkeys/register/options'],
    ['POST', '/auth/change-password'],
    ['POST', '/auth/change-email'],
  ] as const) {
    const answer = await stolen.request(method, path, method === 'POST' ? {} : undefined);
    expect([path, answer.status, (await json(answer)).code]).toEqual([path, 401, 'second_factor_required']);
    expect(answer.headers.get('www-authenticate')).toContain('insufficient_user_authentication');
  }
});

/** Somebody whose codes were guessed at a hundred times, as slowly as that takes. */
async function closedByGuesses() {
  const app = await startMailedApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const authenticator = new Authenticator(app.url);
  const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  await json(browser.post('/auth/passkeys/register', authenticator.create(options)), 201);
  const verify = (code: string) => statusOf(app.authTuna.mfa.verify(user.id, code, SYSTEM));
  for (let guess = 0; guess < 100; guess += 1) {
    expect(await verify('000000')).toBe('wrong');
    app.clock.advance({ minutes: 16 });
  }
  app.clock.advance({ days: 2 });
  return { app, user, totp, authenticator, verify };
}

async function statusOf(verified: Promise<boolean>): Promise<string> {
  try {
    return (await verified) ? 'right' : 'wrong';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test('after a hundred failures codes of the app are closed, however long one waits, until a passkey proves who it is (TO-4, LG-5)', async () => {
  const { app, totp, authenticator, verify } = await closedByGuesses();
  expect(await verify(totp.nextCode())).toBe('rate_limited');
  const stranger = app.browser();
  const request = await json(stranger.post('/auth/passkeys/sign-in/options', {}), 200);
  await json(stranger.post('/auth/passkeys/sign-in', authenticator.get(request)), 200);
  expect(await verify(totp.nextCode())).toBe('right');
}, 60_000);

test('a recovery code, which nobody guesses, opens the app’s codes again where a hundred failures closed them (TO-4, LG-5)', async () => {
  const { app, user, totp, verify } = await closedByGuesses();
  const half = await halfSignedIn(app, user.email);
  const code = (text: string) => half.post('/auth/mfa/verify', { code: text });
  expect((await code(totp.nextCode())).status).toBe(429);
  expect((await code(totp.recoveryCodes[0] ?? '')).status).toBe(200);
  expect(await verify(totp.nextCode())).toBe('right');
}, 60_000);

test('where codes of the app are closed, recovery codes are still guessed at slowly (LG-5, DO-1)', async () => {
  const { totp, verify } = await closedByGuesses();
  const wrong = '01-AAAA-AAAA-AAAA-AAAA';
  const outcomes: string[] = [];
  for (let guess = 0; guess < 8; guess += 1) outcomes.push(await verify(wrong));
  expect(outcomes).toEqual([...Array(5).fill('wrong'), ...Array(3).fill('rate_limited')]);
  expect(await verify(totp.recoveryCodes[0] ?? '')).toBe('rate_limited');
}, 60_000);

test('a password reset by mail does not open the second factor, and the mail of the hundredth failure says what does (LG-5)', async () => {
  const { app, user, totp, verify } = await closedByGuesses();
  const told = (await app.mailsTo(user.email)).filter(({ subject }) => subject.includes('wrong codes'));
  expect(told.filter(({ text }) => text.includes('Sign in with a recovery code or a passkey'))).toHaveLength(
    1,
  );
  expect(told.at(-1)?.text).toContain('no longer accepted');
  await app.browser().post('/auth/forgot-password', { email: user.email });
  const token = tokenIn(await app.mailTo(user.email), '/auth/reset-password');
  const newPassword = 'plain umbrella quartz seventeen';
  expect((await app.browser().post('/auth/reset-password', { token, newPassword })).status).toBe(200);
  expect(await verify(totp.nextCode())).toBe('rate_limited');
}, 60_000);
