// A day in the life of one instance, on a moved clock, in a process of its own: node --expose-gc day-process.js '<settings as JSON>'.
// People sign in, come back, have their cookies rotated, sign out or stay away; others guess passwords; jobs run. Says on stdout, as lines of
// JSON, how much is in memory, and what is left after close(). It then does nothing to end: what keeps a process alive would show.
import { createHook } from 'node:async_hooks';
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import express from 'express';
import { createServer as createViteServer } from 'vite';

const { databaseUrl, hours, stepsPerHour, people, guesses } = JSON.parse(process.argv[2]);
const vite = await createViteServer({
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { createAuthTuna, SYSTEM } = await vite.ssrLoadModule('/src/index.ts');

const PASSWORD = 'correct horse battery staple';
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
// The pipe to the parent was there before and stays.
const resources = () => process.getActiveResourcesInfo().sort();
const listeners = () =>
  Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));

// Timers that keep no process alive are no resources, so they are followed one by one.
const timers = new Map();
createHook({
  init(id, type) {
    if (type !== 'Timeout') return;
    const { stack = '' } = new Error();
    if (/\/src\/|prisma|libsql|node_modules\/pg/.test(stack)) timers.set(id, stack);
  },
  destroy: (id) => timers.delete(id),
}).enable();

process.stdout.write(''); // opens the pipe
const before = { resources: resources(), listeners: listeners() };

let now = Date.UTC(2030, 0, 1);
let seed = 7;
const chance = (below) => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};
let mails = 0;
const takeMail = async () => {
  mails += 1;
};

const app = express();
const server = createServer(app);
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();
const authTuna = createAuthTuna({
  baseUrl: `http://localhost:${port}`,
  secrets: ['Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA'],
  databaseUrl,
  trustedProxies: 1,
  password: { bcryptCost: 4 },
  mail: { from: 'app@example.com', transport: { send: takeMail } },
  clock: { now: () => new Date(now) },
  logger: { debug() {}, info() {}, warn() {}, error() {} },
});
await authTuna.ready();
app.use(authTuna.session());
app.use(authTuna.router());
app.get('/me', authTuna.requireUser(), (req, res) => res.json({ id: req.user.id }));
app.post('/me/x', authTuna.requireUser(), (req, res) => res.json({ id: req.user.id }));
app.get(
  '/projects/:projectId',
  authTuna.requirePermission('project:read', { scopeFrom: 'projectId' }),
  (_req, res) => res.json({}),
);
app.use(authTuna.errorHandler());

const agent = new Agent({ keepAlive: true, maxSockets: 8 });
const statuses = {};
let rotations = 0;

/** A browser, as far as it matters here: a jar, an address and a User-Agent. */
class Visitor {
  jar = new Map();
  address = `2001:db8:${chance(65_536).toString(16)}:${chance(65_536).toString(16)}::1`;
  userAgent = `Mozilla/5.0 (X11; Linux x86_64; rv:${100 + chance(40)}.0) Gecko/20100101 Firefox/${100 + chance(40)}.0`;

  ask(method, path, body) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = request({
        host: '127.0.0.1',
        port,
        method,
        path,
        agent,
        headers: {
          'user-agent': this.userAgent,
          'x-forwarded-for': this.address,
          cookie: [...this.jar].map(([name, value]) => `${name}=${value}`).join('; '),
          ...(text !== undefined && { 'content-type': 'application/json', 'content-length': text.length }),
        },
      });
      outgoing.once('error', reject);
      outgoing.once('response', (answer) => {
        for (const cookie of answer.headers['set-cookie'] ?? []) {
          const pair = cookie.split(';')[0];
          const name = pair.slice(0, pair.indexOf('='));
          if (name === 'at_sess' && this.jar.has(name)) rotations += 1;
          this.jar.set(name, pair.slice(pair.indexOf('=') + 1));
        }
        const { statusCode } = answer;
        statuses[statusCode] = (statuses[statusCode] ?? 0) + 1;
        answer.resume().once('end', () => resolve(statusCode));
      });
      outgoing.end(text);
    });
  }
}

const all = (count, work) => Promise.all(Array.from({ length: count }, (_, index) => work(index)));

const emails = [];
for (let i = 0; i < people; i += 1) {
  const email = `person${i}@example.com`;
  const user = await authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
  await authTuna.roles.assign({ userId: user.id, role: 'project_member', scope: `project:${i}` }, SYSTEM);
  emails.push(email);
}

const live = [];
let gone = [];
let lost = 0;

async function step(hour) {
  const arrivals = await all(Math.ceil(people / 2), async (index) => {
    const visitor = new Visitor();
    visitor.scope = index;
    const login = emails[index];
    return (await visitor.ask('POST', '/auth/login', { login, password: PASSWORD })) === 200 ? visitor : null;
  });
  live.push(...arrivals.filter((visitor) => visitor !== null));
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(
      live.map(async (visitor) => {
        const answers = [
          await visitor.ask('GET', '/me'),
          await visitor.ask(
            round === 0 ? 'GET' : 'POST',
            round === 0 ? `/projects/${visitor.scope}` : '/me/x',
          ),
        ];
        if (answers.some((status) => status !== 200)) lost += 1;
      }),
    );
    now += 20_000;
  }
  await all(guesses, async (index) => {
    const stranger = new Visitor();
    const login = index % 2 === 0 ? emails[index % people] : `nobody${chance(1e9)}@example.com`;
    await stranger.ask('POST', '/auth/login', { login, password: 'a guess that is wrong' });
    stranger.jar.set('at_sess', `not.a.token${chance(1e9)}`);
    await stranger.ask('GET', `/projects/p${hour}-${chance(1e9)}`);
    if (index === 0) await stranger.ask('POST', '/auth/forgot-password', { email: emails[chance(people)] });
  });
  // Some sign out and are never seen again, some show a dead cookie for a while, and some just stay away.
  const leaving = live.splice(0, Math.max(0, live.length - people));
  await Promise.all(
    leaving.map(async (visitor, index) => {
      if (index % 3 === 2) return;
      await visitor.ask('POST', '/auth/logout');
    }),
  );
  gone = [...leaving, ...gone].slice(0, people);
  await Promise.all(gone.map((visitor) => visitor.ask('GET', '/me')));
}

async function inMemory() {
  // What was freed in one collection can free more in the next.
  for (let i = 0; i < 4; i += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  return { heapUsed, external, arrayBuffers, rss };
}

for (let hour = 1; hour <= hours; hour += 1) {
  for (let i = 0; i < stepsPerHour; i += 1) {
    const began = now;
    await step(hour);
    now = began + 3_600_000 / stepsPerHour;
  }
  for (const { name } of await authTuna.jobs.status()) await authTuna.jobs.run(name);
  if (hour === 2 || hour % 6 === 0) say({ hour, live: live.length, ...(await inMemory()) });
}

const [{ lastNote }] = await authTuna.jobs.status();
const requests = Object.values(statuses).reduce((sum, count) => sum + count, 0);
say({ requests, statuses, rotations, mails, lost, lastNote });

agent.destroy();
server.close();
server.closeAllConnections();
await once(server, 'close');
const timersBefore = timers.size;
const closing = performance.now();
await authTuna.close();
const closedIn = performance.now() - closing;
await new Promise((resolve) => setTimeout(resolve, 100)); // sockets of this process's own making take a turn or two to be gone
const after = { resources: resources(), listeners: listeners(), timers: [...timers.values()] };
await vite.close();
say({ closedIn, timersBefore, before, after });
