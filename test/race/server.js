// One instance of an app, as a process of its own: told what to do over IPC, and killed in the middle of requests.
import express from 'express';
import { createAuthTuna, currentUser, SYSTEM } from '../../dist/index.js';

const settings = JSON.parse(process.env.RACE_INSTANCE);
let offset = settings.clockOffsetMs;
const app = express();
const server = app.listen(0, '127.0.0.1');

const authTuna = createAuthTuna({
  baseUrl: settings.baseUrl,
  secrets: [settings.secret],
  databaseUrl: settings.databaseUrl,
  ...(settings.redisUrl && { redisUrl: settings.redisUrl }),
  password: { bcryptCost: 4 },
  clock: { now: () => new Date(Date.now() + offset) },
  logger: { debug() {}, info() {}, warn() {}, error() {} },
});

app.use(authTuna.session());
// The session has been written by now; whoever asks for it dies before a byte of the answer is sent.
app.use((req, _res, next) => {
  if (settings.mayBeKilled && req.headers['x-kill'] === 'before-answer') process.kill(process.pid, 'SIGKILL');
  else next();
});
app.get('/public', (req, res) => res.json({ userId: req.user?.id ?? null }));
app.get('/me', authTuna.requireUser(), (req, res) => res.json({ userId: currentUser(req).id }));
app.post('/me/x', authTuna.requireUser(), (req, res) => res.json({ userId: currentUser(req).id }));
app.use(authTuna.errorHandler());

const commands = {
  advance: ({ milliseconds }) => {
    offset += milliseconds;
  },
  async signIn({ email }) {
    const user = await authTuna.users.create({ email, emailVerified: true });
    const { session, token } = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    return { userId: user.id, sessionId: session.id, token };
  },
  revoke: ({ sessionId }) => authTuna.sessions.revoke(sessionId, SYSTEM),
  health: () => authTuna.health(),
  /** The sessions of which the audit log says this. */
  targets: async ({ type }) => {
    const ids = [];
    for (let cursor; ; ) {
      const page = await authTuna.audit.list({
        type,
        limit: 100,
        ...(cursor && { cursor }),
      });
      ids.push(...page.items.map((entry) => entry.targetId));
      if (page.nextCursor === null) return ids;
      cursor = page.nextCursor;
    }
  },
  async close() {
    server.closeAllConnections();
    server.close();
    await authTuna.close();
    setImmediate(() => process.disconnect());
  },
};

process.on('message', async ({ id, command, input }) => {
  try {
    process.send({ id, result: (await commands[command](input)) ?? null });
  } catch (error) {
    process.send({ id, error: String(error) });
  }
});

await authTuna.ready();
process.send({ port: server.address().port });
