// node scripts/import-many.js [--users 100000] [--database sqlite|postgresql]
//
// Imports users with hashes of five kinds from a CSV file by `npx authtuna import`, kills the command half-way, and runs it again. Every user must
// be there once, with a password and a role; one of each kind signs in with the old password. Prints the figures. Build first.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { hash as argon2 } from '@node-rs/argon2';
import bcrypt from 'bcrypt';
import { openDatabase } from '../dist/db/open.js';
import { createAuthTuna } from '../dist/index.js';
import { startPostgresql } from './postgresql-server.js';

const PASSWORD = 'correct horse battery staple';
const SECRET = 'only-for-this-measurement-0123456789';
const VARIANTS = 20; // salts of each kind; making 100,000 hashes would take longer than the import

const { values } = parseArgs({
  options: { users: { type: 'string', default: '100000' }, database: { type: 'string', default: 'sqlite' } },
});
const count = Number(values.users);
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** As passport apps, PHC strings, Better Auth, Django and passlib write them. */
const KINDS = {
  bcrypt: () => bcrypt.hash(PASSWORD, 4),
  argon2id: () => argon2(PASSWORD, { memoryCost: 8192, timeCost: 1 }),
  scrypt() {
    const salt = randomBytes(16).toString('hex');
    return `${salt}:${scryptSync(PASSWORD, salt, 64, { N: 16_384, r: 16, p: 1, maxmem: 1 << 26 }).toString('hex')}`;
  },
  'pbkdf2-sha256'() {
    const salt = randomBytes(9).toString('base64url');
    return `pbkdf2_sha256$10000$${salt}$${pbkdf2Sync(PASSWORD, salt, 10_000, 32, 'sha256').toString('base64')}`;
  },
  'pbkdf2-sha512'() {
    const salt = randomBytes(16);
    const text = (bytes) => bytes.toString('base64').replaceAll('+', '.').replace(/=+$/, '');
    return `$pbkdf2-sha512$10000$${text(salt)}$${text(pbkdf2Sync(PASSWORD, salt, 10_000, 64, 'sha512'))}`;
  },
};

const folder = mkdtempSync(join(tmpdir(), 'authtuna-import-'));
const server = values.database === 'postgresql' ? await startPostgresql() : null;
try {
  const databaseUrl = server?.urlOf('postgres') ?? `file:${join(folder, 'many.db')}`;
  const file = join(folder, 'users.csv');
  await writeUsers(file);
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl,
    logger: { debug() {}, info() {}, warn() {}, error: console.error },
  });
  await authTuna.ready();
  const stored = counter(databaseUrl);

  const first = runImport(file, databaseUrl);
  for (;;) {
    const { users } = await stored();
    if (users >= count / 2) break;
    if (first.child.exitCode !== null) throw new Error(`ended before it was killed:\n${first.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  first.child.kill('SIGKILL');
  await first.ended;
  const half = await stored();
  assert.equal(half.passwords, half.users, 'no user without a password');
  assert.equal(half.roles, half.users, 'no user without a role');
  assert.ok(half.users < count, 'killed before the end');

  const second = runImport(file, databaseUrl);
  const [code] = await second.ended;
  assert.equal(code, 0, second.output());
  const whole = await stored();
  assert.deepEqual(whole, { users: count, passwords: count, roles: count });

  for (const [index, kind] of Object.keys(KINDS).entries()) {
    const { id } = await authTuna.users.findByEmail(`person${index}@example.com`);
    assert.equal(await authTuna.passwords.verify(id, `${PASSWORD}!`), false, kind);
    assert.equal(await authTuna.passwords.verify(id, PASSWORD), true, kind);
    assert.equal(await authTuna.passwords.verify(id, PASSWORD), true, `${kind}, hashed anew`);
  }
  await authTuna.close();
  await stored.close();
  console.log(
    `${values.database}: killed at ${half.users} of ${count} users after ${first.seconds()} s; the second run took ${second.seconds()} s ` +
      `(${second.cpu()} s of CPU, ${second.mebibytes()} MiB): ${second.output().trim().split('\n').at(-1)}\n` +
      `${whole.users} users, each once, with password and role; ${Object.keys(KINDS).join(', ')} sign in`,
  );
} finally {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function writeUsers(path) {
  const hashes = [];
  for (const make of Object.values(KINDS))
    hashes.push(await Promise.all(Array.from({ length: VARIANTS }, () => make())));
  const out = createWriteStream(path);
  out.write('email,username,hash,verified,created\n');
  for (let index = 0; index < count; index += 1) {
    const kind = hashes[index % hashes.length];
    const hash = kind[Math.floor(index / hashes.length) % VARIANTS];
    const line = `person${index}@example.com,person${index},"${hash}",true,2020-01-31T00:00:00Z\n`;
    if (!out.write(line)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
}

function runImport(file, databaseUrl) {
  const started = performance.now();
  const env = {
    ...process.env,
    AUTHTUNA_BASE_URL: 'http://localhost:3000',
    AUTHTUNA_SECRET: SECRET,
    AUTHTUNA_DATABASE_URL: databaseUrl,
  };
  const child = spawn(process.execPath, [command, 'import', '--from', 'csv', file], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let [seconds, cpu, mebibytes] = ['', '', 0];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  // The kernel forgets them when the process is gone.
  const look = setInterval(() => {
    try {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ');
      cpu = ((Number(fields[13]) + Number(fields[14])) / 100).toFixed(1);
      const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      mebibytes = Math.max(mebibytes, Math.round(Number(kibibytes) / 1024));
    } catch {}
  }, 200);
  const ended = once(child, 'exit').then((given) => {
    clearInterval(look);
    seconds = ((performance.now() - started) / 1000).toFixed(1);
    return given;
  });
  return {
    child,
    ended,
    output: () => output,
    seconds: () => seconds,
    cpu: () => cpu,
    mebibytes: () => mebibytes,
  };
}

/** What is stored so far, read beside the command. */
function counter(databaseUrl) {
  const { client, close } = openDatabase(databaseUrl);
  const count = async () => {
    const [users, passwords, roles] = [
      await client.user.count(),
      await client.password.count(),
      await client.roleAssignment.count(),
    ];
    return { users, passwords, roles };
  };
  return Object.assign(count, { close });
}
