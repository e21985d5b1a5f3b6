import { PrismaPg } from '@prisma/adapter-pg';

type Connection = Awaited<ReturnType<PrismaPg['connect']>>;

/** One connection per server for all tests of a process: to open one takes as long as to copy a database. */
const connections = new Map<string, Promise<Connection>>();

/** Runs one statement that cannot be in a transaction. */
export async function administer(url: string, sql: string): Promise<void> {
  const opened =
    connections.get(url) ??
    new PrismaPg({ connectionString: url, max: 1, idleTimeoutMillis: 0, allowExitOnIdle: true }).connect();
  connections.set(url, opened);
  await (await opened).executeScript(sql);
}
