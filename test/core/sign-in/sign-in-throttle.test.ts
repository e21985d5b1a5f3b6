import { describe, expect, test } from 'vitest';
import { createAuthTuna, SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, SECRET, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { emptyDatabase } from '../../support/database.js';

const ADA = 'ada@example.com';
const NOBODY = 'nobody@example.com';
const HOME = '198.51.100.7';
const MANY = { timeout: 180_000 }; // hundreds of requests, on a machine that may be busy
const WRONG = 'no such password at all';

/** An instance behind one proxy, with Ada's account, where every request says which address it comes from. */
async function start(options: Parameters<typeof startApp>[0] = {}) {
  const app = await startApp({ trustedProxies: 1, ...options });
  const ada = await app.authTuna.users.create({
    email: ADA,
    username: 'ada.l',
    password: PASSWORD,
    emailVerified: true,
  });
  return { ...app, ada };
}

function guess(
  app: Pick<TestInstance, 'browser'>,
  login: string,
  password: string,
  ip = HOME,
  browser: Browser = app.browser(),
) {
  return browser.post('/auth/login', { login, password }, { headers: { 'x-forwarded-for': ip } });
}

function countOf(statuses: readonly number[], status: number): number {
  return statuses.filter((each) => each === status).length;
}

describe('guesses at one account', () => {
  test('of 60 parallel guesses exactly 5 reach the hash, and even the right password waits meanwhile (LG-4, D12)', async () => {
    const app = await start();
    const answers = await Promise.all(Array.from({ length: 60 }, () => guess(app, ADA, WRONG)));
    const statuses = answers.map((answer) => answer.status);
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([5, 55]);
    const refused = answers.find((answer) => answer.status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect((await guess(app, ADA, PASSWORD)).status).toBe(429);
    app.clock.advance({ seconds: 1 });
    expect((await guess(app, ADA, PASSWORD)).status).toBe(200);
  });

  test('the address and the username of an account are one count: of 60 parallel guesses at either five reach the hash (LG-4)', async () => {
    const app = await start();
    const names = [ADA, 'ada.l', 'ADA.L', 'Ada@Example.com'];
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => guess(app, names[index % 4] as string, WRONG)),
    );
    const statuses = answers.map((answer) => answer.status);
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([5, 55]);
  });

  test('guesses from everywhere, at two instances, are one count (LG-4)', async () => {
    const app = await start();
    const second = await startApp({ trustedProxies: 1 }, { database: app.database, clock: app.clock });
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const answer = await guess(i % 2 === 0 ? app : second, ADA, WRONG, `203.0.${i}.1`);
        return answer.status;
      }),
    );
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([5, 35]);
  });

  test('a refused guess costs no hash (LG-4)', async () => {
    const app = await start({ password: { bcryptCost: 11 } });
    for (let i = 0; i < 5; i += 1) await guess(app, ADA, WRONG);
    const timeOf = async () => {
      const begun = performance.now();
      const { status } = await guess(app, ADA, WRONG);
      return { status, ms: performance.now() - begun };
    };
    app.clock.advance({ seconds: 1 });
    const hashed = await timeOf();
    const refused = [];
    for (let i = 0; i < 20; i += 1) refused.push(await timeOf());
    expect(hashed.status).toBe(401);
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([429]));
    const median = refused.map(({ ms }) => ms).sort((a, b) => a - b)[10] ?? Number.NaN;
    expect(median).toBeLessThan(hashed.ms / 2);
  });

  test('a name nobody has gives the same answers as a real one, to the byte (LG-8, LG-1)', async () => {
    const app = await start();
    const tell = async (login: string) => {
      const told = [];
      for (let i = 0; i < 9; i += 1) {
        const answer = await guess(app, login, WRONG);
        const headers = Object.fromEntries(answer.headers);
        delete headers.date;
        told.push({ status: answer.status, headers, body: await answer.text() });
        if (i >= 6) app.clock.advance({ seconds: 1 });
      }
      return told;
    };
    const real = await tell(ADA);
    expect(await tell(NOBODY)).toEqual(real);
    expect(real.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 429, 429, 401, 429]);
  });

  test('spellings of one name are one name (LG-8)', async () => {
    const app = await start();
    const spellings = [ADA, 'ADA@example.com', ' ada@EXAMPLE.com', 'Ada@Example.Com', ADA];
    for (const login of spellings) expect((await guess(app, login, WRONG)).status).toBe(401);
    expect((await guess(app, 'aDa@example.com', WRONG)).status).toBe(429);
  });

  test('a success forgets the failures of every name of the account (LG-4)', async () => {
    const app = await start();
    for (let i = 0; i < 2; i += 1) await guess(app, ADA, WRONG);
    for (let i = 0; i < 2; i += 1) await guess(app, 'ada.l', WRONG);
    expect((await guess(app, ADA, PASSWORD)).status).toBe(200);
    for (let i = 0; i < 5; i += 1) expect((await guess(app, 'ada.l', WRONG)).status).toBe(401);
  });

  test('slips at changing the password do not delay the next sign-in, and are limited themselves (D12)', async () => {
    const app = await start();
    const browser = app.browser();
    expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(200);
    const change = (currentPassword: string) =>
      browser.post('/auth/change-password', { currentPassword, newPassword: 'a wholly different sentence' });
    const statuses = [];
    for (let i = 0; i < 7; i += 1) statuses.push((await change(WRONG)).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
    expect((await guess(app, ADA, PASSWORD)).status).toBe(200);
  });
});

