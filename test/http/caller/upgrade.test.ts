import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { type AuthTuna, AuthTunaError, SYSTEM } from '../../../src/index.js';
import { startApp, type TestInstance } from '../../support/app.js';
import { claimsOf, startSibling } from '../../support/sessions.js';

afterEach(() => void vi.useRealTimers());

/** A server that upgrades whoever is signed in, as a host would write it. */
async function startSocketServer(authTuna: AuthTuna): Promise<number> {
  const server = createServer();
  const sockets = new Set<Duplex>();
  server.on('upgrade', (req, socket: Duplex) => {
    sockets.add(socket.on('error', () => {}));
    authTuna.authenticateUpgrade(req).then(
      (auth) =>
        auth.user === null
          ? socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
          : socket.write(
              'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
            ),
      (error: unknown) =>
        socket.end(
          `HTTP/1.1 ${error instanceof AuthTunaError && error.code === 'cross_site_request' ? 403 : 503} No\r\n\r\n`,
        ),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface Opened {
  status: number;
  socket: Duplex | null;
}

async function open(
  instance: TestInstance,
  port: number,
  cookie: string,
  headers: Record<string, string> = {},
): Promise<Opened> {
  const outgoing = request({
    host: '127.0.0.1',
    port,
    agent: false,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      origin: instance.url,
      'user-agent': instance.browser().userAgent,
      cookie,
      ...headers,
    },
  }).end();
  return new Promise((resolve, reject) => {
    outgoing.once('upgrade', (_answer, socket) => {
      socket.on('error', () => {});
      socket.resume();
      onTestFinished(() => void socket.destroy());
      resolve({ status: 101, socket });
    });
    outgoing.once('response', (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0, socket: null });
    });
    outgoing.once('error', reject);
  });
}

async function connected() {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const port = await startSocketServer(app.authTuna);
  const { status, socket } = await open(app, port, browser.cookieHeader);
  if (socket === null) throw new Error(`not upgraded: ${status}`);
  return { app, port, browser, user, socket, closed: once(socket, 'close') };
}

test('a page of another site gets no socket, with cookie or without (CS-5)', async () => {
  const { app, port, browser } = await connected();
  const origins = ['https://evil.example', 'null', app.url.replace('localhost', '127.0.0.1')];
  for (const origin of origins)
    expect((await open(app, port, browser.cookieHeader, { origin })).status).toBe(403);
  const other = { 'sec-fetch-site': 'cross-site' };
  expect((await open(app, port, browser.cookieHeader, other)).status).toBe(403);
});

test('whoever has no good cookie is nobody (SS-8)', async () => {
  const { app, port, browser } = await connected();
  const token = browser.jar.get('at_sess') ?? '';
  for (const cookie of ['', 'at_sess=x', `at_sess=${token}x`, `at_sess=${token}; at_sess=${token}`])
    expect((await open(app, port, cookie)).status).toBe(401);
});

test('the socket closes when the session is revoked (SS-8)', async () => {
  const { app, browser, closed } = await connected();
  await app.authTuna.sessions.revoke(claimsOf(browser).sid, SYSTEM);
  await closed;
});

test('the socket closes when its user is suspended, signs out everywhere or is deleted (SS-8)', async () => {
  for (const end of ['suspend', 'revokeAll', 'delete'] as const) {
    const { app, user, closed } = await connected();
    if (end === 'suspend') await app.authTuna.users.suspend(user.id, 'spam', SYSTEM);
    if (end === 'revokeAll') await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
    if (end === 'delete') await app.authTuna.users.delete(user.id, SYSTEM);
    await closed;
  }
});

test('the socket closes within 60 s when nobody tells of the end (SS-8)', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { app, browser, closed, socket } = await connected();
  const { authTuna } = await startSibling(app, { databaseUrl: app.database.url });
  const { sid } = claimsOf(browser);
  await app.authTuna.users.create({ email: 'other@example.com' });
  await authTuna.sessions.revoke(sid, SYSTEM);
  vi.advanceTimersByTime(20_000);
  await closed;
  expect(socket.destroyed).toBe(true);
});

test('a socket that outlives two rotations stays open, and the session lives on (SS-3)', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { app, browser, socket } = await connected();
  for (let i = 0; i < 3; i += 1) {
    app.clock.advance({ seconds: 601 });
    expect((await browser.get('/me')).status).toBe(200);
    app.clock.advance({ seconds: 11 });
    expect((await browser.get('/me')).status).toBe(200);
    vi.advanceTimersByTime(20_000);
  }
  expect((await browser.post('/me/x')).status).toBe(200);
  expect(socket.destroyed).toBe(false);
});

test('the socket closes when the session expires (SS-8)', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { app, closed } = await connected();
  app.clock.advance({ hours: 25 });
  vi.advanceTimersByTime(20_000);
  await closed;
});

test('closing the library closes the sockets and leaves no timer (SS-8)', async () => {
  const { app, closed } = await connected();
  await app.authTuna.close();
  await closed;
});
