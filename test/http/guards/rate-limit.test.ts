import type { Express } from 'express';
import { describe, expect, test } from 'vitest';
import type { AuthTuna } from '../../../src/authtuna-interface.js';
import type { HumanCheckRequest } from '../../../src/config/options.js';
import { RateLimiter } from '../../../src/core/limits/rate-limiter.js';
import { MailQuota, type MailRequest } from '../../../src/core/tokens/mail-quota.js';
import { createAuthTuna, SYSTEM } from '../../../src/index.js';
import { TestClock, TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, SECRET, startApp } from '../../support/app.js';
import { emptyDatabase } from '../../support/database.js';
import { startRedis } from '../../support/redis.js';
import { startRuntime } from '../../support/runtime.js';

const from = (ip: string) => ({ headers: { 'x-forwarded-for': ip } });

test('sign-ups, requests for mails and their links are limited by network too, at five times the limit of an address (PX-2)', async () => {
  const limit = { limit: 1, windowSeconds: 600 };
  const app = await startApp({
    trustedProxies: 1,
    rateLimits: { signUp: limit, mailRequest: limit, mailToken: limit },
  });
  const routes = [
    ['/auth/signup', { email: 'not an address' }],
    ['/auth/forgot-password', { email: 'ada@example.com' }],
    ['/auth/reset-password', { token: 'x' }],
  ] as const;
  for (const [path, body] of routes) {
    const statusFrom = async (ip: string) => (await app.browser().post(path, body, from(ip))).status;
    for (let host = 0; host < 5; host += 1)
      expect(await statusFrom(`2001:db8:77:10${host}::1`), path).not.toBe(429);
    expect(await statusFrom('2001:db8:77:1ff::1'), path).toBe(429);
    expect(await statusFrom('2001:db8:78:1ff::1'), path).not.toBe(429);
  }
}, 60_000);

