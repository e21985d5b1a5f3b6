// The back end of a mobile app: tokens instead of cookies, API keys for scripts, and a page on which people approve command-line tools.
// Build first (npm run build), then: node examples/api-only/app.js. It prints what to try.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createAuthTuna, currentUser, definePermissions, SYSTEM } from 'authtuna';
import express from 'express';

const port = Number(process.env.PORT ?? 3000);
const baseUrl = process.env.BASE_URL ?? `http://localhost:${port}`;
const here = (name) => new URL(name, import.meta.url);

const authTuna = createAuthTuna({
  baseUrl,
  secrets: [process.env.AUTHTUNA_SECRET ?? secretOnDisk()],
  databaseUrl: process.env.DATABASE_URL ?? `file:${here('api-only.db').pathname}`,
  bearer: { algorithm: 'EdDSA' },
  permissions: definePermissions({ note: ['read', 'create'] }),
  roles: {
    writer: { description: 'Reads and writes notes.', level: 10, permissions: ['note:*'] },
    reader: { description: 'Reads notes.', level: 5, permissions: ['note:read'] },
  },
});

const app = express();
app.disable('x-powered-by');
app.use(authTuna.session());
app.use('/auth', authTuna.routers.auth());
app.use('/auth/token', authTuna.routers.bearer());
app.use('/auth/device', authTuna.routers.deviceAuthorization());
app.use('/auth/api-keys', authTuna.routers.apiKeys({ pages: false }));

app.get('/me', authTuna.requireUser(), (req, res) => {
  const { method, apiKey } = req.auth;
  res.json({ email: currentUser(req).email, method, key: apiKey?.name ?? null });
});

const notes = [{ text: 'Buy sardines' }];
app.get('/notes', authTuna.requirePermission('note:read'), (_req, res) => {
  res.json({ items: notes });
});
app.post('/notes', authTuna.requirePermission('note:create'), express.json(), (req, res) => {
  const note = { text: String(req.body?.text ?? '').slice(0, 200) };
  notes.push(note);
  res.status(201).json(note);
});
app.use(authTuna.errorHandler());

await authTuna.ready();
const ada = await authTuna.users.ensure({
  email: 'ada@example.com',
  password: 'correct horse battery staple',
  emailVerified: true,
});
await authTuna.roles.assign({ userId: ada.id, role: 'writer', scope: 'global' }, SYSTEM);
await authTuna.roles.assign({ userId: ada.id, role: 'reader', scope: 'global' }, SYSTEM);
const { key } = await authTuna.apiKeys.create(
  {
    userId: ada.id,
    name: 'Example',
    grants: [{ role: 'reader', scope: 'global' }],
    expiresInSeconds: 3600,
  },
  SYSTEM,
);

app.listen(port, () => {
  console.log(`
An API on ${baseUrl}. Sign in as an app does, and keep the answer:

  curl -s ${baseUrl}/auth/token -d grant_type=password -d username=ada@example.com \\
    --data-urlencode 'password=correct horse battery staple'

Then call the API with the access token, and get the next pair with the refresh token:

  curl -s ${baseUrl}/notes -H "Authorization: Bearer $ACCESS_TOKEN"
  curl -s ${baseUrl}/auth/token -d grant_type=refresh_token -d refresh_token=$REFRESH_TOKEN

A command-line tool shows a code, which Ada approves in a browser:

  node examples/api-only/cli.js ${baseUrl}

A script has an API key. This one may read notes and not write them (shown once, good for an hour):

  curl -s ${baseUrl}/notes -H 'X-API-Key: ${key}'
`);
});

/** A secret that is made at the first start and kept beside this file. A real app has it in its environment. */
function secretOnDisk() {
  const file = here('.secret');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}
