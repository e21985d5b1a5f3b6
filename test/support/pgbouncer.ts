import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { TestDatabase } from './database.js';
import { freePort } from './free-port.js';

const DEFAULTS = '/etc/pgbouncer/pgbouncer.ini';

/**
 * PgBouncer with Debian's own settings, in transaction mode, before the server of a test's database; ended after the test.
 *
 * @returns the address of the database behind it; null where `pgbouncer` is not installed
 */
export async function startPgBouncer(database: TestDatabase): Promise<string | null> {
  const defaults = readOrNull(DEFAULTS);
  if (defaults === null) return null;
  const server = new URL(database.url);
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-pgbouncer-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const users = join(folder, 'userlist.txt');
  writeFileSync(users, `"${server.username}" "${server.password}"\n`);
  // Only where it listens, what it leads to and the mode: everything else is as Debian ships it.
  const settings = defaults
    .replace(/^\[databases\]$/m, `[databases]\n* = host=${server.hostname} port=${server.port}`)
    .replace(/^listen_addr = .*$/m, 'listen_addr = 127.0.0.1')
    .replace(/^listen_port = .*$/m, `listen_port = ${port}`)
    .replace(/^unix_socket_dir = .*$/m, 'unix_socket_dir =')
    .replace(/^logfile = .*$/m, '')
    .replace(/^pidfile = .*$/m, '')
    .replace(/^auth_file = .*$/m, `auth_file = ${users}`)
    .replace(/^\[pgbouncer\]$/m, '[pgbouncer]\npool_mode = transaction');
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(file, settings);
  const isRoot = process.getuid?.() === 0; // it refuses to run as root
  if (isRoot) for (const path of [folder, users, file]) giveToNobody(path);
  const pooler = spawn('pgbouncer', [...(isRoot ? ['-u', 'nobody'] : []), file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const isUp = await new Promise<boolean>((resolve) => {
    let log = '';
    pooler.once('error', () => resolve(false));
    pooler.once('exit', (code) => {
      if (code !== null) process.stderr.write(log);
      resolve(false);
    });
    pooler.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes('process up')) resolve(true);
    });
  });
  if (!isUp) throw new Error('PgBouncer is installed and does not start');
  onTestFinished(() => end(pooler));
  return `postgresql://${server.username}:${server.password}@127.0.0.1:${port}${server.pathname}`;
}

function giveToNobody(path: string): void {
  const { uid, gid } = nobody();
  chownSync(path, uid, gid);
  chmodSync(path, statSync(path).isDirectory() ? 0o755 : 0o644);
}

function nobody(): { uid: number; gid: number } {
  const [, , uid, gid] = /^nobody:.*$/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[0].split(':') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

async function end(pooler: ChildProcess): Promise<void> {
  if (pooler.exitCode !== null || pooler.signalCode !== null) return;
  pooler.kill('SIGKILL');
  await once(pooler, 'exit');
}