describe('the owner', () => {
  test(
    'after a thousand failures by strangers the known device signs in at once (LG-6, D12)',
    MANY,
    async () => {
      const app = await start();
      const browser = app.browser();
      expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(200);
      expect(browser.jar.has('at_device')).toBe(true);
      await browser.post('/auth/logout');
      const statuses: number[] = [];
      for (let round = 0; round < 50; round += 1) {
        app.clock.advance({ minutes: 15 });
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, i) => guess(app, ADA, WRONG, `203.0.${round}.${i}`)),
        );
        statuses.push(...answers.map((answer) => answer.status));
      }
      expect(countOf(statuses, 401) + countOf(statuses, 429)).toBe(1000);
      expect((await guess(app, ADA, PASSWORD, '203.0.113.99')).status).toBe(429);
      expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(200);
    },
  );

  test('a device has ten failures of its own and is then a stranger (LG-6)', async () => {
    const app = await start();
    const browser = app.browser();
    await guess(app, ADA, PASSWORD, HOME, browser);
    const statuses: number[] = [];
    for (let i = 0; i < 16; i += 1) statuses.push((await guess(app, ADA, WRONG, HOME, browser)).status);
    expect(countOf(statuses.slice(0, 15), 401)).toBe(15); // ten as a device, five as a stranger
    expect(statuses[15]).toBe(429);
    expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(429);
  });

  test('who sprays from a network keeps no known device in it out (LG-6, LG-7)', MANY, async () => {
    const app = await start();
    const browser = app.browser();
    await guess(app, ADA, PASSWORD, HOME, browser);
    for (let host = 0; host < 5; host += 1) {
      for (let name = 0; name < 20; name += 1)
        await guess(app, `somebody${host}-${name}@example.com`, WRONG, `198.51.100.${100 + host}`);
    }
    expect((await guess(app, ADA, PASSWORD, HOME)).status).toBe(429);
    for (let i = 0; i < 12; i += 1) expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(200);
    // Beyond its own ten failures it is as good as unknown there.
    for (let i = 0; i < 10; i += 1) expect((await guess(app, ADA, WRONG, HOME, browser)).status).toBe(401);
    expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(429);
  });

  test('of 60 parallel guesses with a device cookie exactly 15 reach the hash (LG-6)', async () => {
    const app = await start();
    const browser = app.browser();
    await guess(app, ADA, PASSWORD, HOME, browser);
    const thief = () => browser.stolen();
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => guess(app, ADA, WRONG, HOME, thief())),
    );
    expect(
      countOf(
        answers.map((answer) => answer.status),
        401,
      ),
    ).toBe(15);
  });

  test("a forged, altered or somebody else's device cookie is none (LG-6)", async () => {
    const app = await start();
    await app.authTuna.users.create({ email: 'eve@example.com', password: PASSWORD, emailVerified: true });
    const eve = app.browser();
    await guess(app, 'eve@example.com', PASSWORD, HOME, eve);
    const eves = eve.jar.get('at_device') ?? '';
    for (let i = 0; i < 5; i += 1) await guess(app, ADA, WRONG);
    for (const cookie of [eves, 'x', '', `${eves}x`, eves.replace(/.$/, 'A'), `${'~'.repeat(500)}`]) {
      const browser = app.browser();
      browser.jar.set('at_device', cookie);
      expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(429);
    }
  });

  test('two people who share a browser are both known in it (LG-6)', async () => {
    const app = await start();
    await app.authTuna.users.create({ email: 'eve@example.com', password: PASSWORD, emailVerified: true });
    const browser = app.browser();
    await guess(app, ADA, PASSWORD, HOME, browser);
    await guess(app, 'eve@example.com', PASSWORD, HOME, browser);
    for (const login of [ADA, 'eve@example.com']) {
      for (let i = 0; i < 5; i += 1) await guess(app, login, WRONG, '203.0.113.5');
      expect((await guess(app, login, PASSWORD, '203.0.113.5')).status).toBe(429);
      expect((await guess(app, login, PASSWORD, HOME, browser)).status).toBe(200);
    }
  });

  test('a device is forgotten 90 days after its last sign-in (LG-6)', async () => {
    const app = await start();
    const browser = app.browser();
    await guess(app, ADA, PASSWORD, HOME, browser);
    app.clock.advance({ days: 91 });
    for (let i = 0; i < 5; i += 1) await guess(app, ADA, WRONG);
    expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(429);
  });

  test(
    'after a hundred failures the password is closed to unknown devices, and the owner gets two mails a day to open it (LG-5)',
    MANY,
    async () => {
      const mailbox = new TestMailbox();
      const app = await start({ mail: { from: 'App <app@example.com>', transport: mailbox } });
      const browser = app.browser();
      await guess(app, ADA, PASSWORD, HOME, browser);
      for (let i = 0; i < 100; i += 1) {
        expect((await guess(app, ADA, WRONG, '203.0.113.5')).status).toBe(401);
        app.clock.advance({ minutes: 16 });
      }
      for (let i = 0; i < 3; i += 1) {
        const answer = await guess(app, ADA, PASSWORD, '203.0.113.5');
        expect(answer.status).toBe(429);
        expect(answer.headers.get('retry-after')).toBe('900');
        // It counts down as a wait does, which says nothing of the hundred.
        app.clock.advance({ minutes: 5 });
        const later = await guess(app, ADA, PASSWORD, '203.0.113.5');
        expect([later.status, later.headers.get('retry-after')]).toEqual([429, '600']);
        app.clock.advance({ minutes: 11 });
      }
      await app.authTuna.mailer.deliver();
      // Two a day at most, and their links live longer than that: one by a guesser at night leaves the owner a live one in the morning.
      const links = mailbox.mails.filter((mail) => mail.text.includes('/auth/unlock?token='));
      expect(links).toHaveLength(2);
      expect((await guess(app, ADA, PASSWORD, HOME, browser)).status).toBe(200);
      // A sign-in from a known device opens it again.
      expect((await guess(app, ADA, PASSWORD, '203.0.113.5')).status).toBe(200);
    },
  );

  test('the mailed link opens a closed account (LG-5)', MANY, async () => {
    const mailbox = new TestMailbox();
    const app = await start({ mail: { from: 'App <app@example.com>', transport: mailbox } });
    for (let i = 0; i < 100; i += 1) {
      await guess(app, ADA, WRONG, '203.0.113.5');
      app.clock.advance({ minutes: 16 });
    }
    expect((await guess(app, ADA, PASSWORD)).status).toBe(429);
    await app.authTuna.mailer.deliver();
    app.clock.advance({ hours: 24 });
    const [, token] = /unlock\?token=([\w.-]+)/.exec(mailbox.latestTo(ADA)?.text ?? '') ?? [];
    const opened = await app.browser().post('/auth/unlock', { token });
    expect(opened.status).toBe(200);
    expect((await guess(app, ADA, PASSWORD)).status).toBe(200);
  });

  test('a name nobody has closes after a hundred failures too (LG-5, LG-8)', MANY, async () => {
    const app = await start();
    for (let i = 0; i < 100; i += 1) {
      expect((await guess(app, NOBODY, WRONG)).status).toBe(401);
      app.clock.advance({ minutes: 16 });
    }
    const answer = await guess(app, NOBODY, WRONG);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '900']);
  });
});

