import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import bcrypt from 'bcrypt';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import type { Browser } from '../../support/browser.js';
import { openDatabase } from '../../support/database.js';
import { enrolTotp, halfSignedIn, json } from '../../support/factors.js';

const WRONG_RECOVERY_CODE = '03-AAAA-AAAA-AAAA-AAAA';

/** Somebody who has enrolled an app, and the doors at which a code of theirs can be tried. */
async function withDoors() {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const totp = await enrolTotp(app, browser);
  const first = await halfSignedIn(app, user.email);
  const second = await halfSignedIn(app, user.email);
  const verify = (half: Browser) => async (code: string) =>
    (await half.post('/auth/mfa/verify', { code })).status;
  const doors: Record<string, (code: string) => Promise<number>> = {
    'a waiting sign-in': verify(first),
    'another one': verify(second),
    'a step-up': async (code) => (await browser.post('/auth/step-up', { password: PASSWORD, code })).status,
    'authTuna.auth.stepUp': async (code) => {
      const [session] = await app.authTuna.sessions.list(user.id);
      const actor = { userId: user.id, ip: null, userAgent: null };
      return statusOf(app.authTuna.auth.stepUp(session?.id ?? '', { password: PASSWORD, code }, actor));
    },
    'authTuna.mfa.verify': async (code) => {
      const isRight = app.authTuna.mfa.verify(user.id, code, SYSTEM);
      return statusOf(isRight.then((right) => (right ? 200 : 401)));
    },
  };
  return { app, browser, user, totp, doors };
}

async function statusOf(attempt: Promise<unknown>): Promise<number> {
  try {
    const outcome = await attempt;
    return typeof outcome === 'number' ? outcome : 200;
  } catch (error) {
    return { invalid_credentials: 401, rate_limited: 429 }[(error as { code: string }).code] ?? 500;
  }
}

test('five wrong codes are all, of an app or for recovery, at whichever doors they are tried (TO-4, D26)', async () => {
  const { app, totp, doors } = await withDoors();
  const codes = ['000000', WRONG_RECOVERY_CODE];
  for (const [index, [door, attempt]] of Object.entries(doors).entries())
    expect([door, await attempt(codes[index % 2] ?? '')]).toEqual([door, 401]);
  const right = totp.nextCode();
  app.clock.advance({ seconds: -30 });
  for (const [door, attempt] of Object.entries(doors)) {
    expect([door, await attempt(right)]).toEqual([door, 429]);
    expect([door, await attempt(totp.recoveryCodes[0] ?? '')]).toEqual([door, 429]);
  }
  app.clock.advance({ seconds: 30 });
  expect(await doors['a step-up']?.(right)).toBe(200);
});

test('of sixty wrong codes at one instant, spread over five doors, five are looked at (TO-4)', async () => {
  const { doors } = await withDoors();
  const attempts = Object.values(doors);
  const statuses = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      attempts[index % attempts.length]?.(String(index).padStart(6, '0')),
    ),
  );
  expect(statuses.filter((status) => status === 401)).toHaveLength(5);
  expect(statuses.filter((status) => status === 429)).toHaveLength(55);
});

test('confirming an enrollment takes no more guesses than anything else (TO-4)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  await json(browser.post('/auth/mfa/totp'), 201);
  const guess = async () => (await browser.post('/auth/mfa/totp/confirm', { code: '000000' })).status;
  for (let count = 0; count < 5; count += 1) expect(await guess()).toBe(401);
  expect(await guess()).toBe(429);
});

