// Several Redis servers: sentinels that choose the master, and a cluster. redis-server must be installed.
import type { Express } from 'express';
import { expect, test, vi } from 'vitest';
import type { AuthTuna } from '../../src/authtuna-interface.js';
import { createAuthTuna, SYSTEM } from '../../src/index.js';
import { SECRET, startApp, type TestInstance } from '../support/app.js';
import { type RedisProcess, startRedisCluster, startSentinels } from '../support/redis-together.js';
import { at, claimsOf, startSibling } from '../support/sessions.js';

/** Limits whose counters are kept under different keys, and so on different nodes of a cluster. */
const LIMITS = Array.from({ length: 24 }, (_, i) => `limit${i}`);

function routes(express: Express, authTuna: AuthTuna): void {
  for (const name of LIMITS)
    express.get(
      `/limited/${name}`,
      authTuna.rateLimit(`limited.${name}`, { limit: 10, windowSeconds: 60 }),
      (_req, res) => void res.json({}),
    );
}

async function twoInstances(redisUrl: string): Promise<[TestInstance, TestInstance]> {
  const app = await startApp({ redisUrl }, { routes });
  const sibling = await startApp(
    { redisUrl, baseUrl: app.url },
    { database: app.database, clock: app.clock, routes },
  );
  await broadcastIs([app, sibling], true);
  return [app, sibling];
}

async function broadcastIs(instances: TestInstance[], isUp: boolean): Promise<void> {
  for (const { authTuna } of instances)
    await vi.waitFor(
      async () => expect((await authTuna.health()).broadcast).toMatchObject({ kind: 'redis', isUp }),
      20_000,
    );
}

async function statusesOf(instances: TestInstance[], name: string, count: number): Promise<number[]> {
  const asked = Array.from({ length: count }, (_, i) =>
    instances[i % instances.length]?.browser().get(`/limited/${name}`),
  );
  return (await Promise.all(asked)).map((answer) => answer?.status ?? 0);
}

/** Of many at both instances exactly ten pass, whichever counter it is. */
async function limitsHold(instances: TestInstance[], names: readonly string[]): Promise<void> {
  for (const name of names) {
    const statuses = await statusesOf(instances, name, 30);
    expect(
      statuses.filter((status) => status === 200),
      name,
    ).toHaveLength(10);
    expect(
      statuses.filter((status) => status === 429),
      name,
    ).toHaveLength(20);
  }
}

async function revocationsAreHeard([app, sibling]: [TestInstance, TestInstance]): Promise<void> {
  for (const [here, there] of [
    [app, sibling],
    [sibling, app],
  ] as const) {
    const { browser } = await app.signedIn();
    const elsewhere = at(there, browser);
    expect((await elsewhere.get('/me')).status).toBe(200);
    await here.authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM);
    await vi.waitFor(async () => expect((await elsewhere.get('/me')).status).toBe(401), 3000);
  }
}

/** What is answered from the death of a server until all counters work again. */
async function untilBack(app: TestInstance, server: RedisProcess, names: readonly string[]): Promise<void> {
  const { browser } = await app.signedIn();
  await server.kill();
  const seen = new Set<number>();
  await vi.waitFor(
    async () => {
      const answers = await Promise.all(names.map((name) => app.browser().get(`/limited/${name}`)));
      for (const answer of answers) {
        seen.add(answer.status);
        if (answer.status === 503) expect(answer.headers.get('retry-after')).not.toBeNull();
      }
      expect((await browser.get('/me')).status).toBe(200);
      expect(answers.every(({ status }) => status === 200 || status === 429)).toBe(true);
    },
    { timeout: 30_000, interval: 100 },
  );
  expect(seen).toContain(503);
  for (const status of seen) expect([200, 429, 503]).toContain(status);
}

test('over sentinels limits are exact and revocations are heard, before and after another master was chosen (PX-2, SS-8)', async ({
  skip,
}) => {
  const redis = await startSentinels();
  if (redis === null) return skip('redis-server is not installed');
  const both = await twoInstances(redis.url);
  await limitsHold(both, LIMITS.slice(0, 1));
  await revocationsAreHeard(both);
  await redis.sentinels[0]?.kill(); // another one knows the master as well
  await untilBack(both[0], redis.master, LIMITS.slice(1, 2));
  await broadcastIs(both, true);
  await limitsHold(both, LIMITS.slice(2, 3));
  await revocationsAreHeard(both);
  const told = both[0].logger.lines.filter(({ message }) => message.startsWith('Redis'));
  expect(told.map(({ level }) => level)).toEqual(['error', 'info']);
});

test('in a cluster limits are exact and revocations are heard, before and after a master was replaced (PX-2, SS-8)', async ({
  skip,
}) => {
  const redis = await startRedisCluster();
  if (redis === null) return skip('redis-server is not installed');
  const both = await twoInstances(redis.url);
  await limitsHold(both, LIMITS.slice(0, 4));
  await revocationsAreHeard(both);
  const [first] = redis.nodes;
  if (first === undefined) throw new Error('no node');
  await untilBack(both[0], first, LIMITS.slice(4));
  await broadcastIs(both, true);
  both[0].clock.advance({ seconds: 120 });
  await limitsHold(both, LIMITS.slice(4, 12));
  await revocationsAreHeard(both);
  // A start while a node is away.
  const third = await startSibling(both[0], { redisUrl: redis.url });
  await broadcastIs([third], true);
  await revocationsAreHeard([both[0], third]);
  const told = both[0].logger.lines.filter(({ message }) => message.startsWith('Redis'));
  expect(told.at(-1)?.level).toBe('info');
});

test('a redisUrl that names one node of a cluster is refused in use, and the log says what to write', async ({
  skip,
}) => {
  const redis = await startRedisCluster();
  if (redis === null) return skip('redis-server is not installed');
  const app = await startApp({ redisUrl: `redis://127.0.0.1:${redis.nodes[0]?.port}` }, { routes });
  const statuses = await Promise.all(LIMITS.map(async (name) => (await statusesOf([app], name, 1))[0]));
  expect(statuses).toContain(503);
  const told = app.logger.lines.find(({ message }) => message.startsWith('Redis'));
  expect(told?.facts).toMatchObject({ error: { message: expect.stringContaining('redis+cluster://') } });
});

test('a redisUrl that cannot be read is refused at once, without its password in the message', () => {
  const made = (redisUrl: string) => () =>
    createAuthTuna({
      baseUrl: 'http://localhost:3000',
      secrets: [SECRET],
      databaseUrl: 'file:./unused.db',
      redisUrl,
    });
  for (const redisUrl of [
    'http://geheim@localhost',
    'redis+cluster://',
    'redis+cluster://u:geheim@a:6379,/',
    'redis+cluster://u:geheim@a:6379,b:port',
    'redis+cluster://u:geheim@a:6379/name',
    'redis+sentinel://u:geheim@a:26379,b:26379',
    'redis+sentinel://u:geheim@a/one/two',
    'redis+sentinel://u:geheim@a/name?sentinelPassword=geheim',
    'redis+sentinel://u:%GEHEIM@a/name',
  ]) {
    expect(made(redisUrl), redisUrl).toThrow(/redisUrl.*redis\+cluster:\/\/host/);
    expect(made(redisUrl), redisUrl).not.toThrow(/geheim/i);
  }
});
