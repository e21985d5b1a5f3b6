import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, inject, onTestFinished, test, vi } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { json } from '../../support/factors.js';
import { at, claimsOf, startSibling } from '../../support/sessions.js';

afterEach(() => void vi.useRealTimers());

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
/** A frame with a short text, unmasked as a server sends it. @see RFC 6455 5.2 */
const frame = (text: string) => Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);

/** A server that answers every WebSocket of a signed-in person with their id, whatever they send. */
async function startSocketServer({ authTuna }: TestInstance): Promise<number> {
  const server = createServer();
  const sockets = new Set<Duplex>();
  server.on('upgrade', async (req, socket: Duplex) => {
    sockets.add(socket.on('error', () => {}));
    try {
      const auth = await authTuna.authenticateUpgrade(req);
      if (auth.user === null) return void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
      const { id } = auth.user;
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`,
      );
      socket.on('data', () => socket.write(frame(id)));
    } catch {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function connect(instance: TestInstance, port: number, cookie: string, origin = instance.url) {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': KEY,
    'sec-websocket-version': '13',
    origin,
    'user-agent': instance.browser().userAgent,
    cookie,
  };
  const outgoing = request({ host: '127.0.0.1', port, agent: false, headers }).end();
  const [answer, socket] = (await Promise.race([once(outgoing, 'upgrade'), once(outgoing, 'response')])) as [
    { statusCode: number; headers: Record<string, string> },
    Duplex | undefined,
  ];
  return { status: answer.statusCode, accept: answer.headers['sec-websocket-accept'], socket };
}

async function openSocket(first: TestInstance) {
  const { browser, user } = await first.signedIn();
  const port = await startSocketServer(first);
  const { status, accept, socket } = await connect(first, port, browser.cookieHeader);
  expect(status).toBe(101);
  expect(accept).toBe(ACCEPT);
  if (socket === undefined) throw new Error('no socket');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  const closed = once(socket, 'close');
  const answered = once(socket, 'data');
  socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 104, 105]));
  const [data] = (await answered) as [Buffer];
  expect(data.subarray(2).toString()).toBe(user.id);
  return { browser, user, port, socket, closed };
}

const ends: Record<
  string,
  (other: TestInstance, opened: Awaited<ReturnType<typeof openSocket>>) => Promise<unknown>
> = {
  'the session is revoked': ({ authTuna }, { browser }) =>
    authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM),
  'its user signs out': (other, { browser }) => at(other, browser).post('/auth/logout'),
  'its user is signed out everywhere': ({ authTuna }, { user }) =>
    authTuna.sessions.revokeAll(user.id, SYSTEM),
  'its user is suspended': ({ authTuna }, { user }) => authTuna.users.suspend(user.id, 'spam', SYSTEM),
  'its user is deleted': ({ authTuna }, { user }) => authTuna.users.delete(user.id, SYSTEM),
  'the session is raised by a step-up': (other, { browser }) =>
    json(at(other, browser).post('/auth/step-up', { password: PASSWORD }), 200),
};

test.each(Object.keys(ends))('a WebSocket on one instance ends when %s on another (SS-8)', async (what) => {
  const isTold = inject('dialect') === 'postgresql'; // by LISTEN/NOTIFY; a SQLite file tells nobody
  if (!isTold) vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const first = await startApp();
  const other = await startSibling(first, { databaseUrl: first.database.url });
  const opened = await openSocket(first);
  const bystander = await openSocket(first);
  first.clock.advance({ seconds: 1 }); // a step-up is later than the sign-in
  await ends[what]?.(other, opened);
  if (!isTold) vi.advanceTimersByTime(20_000);
  await opened.closed;
  // Whoever has nothing to do with it goes on.
  const answered = once(bystander.socket, 'data');
  bystander.socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 104, 105]));
  await answered;
  expect(bystander.socket.destroyed).toBe(false);
});

test('a page of another site is told 403, with the cookie of somebody signed in (CS-5)', async () => {
  const first = await startApp();
  const { browser, port } = await openSocket(first);
  for (const origin of ['https://evil.example', 'null', `${first.url}.evil.example`, 'http://localhost:1'])
    expect((await connect(first, port, browser.cookieHeader, origin)).status, origin).toBe(403);
  expect((await connect(first, port, '', first.url)).status).toBe(401);
});

test('a WebSocket ends with the time of its session, idle or absolute, while nobody changes anything (SS-7)', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  for (const session of [
    { idleSeconds: 600, absoluteSeconds: 86_400 },
    { idleSeconds: 600, absoluteSeconds: 600 },
  ]) {
    const first = await startApp({ session });
    const { closed, socket } = await openSocket(first);
    first.clock.advance({ seconds: 590 });
    vi.advanceTimersByTime(20_000);
    await first.authTuna.health();
    expect(socket.destroyed).toBe(false);
    first.clock.advance({ seconds: 11 });
    vi.advanceTimersByTime(20_000);
    await closed;
  }
});