describe('the limiter', () => {
  const LIMIT = { limit: 10, windowSeconds: 100 };

  test('of 60 at one instant in three processes exactly ten pass (PX-2)', async () => {
    const { runtime, database, clock } = await startRuntime();
    const others = [await startRuntime({}, { database, clock }), await startRuntime({}, { database, clock })];
    const limiters = [runtime, ...others.map((other) => other.runtime)].map((each) => new RateLimiter(each));
    const verdicts = await Promise.all(
      limiters.flatMap((limiter) => Array.from({ length: 20 }, () => limiter.take('search ada', LIMIT))),
    );
    expect(verdicts.filter(({ allowed }) => allowed)).toHaveLength(10);
  });

  test('no window, wherever it begins, holds more than the limit, and what was promised to pass passes', async () => {
    const { runtime, clock } = await startRuntime();
    const limiter = new RateLimiter(runtime);
    const passed: number[] = [];
    for (let i = 0; i < 300; i += 1) {
      const verdict = await limiter.take('search ada', LIMIT);
      if (verdict.allowed) passed.push(clock.now().getTime());
      else if (i % 7 === 0) {
        clock.advance({ seconds: verdict.resetSeconds });
        expect((await limiter.take('search ada', LIMIT)).allowed).toBe(true);
        passed.push(clock.now().getTime());
      }
      clock.advance({ milliseconds: (i * 7919) % 6000 });
    }
    for (const begin of passed)
      expect(passed.filter((at) => at >= begin && at < begin + 100_000).length).toBeLessThanOrEqual(10);
    expect(passed.length).toBeGreaterThan(60);
  });

  test('what was given back may be used again', async () => {
    const { runtime } = await startRuntime();
    const limiter = new RateLimiter(runtime);
    for (let i = 0; i < 10; i += 1) await limiter.take('search ada', LIMIT);
    expect((await limiter.take('search ada', LIMIT)).allowed).toBe(false);
    await limiter.giveBack('search ada', LIMIT);
    expect((await limiter.take('search ada', LIMIT)).allowed).toBe(true);
    expect((await limiter.take('search ada', LIMIT)).allowed).toBe(false);
  });

  test('what another process has counted or given back meanwhile is not overlooked', async () => {
    const { runtime, database, clock } = await startRuntime();
    const here = new RateLimiter(runtime);
    const there = new RateLimiter((await startRuntime({}, { database, clock })).runtime);
    await here.take('search ada', LIMIT);
    for (let i = 0; i < 9; i += 1) expect((await there.take('search ada', LIMIT)).allowed).toBe(true);
    expect((await here.take('search ada', LIMIT)).allowed).toBe(false);
    await there.giveBack('search ada', LIMIT);
    clock.advance({ seconds: 1 }); // a refusal is repeated from memory that long
    expect((await here.take('search ada', LIMIT)).allowed).toBe(true);
    expect((await there.take('search ada', LIMIT)).allowed).toBe(false);
    await runtime.db.rateWindow.deleteMany({ where: {} });
    clock.advance({ seconds: 1 });
    expect(await there.take('search ada', LIMIT)).toMatchObject({ allowed: true, remaining: 9 });
    expect(await here.take('search ada', LIMIT)).toMatchObject({ allowed: true, remaining: 8 });
  });

  test('distinct things are limited in all and at each place, at one instant in three processes (LG-7)', async () => {
    const limit = { limit: 10, limitOfPlace: 4, windowSeconds: 100 };
    const { runtime, database, clock } = await startRuntime();
    const others = [await startRuntime({}, { database, clock }), await startRuntime({}, { database, clock })];
    const limiters = [runtime, ...others.map((other) => other.runtime)].map((each) => new RateLimiter(each));
    const see = (place: string, from: number, count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, i) =>
          (limiters[i % 3] as RateLimiter).takeDistinct('spray', { member: `name${from + i}`, place }, limit),
        ),
      );
    const passed = (verdicts: { allowed: boolean }[]) => verdicts.filter(({ allowed }) => allowed).length;
    expect(passed(await see('a', 0, 12))).toBe(4);
    expect(passed(await see('b', 100, 12))).toBe(4);
    expect(passed(await see('c', 200, 12))).toBe(2);
    expect(passed(await see('d', 300, 6))).toBe(0);
    clock.advance({ seconds: 110 });
    expect(passed(await see('a', 0, 6))).toBe(4);
  });

  test('what is seen at very many places does not grow the counter without end, and what is forgotten makes room (LG-7)', async () => {
    const limit = { limit: 10, limitOfPlace: 4, windowSeconds: 100 };
    const { runtime } = await startRuntime();
    const limiter = new RateLimiter(runtime);
    const see = (place: number) => limiter.takeDistinct('spray', { member: 'ada', place: `${place}` }, limit);
    const verdicts = [];
    for (let i = 0; i < 50; i += 1) verdicts.push(await see(i));
    expect(verdicts.filter(({ allowed }) => allowed)).toHaveLength(40);
    expect(verdicts[49]).toEqual({ allowed: false, resetSeconds: 110 });
    expect(await see(7)).toEqual({ allowed: true, isNew: false });
    await limiter.forgetDistinct('spray', { member: 'ada', place: '7' }, limit);
    expect(await see(50)).toEqual({ allowed: true, isNew: true });
    expect((await see(7)).allowed).toBe(false);
  });

  test('keys are counted apart and stored as keyed digests', async () => {
    const { runtime } = await startRuntime();
    const limiter = new RateLimiter(runtime);
    await limiter.take('search 203.0.113.7/32', LIMIT);
    const sighting = { member: 'ada@example.com', place: '203.0.113.7/32' };
    await limiter.takeDistinct('spray 203.0.113.0/24', sighting, { ...LIMIT, limitOfPlace: 5 });
    const rows = await runtime.db.rateWindow.findMany();
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows)).not.toMatch(/search|203\.0|ada@/);
  });
});

