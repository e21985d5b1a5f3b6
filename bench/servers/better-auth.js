import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { fromNodeHeaders, toNodeHandler } from 'better-auth/node';
import { createAccessControl } from 'better-auth/plugins/access';
import { organization } from 'better-auth/plugins/organization';
import { defaultStatements } from 'better-auth/plugins/organization/access';
import { SqliteDialect } from 'kysely';
import Database from 'libsql';
import pg from 'pg';
import { cookieFrom, PASSWORD, PERSON, routes, SECRET } from './shared.js';

const access = createAccessControl({ ...defaultStatements, project: ['read', 'update'] });
const owner = access.newRole({ project: ['read', 'update'], organization: ['update'], member: ['create'] });
const member = access.newRole({ project: ['read'] });

/** Better Auth as its Express guide mounts it; `/me` asks getSession, the guard its organization plugin. */
export default async function betterAuthServer(app, { databaseUrl, baseUrl, cookieCache = false }) {
  const options = {
    baseURL: baseUrl,
    secret: SECRET,
    database: databaseUrl.startsWith('postgresql:')
      ? new pg.Pool({ connectionString: databaseUrl })
      : { dialect: new SqliteDialect({ database: sqlite(databaseUrl) }), type: 'sqlite' },
    emailAndPassword: { enabled: true },
    session: { cookieCache: { enabled: cookieCache, maxAge: 86_400 } }, // long, so that the cache never runs out
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    plugins: [organization({ ac: access, roles: { owner, member } })],
  };
  await (await getMigrations(options)).runMigrations();
  const auth = betterAuth(options);

  app.all('/api/auth/{*any}', toNodeHandler(auth));
  const identify = async (req, res, next) => {
    const session = await auth.api.getSession({ headers: fromNodeHeaders(req.headers) });
    if (session === null) return res.sendStatus(401);
    req.user = session.user;
    next();
  };
  let organizationId;
  const guard = async (req, res, next) => {
    const { success } = await auth.api.hasPermission({
      headers: fromNodeHeaders(req.headers),
      body: { organizationId, permissions: { project: ['read'] } },
    });
    if (!success) return res.sendStatus(403);
    next();
  };
  routes(app, { person: (req) => req.user, identify, guard });

  const post = async (path, body, cookie = '') => {
    const headers = { 'Content-Type': 'application/json', Origin: baseUrl, Cookie: cookie };
    const response = await fetch(`${baseUrl}/api/auth${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  const cookie = cookieFrom(
    await post('/sign-up/email', { name: 'Ada', email: PERSON.email, password: PASSWORD }),
  );
  const created = await post('/organization/create', { name: 'Acme', slug: 'acme' }, cookie);
  organizationId = (await created.json()).id;
  return {
    me: [{ path: '/me', cookie }],
    guarded: [{ path: '/projects/42', cookie }],
    login: [
      {
        method: 'POST',
        path: '/api/auth/sign-in/email',
        headers: { Origin: baseUrl },
        forgets: ['better-auth.session_token', 'better-auth.session_data'], // whoever signs in has no session
        body: { email: PERSON.email, password: PASSWORD },
      },
    ],
  };
}

function sqlite(databaseUrl) {
  const database = new Database(databaseUrl.slice('file:'.length));
  database.pragma('journal_mode = WAL');
  return database;
}
