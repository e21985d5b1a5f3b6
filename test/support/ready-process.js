// A process of its own that becomes ready: node ready-process.js <url>; sends the names of the roles it sees.
import { createServer } from 'vite';

const [databaseUrl] = process.argv.slice(2);
const vite = await createServer({
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { createAuthTuna } = await vite.ssrLoadModule('/src/authtuna.ts');
const authTuna = createAuthTuna({
  baseUrl: 'http://localhost:3000',
  secrets: ['Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA'],
  databaseUrl,
  password: { bcryptCost: 4 },
});
// All are loaded before the first one begins.
process.send('loaded');
process.once('message', async () => {
  await authTuna.ready();
  process.send((await authTuna.roles.list()).items.map((role) => role.name));
  await authTuna.close();
  await vite.close();
  process.disconnect();
});
