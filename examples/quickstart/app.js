// A whole app in one file: sign-up, sign-in, roles in a tree of scopes, guarded routes.
// Start it with `npm start`; it prints what to try.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createAuthTuna, currentUser, definePermissions, SYSTEM } from 'authtuna';
import express from 'express';

const port = Number(process.env.PORT ?? 3000);
const here = (name) => new URL(name, import.meta.url);

const authTuna = createAuthTuna({
  baseUrl: process.env.BASE_URL ?? `http://localhost:${port}`,
  secrets: [process.env.AUTHTUNA_SECRET ?? secretOnDisk()],
  databaseUrl: process.env.DATABASE_URL ?? `file:${here('quickstart.db').pathname}`,
  appName: 'Quickstart',
  permissions: definePermissions({ project: ['read', 'update', 'delete'] }),
  roles: {
    editor: {
      description: 'Edits a project.',
      level: 20,
      permissions: ['project:read', 'project:update'],
      at: ['project', 'org'],
    },
  },
});

const app = express();
app.disable('x-powered-by');
app.use(authTuna.session());
app.use(authTuna.router());

app.get('/', (req, res) => {
  res
    .type('text/plain')
    .send(`${req.user ? `Signed in as ${req.user.email}.` : 'Nobody is signed in.'}\n\n${help()}`);
});
app.get('/me', authTuna.requireUser(), (req, res) => {
  res.json(currentUser(req));
});

const projects = new Map([
  ['42', { id: '42', name: 'Sardine' }],
  ['43', { id: '43', name: 'Mackerel' }],
  ['77', { id: '77', name: 'Herring' }],
]);
const readProject = authTuna.requirePermission('project:read', { scopeFrom: 'projectId' });
const updateProject = authTuna.requirePermission('project:update', { scopeFrom: 'projectId' });
app.get('/projects/:projectId', readProject, (req, res) => {
  const project = projects.get(req.params.projectId);
  if (project === undefined) return res.status(404).json({ error: 'no such project' });
  res.json(project);
});
// The body first: a guard decides when everything is there.
app.patch('/projects/:projectId', express.json(), updateProject, (req, res) => {
  const project = projects.get(req.params.projectId);
  if (project === undefined) return res.status(404).json({ error: 'no such project' });
  project.name = String(req.body?.name ?? project.name).slice(0, 80);
  res.json(project);
});
app.get('/reports', authTuna.requireRole(['admin', 'superadmin']), (_req, res) => {
  res.json({ projects: projects.size });
});

app.use(authTuna.errorHandler());

await authTuna.ready();
await seedPeople();
const server = app.listen(port, 'localhost', () => console.log(help()));
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => authTuna.close());
    server.closeIdleConnections();
  });
}

/** Two projects below org:acme, one below org:other; four people who hold different things. */
async function seedPeople() {
  if ((await authTuna.users.findByEmail('olive@example.com')) !== null) return;
  for (const node of [
    { id: 'org:acme' },
    { id: 'org:other' },
    { id: 'project:42', parent: 'org:acme' },
    { id: 'project:43', parent: 'org:acme' },
    { id: 'project:77', parent: 'org:other' },
  ]) {
    await authTuna.scopes.register(node, SYSTEM);
  }
  const password = 'tuna swims in the morning';
  const person = (email) => authTuna.users.create({ email, password, emailVerified: true });
  const olive = await person('olive@example.com');
  const eddie = await person('eddie@example.com');
  const ada = await person('ada@example.com');
  await person('nora@example.com');
  await authTuna.roles.assign({ userId: ada.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  await authTuna.roles.assign({ userId: olive.id, role: 'org_admin', scope: 'org:acme' }, SYSTEM);
  await authTuna.roles.assign({ userId: eddie.id, role: 'editor', scope: 'project:42' }, SYSTEM);
}

/** A secret of this machine's own, made at the first start. Give AUTHTUNA_SECRET anywhere else. */
function secretOnDisk() {
  const file = here('.secret');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function help() {
  const url = `http://localhost:${port}`;
  return `AuthTuna quickstart on ${url}

In the browser: ${url}/auth/login (everybody's password: tuna swims in the morning)
  ada@example.com     superadmin: ${url}/admin
  olive@example.com   org_admin at org:acme, so every project below it
  eddie@example.com   editor at project:42 only
  nora@example.com    holds nothing yet

With curl:
  curl -i ${url}/projects/42                                          # 401: nobody is signed in
  curl -c jar -H 'Content-Type: application/json' \\
       -d '{"login":"eddie@example.com","password":"tuna swims in the morning"}' ${url}/auth/login
  curl -b jar ${url}/projects/42                                      # 200: editor at project:42
  curl -i -b jar ${url}/projects/43                                   # 403: not at project:43
  curl -i -b jar ${url}/reports                                       # 403: neither admin nor superadmin
`;
}
