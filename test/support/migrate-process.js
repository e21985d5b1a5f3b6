// A process of its own that migrates: node migrate-process.js <dialect> <url>; sends the names it applied.
import { createServer } from 'vite';

const [dialect, url] = process.argv.slice(2);
const vite = await createServer({
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { migrate } = await vite.ssrLoadModule('/src/db/migrate.ts');
const { openSqlite } = await vite.ssrLoadModule('/src/db/embedded.ts');
const { openPostgresql } = await vite.ssrLoadModule('/src/db/postgresql.ts');
const connection = dialect === 'sqlite' ? openSqlite(url) : openPostgresql(url);
await connection.prepare();
process.send(await migrate(connection));
await connection.close();
await vite.close();
process.disconnect();