test('a wrong recovery code costs one hash at most, and one that cannot be right costs none (TO-6, D26)', async () => {
  const { app, user, totp } = await withDoors();
  const compare = vi.spyOn(bcrypt, 'compare');
  onTestFinished(() => compare.mockRestore());
  const hashesFor = async (code: string) => {
    app.clock.advance({ minutes: 20 });
    compare.mockClear();
    await app.authTuna.mfa.verify(user.id, code, SYSTEM);
    return compare.mock.calls.length;
  };
  expect(await hashesFor(WRONG_RECOVERY_CODE)).toBe(1);
  expect(await hashesFor('99-AAAA-AAAA-AAAA-AAAA')).toBe(0);
  expect(await hashesFor('000000')).toBe(0);
  expect(await hashesFor('nonsense')).toBe(0);
  expect(await hashesFor(totp.recoveryCodes[2] ?? '')).toBe(1);
  expect(await hashesFor(totp.recoveryCodes[2] ?? '')).toBe(0); // spent
});

test('fifty wrong recovery codes, app codes and passkeys in flight leave the event loop free (D26, DO-1)', async () => {
  const app = await startApp();
  // Ten people, because each may be guessed at five times.
  const people: { half: Browser }[] = [];
  for (let count = 0; count < 10; count += 1) people.push(await enrolled(app, `person-${count}@example.com`));
  const started = performance.now();
  const expensive = await bcrypt.hash('no code is this one', 10); // as in production
  const oneHashMs = performance.now() - started;
  const { client } = await openDatabase(app.database);
  const [row] = await client.recoveryCode.findMany({ take: 1 });
  const hash = `${row?.hash.split('$').slice(0, 3).join('$')}$${expensive}`;
  await client.recoveryCode.updateMany({ data: { hash } });
  await client.$disconnect();
  const { browser } = await app.signedIn();
  const authenticator = new Authenticator(app.url);
  const creation = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  await json(browser.post('/auth/passkeys/register', authenticator.create(creation)), 201);

  const { statuses, medianMs } = await whileMeasured(
    people.flatMap(({ half }) =>
      Array.from({ length: 5 }, () => () => half.post('/auth/mfa/verify', { code: WRONG_RECOVERY_CODE })),
    ),
  );
  const hashes = vi.spyOn(bcrypt, 'compare');
  onTestFinished(() => hashes.mockRestore());
  app.clock.advance({ minutes: 5 });
  const byApp = await whileMeasured(
    people.flatMap(({ half }) =>
      Array.from({ length: 5 }, () => () => half.post('/auth/mfa/verify', { code: '000000' })),
    ),
  );
  const challenges = [];
  for (let count = 0; count < 50; count += 1) {
    const stranger = app.browser();
    const options = await json(stranger.post('/auth/passkeys/sign-in/options', {}), 200);
    challenges.push({ browser: stranger, options });
  }
  const byPasskey = await whileMeasured(
    challenges.map((challenge) => {
      const assertion = authenticator.get(challenge.options, { signature: 'AAAA' });
      return () => challenge.browser.post('/auth/passkeys/sign-in', assertion);
    }),
  );
  expect(statuses.every((status) => [401, 503].includes(status))).toBe(true);
  expect(statuses).toContain(401); // how many, before the queue gives up, is the machine’s
  expect(byApp.statuses.every((status) => [401, 429].includes(status))).toBe(true);
  expect(byPasskey.statuses).toEqual(Array(50).fill(401));
  // Were a hash computed here, every turn of the loop meanwhile would last as long as it. How late the latest turn is, is the machine's.
  expect(medianMs).toBeLessThan(oneHashMs / 2);
  expect(hashes).not.toHaveBeenCalled(); // for codes of an app and passkeys
}, 60_000);

async function enrolled(app: TestInstance, email: string): Promise<{ half: Browser }> {
  await enrolTotp(app, (await app.signedIn(email)).browser);
  return { half: await halfSignedIn(app, email) };
}

/** Sends all at once; how late the event loop was meanwhile. */
async function whileMeasured(requests: readonly (() => Promise<Response>)[]) {
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const answers = await Promise.all(requests.map((send) => send()));
  delay.disable();
  return {
    statuses: answers.map(({ status }) => status),
    medianMs: delay.percentile(50) / 1e6,
  };
}