describe('spraying', () => {
  const name = (i: number) => `person${i}@example.com`;

  test('of 30 accounts at one guess each from one address the 21st and all after it are refused, another address is not (LG-7)', async () => {
    const app = await start();
    const statuses: number[] = [];
    for (let i = 0; i < 30; i += 1) statuses.push((await guess(app, name(i), WRONG)).status);
    expect(statuses).toEqual([...Array(20).fill(401), ...Array(10).fill(429)]);
    expect((await guess(app, ADA, PASSWORD, '203.0.113.5')).status).toBe(200);
    app.clock.advance({ minutes: 11 });
    expect((await guess(app, name(40), WRONG)).status).toBe(401);
  });

  test('at one instant as well (LG-7)', async () => {
    const app = await start();
    const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => guess(app, name(i), WRONG)));
    expect(
      countOf(
        answers.map((answer) => answer.status),
        401,
      ),
    ).toBe(20);
  });

  test('addresses of one IPv6 /64, and an IPv4 address written as IPv6, are one (LG-7, PX-2)', async () => {
    const app = await start();
    const statuses: number[] = [];
    for (let i = 0; i < 25; i += 1)
      statuses.push((await guess(app, name(i), WRONG, `2001:db8:1:2::${i + 1}`)).status);
    expect(countOf(statuses, 401)).toBe(20);
    const mapped: number[] = [];
    for (let i = 0; i < 25; i += 1)
      mapped.push((await guess(app, name(i), WRONG, i % 2 === 0 ? '::ffff:192.0.2.1' : '192.0.2.1')).status);
    expect(countOf(mapped, 401)).toBe(20);
  });

  test('a hundred names from one /24 slow all of it (LG-7)', MANY, async () => {
    const app = await start();
    const statuses: number[] = [];
    for (let i = 0; i < 110; i += 1)
      statuses.push((await guess(app, name(i), WRONG, `192.0.2.${i % 11}`)).status);
    expect(statuses).toEqual([...Array(100).fill(401), ...Array(10).fill(429)]);
    expect((await guess(app, name(200), WRONG, '192.0.3.1')).status).toBe(401);
  });

  test('addresses that cannot be read share one bucket (PX-2)', async () => {
    const app = await start();
    const statuses: number[] = [];
    for (let i = 0; i < 25; i += 1) statuses.push((await guess(app, name(i), WRONG, `garbage-${i}`)).status);
    expect(countOf(statuses, 401)).toBe(20);
  });

  test('people of one office who sign in are not counted (LG-7)', async () => {
    const app = await start();
    for (let i = 0; i < 25; i += 1) {
      await app.authTuna.users.create({ email: name(i), password: PASSWORD, emailVerified: true });
      expect((await guess(app, name(i), PASSWORD)).status).toBe(200);
    }
  });

  test('a header that anybody can send does not change who is counted (D13)', async () => {
    const app = await startApp();
    const statuses: number[] = [];
    for (let i = 0; i < 25; i += 1) {
      const answer = await app
        .browser()
        .post(
          '/auth/login',
          { login: name(i), password: WRONG },
          { headers: { 'x-forwarded-for': `203.0.113.${i}`, 'cf-connecting-ip': `203.0.113.${i}` } },
        );
      statuses.push(answer.status);
    }
    expect(countOf(statuses, 401)).toBe(20);
    const warnings = app.logger.lines.filter(({ message }) => message.includes('X-Forwarded-For'));
    expect(warnings).toHaveLength(1);
  });

  test('behind a proxy that is configured, one address that guesses leaves another alone (D13)', async () => {
    const app = await start();
    for (let i = 0; i < 25; i += 1) await guess(app, name(i), WRONG, '203.0.113.5');
    expect((await guess(app, name(99), WRONG, '203.0.113.5')).status).toBe(429);
    expect((await guess(app, ADA, PASSWORD, '192.0.2.1')).status).toBe(200);
  });
});

