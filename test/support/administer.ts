import { PrismaPg } from '@prisma/adapter-pg';

/** Runs one statement that cannot be in a transaction, over a connection of its own. */
export async function administer(url: string, sql: string): Promise<void> {
  const adapter = await new PrismaPg({ connectionString: url, max: 1 }).connect();
  try {
    await adapter.executeScript(sql);
  } finally {
    await adapter.underlyingDriver().end();
  }
}
