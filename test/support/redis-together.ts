import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { onTestFinished, vi } from 'vitest';
import { freePort } from './free-port.js';

export interface RedisProcess {
  port: number;
  /** Ends it without a word, as in a crash. */
  kill(): Promise<void>;
  /** One command by a connection of its own. */
  command(...words: string[]): Promise<unknown>;
}

/** A master, a replica and three sentinels that watch them. */
export interface SentinelledRedis {
  url: string;
  master: RedisProcess;
  replica: RedisProcess;
  sentinels: RedisProcess[];
}

const QUICK = ['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0'];
const FAILOVER_MS = 1000;
const NAME = 'tuna';
const PASSWORD = 'a/b:c@d';
const SENTINEL_PASSWORD = 'e?f&g';

/** Servers of their own on loopback, each with a password, ended after the test; null where `redis-server` is not installed. */
export async function startSentinels(): Promise<SentinelledRedis | null> {
  const settings = [...QUICK, '--requirepass', PASSWORD, '--masterauth', PASSWORD];
  const master = await start(settings, { password: PASSWORD });
  if (master === null) return null;
  const replica = await started([...settings, '--replicaof', `127.0.0.1 ${master.port}`], {
    password: PASSWORD,
  });
  await vi.waitFor(async () => {
    if (!String(await replica.command('INFO', 'replication')).includes('master_link_status:up'))
      throw new Error('no link');
  }, 10_000);
  const watching = [
    `requirepass ${SENTINEL_PASSWORD}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 2`,
    `sentinel auth-pass ${NAME} ${PASSWORD}`,
    `sentinel down-after-milliseconds ${NAME} ${FAILOVER_MS}`,
    `sentinel failover-timeout ${NAME} 5000`,
  ];
  const sentinels = await Promise.all(
    [0, 1, 2].map(() => started(['--sentinel'], { file: watching, password: SENTINEL_PASSWORD })),
  );
  await vi.waitFor(async () => {
    for (const sentinel of sentinels) {
      const [known] = (await sentinel.command('SENTINEL', 'replicas', NAME)) as unknown[];
      const others = (await sentinel.command('SENTINEL', 'sentinels', NAME)) as unknown[];
      if (known === undefined || others.length < 2) throw new Error('they do not know each other');
    }
  }, 20_000);
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`);
  const [password, sentinelPassword] = [PASSWORD, SENTINEL_PASSWORD].map(encodeURIComponent);
  const url = `redis+sentinel://:${password}@${hosts.join(',')}/${NAME}?sentinel_password=${sentinelPassword}`;
  return { url, master, replica, sentinels };
}

/** Three masters with a replica each, ended after the test; null where `redis-server` is not installed. */
export async function startRedisCluster(): Promise<{ url: string; nodes: RedisProcess[] } | null> {
  const settings = [...QUICK, '--cluster-enabled', 'yes', '--cluster-node-timeout', String(FAILOVER_MS)];
  const first = await start(settings);
  if (first === null) return null;
  const nodes = [first, ...(await Promise.all([1, 2, 3, 4, 5].map(() => started(settings))))];
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const making = spawn(
    'redis-cli',
    ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'],
    { stdio: 'ignore' },
  );
  await once(making, 'exit');
  await vi.waitFor(async () => {
    for (const node of nodes) {
      const [state, replication] = [
        await node.command('CLUSTER', 'INFO'),
        await node.command('INFO', 'replication'),
      ];
      if (!String(state).includes('cluster_state:ok')) throw new Error('no cluster yet');
      if (String(replication).includes('master_link_status:down')) throw new Error('a replica is empty');
    }
  }, 20_000);
  return { url: `redis+cluster://${addresses.slice(0, 3).join(',')}`, nodes };
}

interface Start {
  /** Lines of a file of settings, which a sentinel needs. */
  file?: string[];
  password?: string;
}

async function started(settings: string[], options: Start = {}): Promise<RedisProcess> {
  const server = await start(settings, options);
  if (server === null) throw new Error('redis-server does not start');
  return server;
}

async function start(settings: string[], { file, password }: Start = {}): Promise<RedisProcess | null> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-redis-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, 'redis.conf');
  if (file !== undefined) writeFileSync(config, `${file.join('\n')}\n`);
  const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  const server = spawn('redis-server', [...(file === undefined ? [] : [config]), ...where, ...settings], {
    stdio: 'ignore',
  });
  const isInstalled = await Promise.race([
    once(server, 'spawn').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  if (!isInstalled) return null;
  onTestFinished(() => end(server));
  const running: RedisProcess = {
    port,
    kill: () => end(server),
    command: (...words) => ask({ port, password }, words),
  };
  await vi.waitFor(() => running.command('PING'), 10_000);
  return running;
}

async function ask(
  { port, password }: { port: number; password: string | undefined },
  words: string[],
): Promise<unknown> {
  const client = createClient({
    ...(password !== undefined && { password }),
    socket: { host: '127.0.0.1', port, reconnectStrategy: false },
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
}
