import { createAuthTuna, SYSTEM } from '../../dist/index.js';
import { many, PASSWORD, routes, SECRET } from './shared.js';

const PEOPLE_WITH_PASSWORD = 8; // each login ends the oldest of 20 sessions, so a few people share the work

/**
 * AuthTuna as its README mounts it; the guard walks from a project to the organisation that holds the role.
 *
 * @param options.sessions as many people with one session each; 0 only serves what an earlier process made
 */
export default async function authTunaServer(app, { databaseUrl, baseUrl, recheckSeconds, sessions = 1 }) {
  const authTuna = createAuthTuna({
    baseUrl,
    secrets: [SECRET],
    databaseUrl,
    session: { recheckSeconds },
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
  const cookies = await many(sessions, async (index) => {
    const user = await authTuna.users.create({ email: `person${index}@example.com` }, SYSTEM);
    await authTuna.roles.assign({ userId: user.id, role: 'reader', scope: 'org:acme' }, SYSTEM);
    const { token } = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    return `at_sess=${token}`;
  });
  const logins = await many(PEOPLE_WITH_PASSWORD, async (index) => {
    const email = `login${index}@example.com`;
    await authTuna.users.create({ email, password: PASSWORD, emailVerified: true }, SYSTEM);
    return { login: email, password: PASSWORD };
  });
  return {
    me: cookies.map((cookie) => ({ path: '/me', cookie })),
    guarded: cookies.map((cookie) => ({ path: '/projects/42', cookie })),
    login: logins.map((body) => ({
      method: 'POST',
      path: '/auth/login',
      headers: { Origin: baseUrl },
      body,
    })),
  };
}
