// A process of its own that delivers what is due: node mail-process.js '<json>', with the options of an instance, the time and the port of a server.
import { createServer } from 'vite';

const { baseUrl, secret, databaseUrl, now, port, ca } = JSON.parse(process.argv[2]);
const vite = await createServer({
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { createAuthTuna, smtp } = await vite.ssrLoadModule('/src/index.ts');
const authTuna = createAuthTuna({
  baseUrl,
  secrets: [secret],
  databaseUrl,
  clock: { now: () => new Date(now) },
  logger: { debug() {}, info() {}, warn() {}, error() {} },
  mail: {
    from: 'Harbour <noreply@harbour.example>',
    transport: smtp({ host: '127.0.0.1', port, tlsCa: ca }),
  },
});
process.send('ready');
process.send(await authTuna.mailer.deliver());
await authTuna.close();
await vite.close();
process.disconnect();
