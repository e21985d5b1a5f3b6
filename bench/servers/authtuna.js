import { USER_AGENT } from '../support/load.js';
import { many, PASSWORD, routes, SECRET } from './shared.js';

const BROWSER = { userId: null, ip: '127.0.0.1', userAgent: USER_AGENT };

const OURS = '../../dist/index.js';

/**
 * AuthTuna as its README mounts it; the guard walks from a project to the organization that holds the role.
 *
 * @param options.sessions as many people with one session each; 0 only serves what an earlier process made
 * @param options.credential `session` (default), `access_token` or `api_key`: what the requests carry
 * @param options.passwords as many people who can sign in with a password
 * @param options.library the address of an earlier version's entry
 */
export default async function authTunaServer(app, options) {
  const {
    databaseUrl,
    baseUrl,
    recheckSeconds,
    credential = 'session',
    sessions = 1,
    passwords = 0,
    library = OURS,
  } = options;
  const { createAuthTuna, SYSTEM } = await import(library);
  const authTuna = createAuthTuna({
    baseUrl,
    secrets: [SECRET],
    databaseUrl,
    // What is remembered for longer than half the grace period needs a longer one.
    session: {
      recheckSeconds,
      ...(recheckSeconds > 15 && {
        rotationGraceSeconds: 600,
        rotationForgiveSeconds: 600,
        rotateSeconds: 0,
      }),
    },
    permissions: { project: ['read', 'update'] },
    roles: { reader: { permissions: ['project:read'], at: ['org'] } },
  });
  app.use(authTuna.session());
  app.use('/auth', authTuna.routers.auth());
  routes(app, {
    person: (req) => req.user,
    identify: authTuna.requireUser(),
    guard: authTuna.requirePermission('project:read', { scopeFrom: 'projectId' }),
  });
  app.use(authTuna.errorHandler());
  await authTuna.ready();
  if (sessions === 0) return {};

  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  await authTuna.scopes.register({ id: 'project:42', parent: 'org:acme' }, SYSTEM);
  const carried = await many(sessions, async (index) => {
    const user = await authTuna.users.create({ email: `person${index}@example.com` }, SYSTEM);
    await authTuna.roles.assign({ userId: user.id, role: 'reader', scope: 'org:acme' }, SYSTEM);
    return CREDENTIALS[credential](authTuna, user.id, SYSTEM);
  });
  const logins = await many(passwords, async (index) => {
    const email = `login${index}@example.com`;
    await authTuna.users.create({ email, password: PASSWORD, emailVerified: true }, SYSTEM);
    return { login: email, password: PASSWORD };
  });
  return {
    me: carried.map((credentials) => ({ path: '/me', ...credentials })),
    guarded: carried.map((credentials) => ({ path: '/projects/42', ...credentials })),
    login: logins.map((body) => ({
      method: 'POST',
      path: '/auth/login',
      headers: { Origin: baseUrl },
      forgets: ['at_sess'], // whoever signs in has no session
      body,
    })),
  };
}

/** A credential of each kind, as a request carries it. */
const CREDENTIALS = {
  async session(authTuna, userId) {
    const { token } = await authTuna.sessions.create(userId, ['pwd'], BROWSER);
    return { cookie: `at_sess=${token}` };
  },
  async access_token(authTuna, userId, SYSTEM) {
    const { access_token } = await authTuna.bearer.issue(userId, { amr: ['pwd'] }, SYSTEM);
    return { headers: { Authorization: `Bearer ${access_token}` } };
  },
  async api_key(authTuna, userId, SYSTEM) {
    const { key } = await authTuna.apiKeys.create({ userId, name: 'Bench' }, SYSTEM);
    return { headers: { Authorization: `Bearer ${key}` } };
  },
};
