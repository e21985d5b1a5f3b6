import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port of this machine on which nothing listens right now. */
export async function freePort() {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
