import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { parseConfig } from '../../../src/config/config.js';
import { Broadcast } from '../../../src/core/instances/broadcast.js';
import type { Channel } from '../../../src/core/instances/channel.js';
import { createRuntime } from '../../../src/core/runtime.js';
import type { Db } from '../../../src/db/client.js';
import { SYSTEM } from '../../../src/index.js';
import { administer } from '../../support/administer.js';
import { SECRET, startApp, TestLogger } from '../../support/app.js';
import { at, claimsOf, startSibling } from '../../support/sessions.js';

const OTHER_SECRET = 'Xp4sN8kV2wT7mZ1rQ9cJ5hF3bL6gD0yA';

/** A bus in this process that hands everything to everybody, and can be cut. */
class Wire {
  readonly listeners = new Set<{ onMessage(payload: string): void; onLost(error?: unknown): void }>();
  readonly sent: string[] = [];
  isCut = false;

  channel(): Channel {
    return {
      kind: 'redis',
      open: async (onMessage, onLost) => {
        if (this.isCut) throw new Error('cut');
        const listener = { onMessage, onLost };
        this.listeners.add(listener);
        return {
          send: async (payload) => {
            if (this.isCut) throw new Error('cut');
            this.deliver(payload);
          },
          close: async () => void this.listeners.delete(listener),
        };
      },
    };
  }

  deliver(payload: string): void {
    this.sent.push(payload);
    for (const { onMessage } of this.listeners) onMessage(payload);
  }

  cut(): void {
    this.isCut = true;
    for (const { onLost } of [...this.listeners]) onLost(new Error('cut'));
  }
}

async function member(wire: Wire, secrets: string[] = [SECRET]) {
  const logger = new TestLogger();
  const config = parseConfig({ baseUrl: 'http://localhost:3000', secrets, logger });
  const runtime = createRuntime(config, {} as Db); // a broadcast asks no database
  const heard: string[] = [];
  runtime.invalidation.subscribe((topics) => heard.push(...topics));
  const broadcast = new Broadcast(runtime, wire.channel());
  onTestFinished(() => broadcast.stop());
  await broadcast.start();
  heard.length = 0;
  return { runtime, broadcast, heard, logger };
}

test('what one instance invalidates, the others hear once, and nobody twice', async () => {
  const wire = new Wire();
  const [first, second] = [await member(wire), await member(wire)];
  first.heard.length = 0;
  first.runtime.invalidation.publish(['session:a', 'user:b']);
  await vi.waitFor(() => expect(second.heard).toEqual(['session:a', 'user:b']));
  expect(first.heard).toEqual(['session:a', 'user:b']);
});

test('strangers on the bus, other secrets, unknown topics and endless payloads change nothing', async () => {
  const wire = new Wire();
  const first = await member(wire);
  const stranger = await member(wire, [OTHER_SECRET]);
  await stranger.broadcast.publish(['all']);
  for (const payload of [
    '',
    'all',
    '{"topics":["all"]}',
    '["x","all"]',
    'a.b.["x","all"]',
    `x.${'y'.repeat(100_000)}`,
    'ping ',
    '\u0000',
  ])
    wire.deliver(payload);
  expect(first.heard).toEqual([]);
  const friend = await member(wire, [OTHER_SECRET, SECRET]);
  first.heard.length = 0;
  await first.broadcast.publish(['session:a', 'no such topic' as never, 'user:b']);
  expect(friend.heard).toEqual(['session:a', 'user:b']);
  const forged = wire.sent.at(-1)?.replace('session:a', 'session:z') ?? '';
  friend.heard.length = 0;
  wire.deliver(forged);
  expect(friend.heard).toEqual([]);
});

test('many topics travel in payloads that PostgreSQL takes, and very many as one word', async () => {
  const wire = new Wire();
  const [first, second] = [await member(wire), await member(wire)];
  const topics = Array.from({ length: 400 }, (_, i) => `session:${String(i).padStart(40, '0')}` as const);
  await first.broadcast.publish(topics);
  expect(second.heard).toEqual(topics);
  expect(Math.max(...wire.sent.map((payload) => payload.length))).toBeLessThan(8000);
  second.heard.length = 0;
  await first.broadcast.publish(Array.from({ length: 5000 }, (_, i) => `user:${i}` as const));
  expect(second.heard).toEqual(['all']);
});