describe("rateLimit on the host's own routes", () => {
  const start = () =>
    startApp(
      { trustedProxies: 1 },
      {
        routes: (app, authTuna) => {
          app.get('/search', authTuna.rateLimit('search', { limit: 3, windowSeconds: 60 }), (_req, res) => {
            res.json({ found: [] });
          });
          app.get(
            '/mine',
            authTuna.rateLimit('mine', { limit: 2, windowSeconds: 60, by: 'user' }),
            (_req, res) => void res.json({}),
          );
        },
      },
    );

  test('every answer says how the limit stands; beyond it come 429 and Retry-After', async () => {
    const app = await start();
    const browser = app.browser();
    const stands: (string | null)[] = [];
    for (let i = 0; i < 3; i += 1) {
      const answer = await browser.get('/search', from('203.0.113.7'));
      expect(answer.status).toBe(200);
      expect(answer.headers.get('ratelimit-policy')).toBe('"search";q=3;w=60');
      stands.push(answer.headers.get('ratelimit'));
    }
    expect(stands).toEqual(['"search";r=2;t=66', '"search";r=1;t=66', '"search";r=0;t=66']);
    const refused = await browser.get('/search', from('203.0.113.7'));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('ratelimit')).toBe('"search";r=0;t=66');
    expect(refused.headers.get('retry-after')).toBe('66');
    expect(await refused.json()).toMatchObject({ code: 'rate_limited', retryAfterSeconds: 66 });
    app.clock.advance({ seconds: 66 });
    expect((await browser.get('/search', from('203.0.113.7'))).status).toBe(200);
  });

  test('addresses of one /64, and two spellings of one IPv4 address, share a limit; others do not (PX-2)', async () => {
    const app = await start();
    const statusOf = async (ip: string) => (await app.browser().get('/search', from(ip))).status;
    for (const ip of ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::'])
      expect(await statusOf(ip)).toBe(200);
    expect(await statusOf('2001:db8::4')).toBe(429);
    expect(await statusOf('2001:db8:0:1::1')).toBe(200);
    for (const ip of ['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.1:4711'])
      expect(await statusOf(ip)).toBe(200);
    expect(await statusOf('::ffff:c000:201')).toBe(429);
    for (const ip of ['garbage', 'unknown', '999.1.1.1']) expect(await statusOf(ip)).toBe(200);
    expect(await statusOf('more garbage')).toBe(429);
  });

  test('by user: one user from two addresses is one, two users at one address are two', async () => {
    const app = await start();
    const ada = await app.signedIn();
    const eve = await app.signedIn();
    expect((await ada.browser.get('/mine', from('203.0.113.1'))).status).toBe(200);
    expect((await ada.browser.get('/mine', from('203.0.113.2'))).status).toBe(200);
    expect((await ada.browser.get('/mine', from('203.0.113.3'))).status).toBe(429);
    expect((await eve.browser.get('/mine', from('203.0.113.1'))).status).toBe(200);
  });

  test('of 40 parallel requests at two instances exactly three pass', async () => {
    const app = await start();
    const second = await startApp(
      { trustedProxies: 1 },
      {
        database: app.database,
        clock: app.clock,
        routes: (express, authTuna) => {
          express.get(
            '/search',
            authTuna.rateLimit('search', { limit: 3, windowSeconds: 60 }),
            (_req, res) => void res.json({}),
          );
        },
      },
    );
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        (i % 2 === 0 ? app : second).browser().get('/search', from('203.0.113.7')),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
  });

  test('a name without a limit, or an impossible limit, is refused when the app is built', async () => {
    const app = await startApp();
    const { rateLimit } = app.authTuna;
    expect(() => rateLimit('search')).toThrow(/say how often/);
    expect(() => rateLimit('search', { limit: 1.5, windowSeconds: 60 })).toThrow(/whole numbers/);
    expect(() => rateLimit('a"b', { limit: 1, windowSeconds: 60 })).toThrow(/begins with a letter/);
    expect(() => rateLimit('signUp')).not.toThrow();
  });

  test('a limiter that cannot count answers 503', async () => {
    const app = await startApp(
      { redisUrl: 'redis://127.0.0.1:1' },
      {
        routes: (express, authTuna) => {
          express.get(
            '/search',
            authTuna.rateLimit('search', { limit: 3, windowSeconds: 60 }),
            (_req, res) => void res.json({}),
          );
        },
      },
    );
    const answer = await app.browser().get('/search');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).not.toBeNull();
    const login = await app.browser().post('/auth/login', { login: 'ada@example.com', password: PASSWORD });
    expect(login.status).toBe(503);
  });
});

describe('counting in Redis', () => {
  const routes = (express: Express, authTuna: AuthTuna) => {
    const limit = authTuna.rateLimit('search', { limit: 10, windowSeconds: 60 });
    express.get('/search', limit, (_req, res) => void res.json({}));
  };

  test('of 60 parallel requests at two instances with databases of their own exactly ten pass', async ({
    skip,
  }) => {
    const redis = await startRedis();
    if (redis === null) return skip('redis-server is not installed');
    const clock = new TestClock();
    const first = await startApp({ redisUrl: redis.url }, { clock, routes });
    const second = await startApp({ redisUrl: redis.url }, { clock, routes });
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? first : second).browser().get('/search')),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(50);
    clock.advance({ seconds: 66 });
    expect((await first.browser().get('/search')).status).toBe(200);
  });

  test('while Redis is down 503 comes at once, and afterwards all is as before', async ({ skip }) => {
    const redis = await startRedis();
    if (redis === null) return skip('redis-server is not installed');
    const app = await startApp({ redisUrl: redis.url }, { routes });
    expect((await app.browser().get('/search')).status).toBe(200);
    await redis.stop();
    const begun = performance.now();
    for (let i = 0; i < 5; i += 1) expect((await app.browser().get('/search')).status).toBe(503);
    expect(performance.now() - begun).toBeLessThan(5000);
    await startRedis(redis.port);
    await expect.poll(async () => (await app.browser().get('/search')).status, { timeout: 10_000 }).toBe(200);
    const told = app.logger.lines
      .map(({ message }) => message)
      .filter((message) => message.startsWith('Redis'));
    expect(told).toHaveLength(2);
  });
});

