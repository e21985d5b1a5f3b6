import express from 'express';
import { createAuthTuna, SYSTEM } from '../../dist/index.js';
import { remote } from '../../dist/remote/index.js';
import { USER_AGENT } from '../support/load.js';
import { routes, SECRET } from './shared.js';

const BROWSER = { userId: null, ip: '127.0.0.1', userAgent: USER_AGENT };

/** A server that asks an AuthTuna server over HTTP, which is in this process: in steady state it is asked once in `recheckSeconds`. */
export default async function remoteServer(app, { databaseUrl, recheckSeconds }) {
  const main = express();
  const listening = main.listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  const url = `http://127.0.0.1:${listening.address().port}`;
  const authTuna = createAuthTuna({
    baseUrl: url,
    secrets: [SECRET],
    databaseUrl,
    session: { recheckSeconds },
    permissions: { project: ['read', 'update'] },
    roles: {
      reader: { permissions: ['project:read'], at: ['org'] },
      asker: { permissions: ['tokens:introspect'], at: ['global'] },
    },
  });
  main.use(authTuna.session());
  main.use('/auth/remote', authTuna.routers.remote());
  main.use(authTuna.errorHandler());
  await authTuna.ready();
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  await authTuna.scopes.register({ id: 'project:42', parent: 'org:acme' }, SYSTEM);
  const asker = await authTuna.users.create({ email: 'asker@example.com' }, SYSTEM);
  await authTuna.roles.assign({ userId: asker.id, role: 'asker', scope: 'global' }, SYSTEM);
  const { key } = await authTuna.apiKeys.create({ userId: asker.id, name: 'Bench' }, SYSTEM);
  const person = await authTuna.users.create({ email: 'person@example.com' }, SYSTEM);
  await authTuna.roles.assign({ userId: person.id, role: 'reader', scope: 'org:acme' }, SYSTEM);
  const { token } = await authTuna.sessions.create(person.id, ['pwd'], BROWSER);

  const asking = remote({ url, key });
  app.use(asking.session());
  routes(app, {
    person: (req) => req.auth.user,
    identify: asking.requireUser(),
    guard: asking.requirePermission('project:read', { scopeFrom: 'projectId' }),
  });
  app.use(asking.errorHandler());
  const cookie = `at_sess=${token}`;
  return { me: [{ path: '/me', cookie }], guarded: [{ path: '/projects/42', cookie }] };
}