test('after an interruption everything is forgotten on both sides, and health says what is', async () => {
  const wire = new Wire();
  const [first, second] = [await member(wire), await member(wire)];
  first.heard.length = 0;
  expect(first.broadcast.health).toMatchObject({ kind: 'redis', isUp: true });
  wire.cut();
  expect(first.broadcast.health.isUp).toBe(false);
  expect(second.broadcast.health.isUp).toBe(false);
  first.runtime.invalidation.publish(['session:lost']); // nobody hears this
  expect(first.logger.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  wire.isCut = false;
  await vi.waitFor(
    () => expect([first.broadcast.health.isUp, second.broadcast.health.isUp]).toEqual([true, true]),
    10_000,
  );
  expect(first.heard).toContain('all');
  expect(second.heard).toContain('all');
});

test('a bus that swallows messages without a word counts as down', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const wire = new Wire();
  const { broadcast } = await member(wire);
  expect(broadcast.health.isUp).toBe(true);
  wire.listeners.clear();
  await vi.advanceTimersByTimeAsync(5000);
  await vi.advanceTimersByTimeAsync(2000);
  expect(broadcast.health.isUp).toBe(false);
});

test('stopping leaves no timer and no listener, also while the bus is down', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const wire = new Wire();
  const up = await member(wire);
  await up.broadcast.stop();
  expect(wire.listeners.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  wire.isCut = true;
  const down = await member(wire);
  expect(down.broadcast.health.isUp).toBe(false);
  await down.broadcast.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test.runIf(inject('dialect') === 'postgresql')(
  'over PostgreSQL a GET on another instance is refused without waiting for V, also after a reconnect (SS-8)',
  async () => {
    const app = await startApp();
    const sibling = await startSibling(app);
    for (let round = 0; round < 2; round += 1) {
      const { browser } = await app.signedIn(`round${round}@example.com`);
      const elsewhere = at(sibling, browser);
      expect((await elsewhere.get('/me')).status).toBe(200);
      await app.authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM);
      await vi.waitFor(async () => expect((await elsewhere.get('/me')).status).toBe(401), {
        timeout: 3000,
        interval: 5,
      });
      if (round === 1) break;
      await administer(
        app.database.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authtuna broadcast' AND datname = current_database()",
      );
      await vi.waitFor(async () => expect((await sibling.authTuna.health()).broadcast.since).not.toBeNull());
      for (const { authTuna } of [app, sibling])
        await vi.waitFor(async () => expect((await authTuna.health()).broadcast.isUp).toBe(true), {
          timeout: 10_000,
        });
    }
  },
);

test.runIf(inject('dialect') === 'postgresql')(
  'an API key that is revoked on one server is refused on another without waiting for V (RB-8)',
  async () => {
    const app = await startApp();
    const sibling = await startSibling(app);
    const { user } = await app.signedIn();
    const { apiKey, key } = await app.authTuna.apiKeys.create({ userId: user.id, name: 'Script' }, SYSTEM);
    const statusElsewhere = async () =>
      (await sibling.browser().get('/me', { headers: { authorization: `Bearer ${key}` } })).status;
    expect(await statusElsewhere()).toBe(200);
    await app.authTuna.apiKeys.revoke(apiKey.id, SYSTEM);
    await vi.waitFor(async () => expect(await statusElsewhere()).toBe(401), { timeout: 3000, interval: 5 });
  },
);

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis) console.log('redis-server is not installed: the broadcast over Redis is not tested');

test.runIf(hasRedis)(
  'over Redis a GET on another instance is refused without waiting for V (SS-8)',
  async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const redis = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
      {
        stdio: 'ignore',
      },
    );
    onTestFinished(() => void redis.kill());
    const redisUrl = `redis://127.0.0.1:${port}`;
    const app = await startApp({ redisUrl });
    const sibling = await startSibling(app, { redisUrl });
    for (const { authTuna } of [app, sibling])
      await vi.waitFor(
        async () => expect((await authTuna.health()).broadcast).toMatchObject({ kind: 'redis', isUp: true }),
        {
          timeout: 10_000,
        },
      );
    const { browser } = await app.signedIn();
    const elsewhere = at(sibling, browser);
    expect((await elsewhere.get('/me')).status).toBe(200);
    await app.authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM);
    await vi.waitFor(async () => expect((await elsewhere.get('/me')).status).toBe(401), {
      timeout: 3000,
      interval: 5,
    });
  },
);