describe("the library's own limits", () => {
  test('rateLimits replaces a default by name, and a name that is none is refused', async () => {
    const app = await startApp({ rateLimits: { signUp: { limit: 2, windowSeconds: 60 } } });
    const statuses: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const body = { email: `person${i}@example.com`, password: PASSWORD };
      statuses.push((await app.browser().post('/auth/signup', body)).status);
    }
    expect(statuses[2]).toBe(429);
    expect(statuses.slice(0, 2)).not.toContain(429);
    const rateLimits = { signup: { limit: 2, windowSeconds: 60 } } as never;
    expect(() => createAuthTuna({ baseUrl: 'http://localhost:3000', secrets: [SECRET], rateLimits })).toThrow(
      /rateLimits/,
    );
  });
});

describe('mails that strangers ask for', () => {
  const ACTOR = { userId: null, ip: '203.0.113.7', userAgent: null };
  const ADA = 'ada@example.com';
  const mayMail = (quota: MailQuota, request: MailRequest) =>
    quota.spend(request, async (held) => held === null);

  test('3 an hour to one address, those of one kind at least 60 s apart (EM-8)', async () => {
    const { runtime, clock } = await startRuntime();
    const quota = new MailQuota(runtime, new RateLimiter(runtime));
    const ask = (purpose: string) => mayMail(quota, { purpose, address: ADA, actor: ACTOR });
    const passed: boolean[] = [];
    for (const purpose of ['reset', 'reset', 'verify', 'link', 'link']) {
      passed.push(await ask(purpose), await ask(purpose));
      clock.advance({ seconds: 60 });
    }
    expect(passed).toEqual([true, false, true, false, true, false, false, false, false, false]);
    clock.advance({ minutes: 66 });
    expect(await ask('reset')).toBe(true);
  });

  test('of 20 at one instant one passes, and SYSTEM is not limited (EM-8)', async () => {
    const { runtime } = await startRuntime();
    const quota = new MailQuota(runtime, new RateLimiter(runtime));
    const ask = (actor = ACTOR) => mayMail(quota, { purpose: 'reset', address: ADA, actor });
    const passed = await Promise.all(Array.from({ length: 20 }, () => ask()));
    expect(passed.filter((each) => each)).toHaveLength(1);
    expect(await mayMail(quota, { purpose: 'reset', address: ADA, actor: SYSTEM })).toBe(true);
  });

  test('10 an hour from one network, whoever they are for; another network is free (EM-8)', async () => {
    const { runtime } = await startRuntime();
    const quota = new MailQuota(runtime, new RateLimiter(runtime));
    const ask = (i: number, ip: string) =>
      mayMail(quota, { purpose: 'reset', address: `person${i}@example.com`, actor: { ...ACTOR, ip } });
    const passed: boolean[] = [];
    for (let i = 0; i < 20; i += 1) passed.push(await ask(i, `203.0.113.${i}`));
    expect(passed.filter((each) => each)).toHaveLength(10);
    expect(await ask(30, '198.51.100.1')).toBe(true);
    // What the network refused was not counted against the address.
    expect(await ask(19, '198.51.100.1')).toBe(true);
  });

  test('a stranger who uses up the day of one purpose leaves it to the owner elsewhere (D12)', async () => {
    const { runtime, clock } = await startRuntime();
    const quota = new MailQuota(runtime, new RateLimiter(runtime));
    const ask = (ip: string) => mayMail(quota, { purpose: 'reset', address: ADA, actor: { ...ACTOR, ip } });
    let passed = 0;
    for (let hour = 0; hour < 10; hour += 1) {
      if (await ask('198.51.100.1')) passed += 1;
      clock.advance({ hours: 1 });
    }
    expect(passed).toBe(5);
    expect(await ask('203.0.113.7')).toBe(true);
  });

  test('20 requests for a forgotten password give 3 mails and 20 answers alike, known or not (EM-8, LG-3)', async () => {
    const mailbox = new TestMailbox();
    const app = await startApp({ mail: { from: 'App <app@example.com>', transport: mailbox } });
    await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
    const told: unknown[] = [];
    for (const email of [ADA, 'nobody@example.com']) {
      for (let i = 0; i < 10; i += 1) {
        const answer = await app.browser().post('/auth/forgot-password', { email });
        const headers = Object.fromEntries(answer.headers);
        for (const name of ['date', 'ratelimit']) delete headers[name];
        told.push({ status: answer.status, headers, body: await answer.text() });
        app.clock.advance({ seconds: 61 });
      }
    }
    for (const each of told) expect(each).toEqual(told[0]);
    expect(told[0]).toMatchObject({ status: 202 });
    await app.authTuna.mailer.deliver();
    expect(mailbox.mails.filter((mail) => mail.to === ADA)).toHaveLength(3);
    expect(mailbox.mails).toHaveLength(3);
  });
});

