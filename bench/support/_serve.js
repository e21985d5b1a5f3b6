// The process of one server under test: node serve.js <server> <settings as JSON>.

import { createServer } from 'node:http';
import express from 'express';

const [name, json] = process.argv.slice(2);
const settings = JSON.parse(json);
const { default: setUp } = await import(`../servers/${name}.js`);

const server = createServer().listen(settings.port ?? 0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const { port } = server.address();

const app = express();
server.on('request', app); // before the set-up, which signs in over HTTP
const requests = await setUp(app, { ...settings, baseUrl: `http://127.0.0.1:${port}` });
process.send({ port, requests });

const questions = { cpu, memory };
process.on(
  'message',
  async (question) =>
    ((q) => q === 'pstart' || q === 'pstop')(question) ||
    process.send(await (questions[question] ?? (() => 0))()),
);
process.on('disconnect', () => process.exit());

/** Processor time of this process so far, in microseconds. */
function cpu() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Bytes in use, right after collections: the only moment at which they say something about what is kept. */
async function memory() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heapUsed };
}
