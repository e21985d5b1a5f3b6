import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgresql } from '../../scripts/postgresql-server.js';

/** Starts PostgreSQL; `create('sqlite' | 'postgresql')` gives the URL of an empty database, `stop()` removes everything. */
export async function startDatabases() {
  const folder = await mkdtemp(join(tmpdir(), 'authtuna-bench-'));
  const postgresql = await startPostgresql();
  let count = 0;
  return {
    async create(kind) {
      count += 1;
      if (kind === 'sqlite') return `file:${join(folder, `bench${count}.db`)}`;
      const client = new pg.Client({ connectionString: postgresql.urlOf('postgres') });
      await client.connect();
      await client.query(`CREATE DATABASE bench${count}`);
      await client.end();
      return postgresql.urlOf(`bench${count}`);
    },
    async stop() {
      await postgresql.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