describe('humanCheck', () => {
  const asked: { request: HumanCheckRequest; action: string }[] = [];
  const humanCheck = async (request: HumanCheckRequest, action: string) => {
    asked.push({ request, action });
    if (request.token === 'broken') throw new Error('the service is down');
    return request.token === 'a person';
  };

  test('is asked at sign-up, sign-in and a forgotten password, and refuses with 403 before anything is stored', async () => {
    asked.length = 0;
    const app = await startApp({ humanCheck });
    await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
    const bodies = {
      signup: { email: 'eve@example.com', password: PASSWORD },
      login: { login: 'ada@example.com', password: PASSWORD },
      'forgot-password': { email: 'ada@example.com' },
    };
    for (const [path, body] of Object.entries(bodies)) {
      const refused = await app.browser().post(`/auth/${path}`, body);
      expect(refused.status).toBe(403);
      expect(await refused.json()).toMatchObject({ code: 'forbidden' });
      const wrong = await app.browser().post(`/auth/${path}`, { ...body, humanCheck: 'a machine' });
      expect(wrong.status).toBe(403);
    }
    expect((await app.authTuna.users.list({})).items).toHaveLength(1);
    for (const [path, body] of Object.entries(bodies)) {
      const passed = await app.browser().post(`/auth/${path}`, { ...body, humanCheck: 'a person' });
      expect(passed.status).toBeLessThan(300);
    }
    expect(asked.map(({ action }) => action)).toEqual([
      ...['signup', 'signup', 'login', 'login', 'forgot', 'forgot'],
      ...['signup', 'login', 'forgot'],
    ]);
    expect(asked[0]?.request.ip).toBe('127.0.0.1');
  });

  test('a widget is refused where nothing checks it, or where it could run what it should not', () => {
    const create = (options: object) => () =>
      createAuthTuna({
        baseUrl: 'http://localhost:3000',
        secrets: [SECRET],
        databaseUrl: 'file:./never.db',
        ...options,
      });
    const attributes = { class: 'cf-turnstile' };
    expect(create({ humanCheckWidget: { attributes } })).toThrow(/checked by humanCheck, which is missing/);
    for (const widget of [
      { attributes: { onclick: 'alert(1)' } },
      { attributes: { style: 'color: red' } },
      { attributes, tag: 'script src=x' },
      { attributes, scripts: ['http://evil.example/x.js'] },
      { attributes, scripts: ['//evil.example/x.js'] },
      { attributes, origins: ['https://hcaptcha.com/path'] },
      { attributes, origins: ['*'] },
    ])
      expect(create({ humanCheck, humanCheckWidget: widget }), JSON.stringify(widget)).toThrow(
        /humanCheckWidget/,
      );
  });

  test.each(['cf-turnstile-response', 'h-captcha-response', 'g-recaptcha-response', 'altcha'])(
    'takes what the widget adds as %s, or the header',
    async (field) => {
      const app = await startApp({ humanCheck });
      await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
      const body = { login: 'ada@example.com', password: PASSWORD };
      expect((await app.browser().post('/auth/login', { ...body, [field]: 'a person' })).status).toBe(200);
      const headers = { 'x-human-check': 'a person' };
      expect((await app.browser().post('/auth/login', body, { headers })).status).toBe(200);
    },
  );

  test('one that fails refuses with 503', async () => {
    const app = await startApp({ humanCheck });
    const body = { login: 'ada@example.com', password: PASSWORD, humanCheck: 'broken' };
    expect((await app.browser().post('/auth/login', body)).status).toBe(503);
  });
});

test('a limiter whose database is not there refuses', async () => {
  const database = await emptyDatabase();
  const { runtime } = await startRuntime({}, { database });
  await expect(
    new RateLimiter(runtime).take('search ada', { limit: 3, windowSeconds: 60 }),
  ).rejects.toMatchObject({ code: 'unavailable' });
  await database.drop();
});
