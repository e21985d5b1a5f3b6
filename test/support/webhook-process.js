// A process of its own that sends what is due to webhooks: node webhook-process.js '<json>', with the options of an instance and the time.
import { createServer } from 'vite';

const { baseUrl, secret, database, now } = JSON.parse(process.argv[2]);
const vite = await createServer({
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { parseConfig } = await vite.ssrLoadModule('/src/config/config.ts');
const { createCore } = await vite.ssrLoadModule('/src/core/core.ts');
const { guardDb } = await vite.ssrLoadModule('/src/db/client.ts');
const { openDatabase } = await vite.ssrLoadModule('/src/db/open.ts');
const { Sender } = await vite.ssrLoadModule('/src/features/webhooks/sender.ts');

const connection = openDatabase(database);
const config = parseConfig({ baseUrl, secrets: [secret], clock: { now: () => new Date(now) } });
await new Sender(createCore(config, guardDb(connection.client)), () => {}).round(() => false);
await connection.close();
await vite.close();
process.disconnect();
