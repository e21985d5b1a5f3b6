// A process of its own that delivers what is due: node mail-process.js '<json>', with the options of an instance, the time and the port of a server.
import { createServer } from 'vite';

const { baseUrl, secret, database, now, port, ca } = JSON.parse(process.argv[2]);
const vite = await createServer({
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { parseConfig } = await vite.ssrLoadModule('/src/config/config.ts');
const { createCore } = await vite.ssrLoadModule('/src/core/core.ts');
const { guardDb } = await vite.ssrLoadModule('/src/db/client.ts');
const { Mailer } = await vite.ssrLoadModule('/src/mail/mailer.ts');
const { smtp } = await vite.ssrLoadModule('/src/mail/smtp.ts');
const { createTemplates } = await vite.ssrLoadModule('/src/templates/templates.ts');
const { openDatabase } = await vite.ssrLoadModule('/src/db/open.ts');

const connection = openDatabase(database);
const transport = smtp({ host: '127.0.0.1', port, tlsCa: ca });
const config = parseConfig({
  baseUrl,
  secrets: [secret],
  clock: { now: () => new Date(now) },
  mail: { from: 'Harbour <noreply@harbour.example>', transport },
});
const core = createCore(config, guardDb(connection.client));
const mailer = new Mailer(core, core.ledger, createTemplates({ appName: 'Harbour', baseUrl }));
await mailer.deliver();
await connection.close();
await vite.close();
process.disconnect();
