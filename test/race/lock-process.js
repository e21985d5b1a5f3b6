// Another process that writes to a SQLite file and does not come to an end: node lock-process.js <url>; says 'held', lets go when told to.
// In WAL mode readers go on meanwhile, and nobody else writes.
import { PrismaLibSql } from '@prisma/adapter-libsql';

const [url] = process.argv.slice(2);
const client = new PrismaLibSql({ url }).createClient({ url, timeout: 10_000 });
await client.execute('BEGIN EXCLUSIVE');
process.send('held');
process.once('message', async () => {
  await client.execute('COMMIT');
  client.close();
  process.disconnect();
});