test(
  'when sign-ins fail five times as often as usual the log and the audit say so, once (LG-7)',
  MANY,
  async () => {
    const app = await start();
    const suspected: unknown[] = [];
    app.authTuna.on('attack.suspected', (event) => void suspected.push(event.data));
    let people = 0;
    const fail = async (times: number) => {
      for (let i = 0; i < times; i += 1) {
        people += 1;
        await guess(app, `person${people}@example.com`, WRONG, `10.${people % 250}.0.1`);
      }
    };
    for (let i = 0; i < 12; i += 1) {
      await fail(10);
      app.clock.advance({ minutes: 5 });
    }
    await fail(50);
    expect(suspected).toEqual([]);
    await fail(3);
    await expect.poll(() => suspected).toEqual([{ failures: 51, usual: 10, minutes: 5 }]);
    const { items } = await app.authTuna.audit.list({ type: 'attack.suspected' });
    expect(items).toHaveLength(1);
  },
);

test('with a wrong password every kind of account answers alike (LG-1, D32)', async () => {
  const app = await start({ mail: { from: 'app@example.com', transport: new TestMailbox() } });
  const suspended = await app.authTuna.users.create({
    email: 'suspended@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  await app.authTuna.users.suspend(suspended.id, 'spam', SYSTEM);
  await app.authTuna.users.create({ email: 'unverified@example.com', password: PASSWORD });
  await app.authTuna.users.create({ email: 'passwordless@example.com', emailVerified: true });
  const tell = async (login: string) => {
    const answer = await guess(app, login, WRONG);
    const headers = Object.fromEntries(answer.headers);
    delete headers.date;
    return { status: answer.status, headers, body: await answer.text() };
  };
  const told = [];
  for (const login of [
    ADA,
    NOBODY,
    'unverified@example.com',
    'passwordless@example.com',
    'suspended@example.com',
  ])
    told.push(await tell(login));
  for (const each of told) expect(each).toEqual(told[0]);
});

test('a throttle that cannot count refuses with 503', async () => {
  const database = await emptyDatabase();
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: database.url,
  });
  const actor = { userId: null, ip: HOME, userAgent: null };
  await expect(authTuna.auth.login({ login: ADA, password: WRONG }, actor)).rejects.toMatchObject({
    code: 'unavailable',
  });
  await authTuna.close();
  await database.drop();
});
