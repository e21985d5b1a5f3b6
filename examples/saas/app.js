// A small app for many organizations with a table of its own. Start it with `node examples/saas/app.js`; README.md says what to try.
import { createAuthTuna, currentUser, SYSTEM } from 'authtuna';
import express from 'express';
import { openDatabase } from './database.js';
import {
  createTables,
  disownProjects,
  findProjects,
  insertProject,
  projectsOf,
  removeProject,
  removeProjectsOf,
  renameProject,
} from './projects.js';

const port = Number(process.env.PORT ?? 3000);
const databaseUrl = process.env.DATABASE_URL ?? `file:${new URL('saas.db', import.meta.url).pathname}`;
const query = openDatabase(databaseUrl);

const authTuna = createAuthTuna({
  baseUrl: process.env.BASE_URL ?? `http://localhost:${port}`,
  secrets: [process.env.AUTHTUNA_SECRET ?? 'only-on-this-machine-0123456789abcdef'],
  databaseUrl,
  appName: 'Fishworks',
  // Projects are rows of ours: this says below which organization each one hangs, and who owns it.
  async resolveScopes(scopes) {
    const ids = scopes.filter((scope) => scope.startsWith('project:')).map((scope) => scope.slice(8));
    const rows = await findProjects(query, ids);
    return new Map(
      rows.map((row) => [`project:${row.id}`, { parent: `org:${row.org_id}`, ownerId: row.owner_id }]),
    );
  },
});

// Rows of ours follow what happens to organizations and their members.
authTuna.on('org.deleted', ({ target }) => removeProjectsOf(query, target.id));
for (const event of ['member.left', 'member.removed'])
  authTuna.on(event, ({ target, scope }) =>
    scope.startsWith('org:') ? disownProjects(query, scope.slice('org:'.length), target.id) : undefined,
  );

const app = express();
app.disable('x-powered-by');
app.use(authTuna.session());
app.use(authTuna.router()); // sign-in, /account, and organizations with members and invitations at /orgs
app.use(express.json());

app.get('/', (req, res) => res.redirect(req.user ? '/orgs' : '/auth/login'));

// The first guard answers 404, so one organization does not learn what another one has; the second answers 403.
const inOrg = (permission) => [
  authTuna.requirePermission('org:read', { scopeFrom: 'orgId', scopeType: 'org', hide: true }),
  authTuna.requirePermission(permission, { scopeFrom: 'orgId', scopeType: 'org' }),
];
const inProject = (permission) => [
  authTuna.requirePermission('project:read', { scopeFrom: 'projectId', hide: true }),
  authTuna.requirePermission(permission, { scopeFrom: 'projectId' }),
];

app.get('/api/orgs/:orgId/projects', authTuna.requireUser(), async (req, res) => {
  const rows = await projectsOf(query, req.params.orgId);
  // One decision for each row, with one load: people see what they may read, and no more.
  const answers = await authTuna.access.canAll(
    currentUser(req).id,
    rows.map(({ id }) => ({ permission: 'project:read', scope: `project:${id}` })),
  );
  res.json({ items: rows.filter((_row, index) => answers[index]).map(shown) });
});
app.post('/api/orgs/:orgId/projects', inOrg('project:create'), async (req, res) => {
  const project = { orgId: req.params.orgId, ownerId: currentUser(req).id, name: nameIn(req) };
  res.status(201).json(await insertProject(query, project));
});
app.get('/api/projects/:projectId', inProject('project:read'), async (req, res) => {
  res.json(await projectAt(req));
});
app.patch('/api/projects/:projectId', inProject('project:manage'), async (req, res) => {
  const project = await projectAt(req);
  await renameProject(query, project.id, nameIn(req));
  res.json({ ...project, name: nameIn(req) });
});
app.delete('/api/projects/:projectId', inProject('project:delete'), async (req, res) => {
  await removeProject(query, req.params.projectId);
  authTuna.scopes.changed(`project:${req.params.projectId}`);
  res.sendStatus(204);
});
// Shares a project with one person. Who may give which role is decided by the library, from `req.auth.actor`.
app.post('/api/projects/:projectId/people', inProject('project:manage'), async (req, res) => {
  const { id } = await projectAt(req);
  const person = await authTuna.users.findByEmail(String(req.body?.email ?? ''));
  if (person === null) return res.status(404).json({ error: 'no such person' });
  const role = req.body?.role === 'project_admin' ? 'project_admin' : 'project_member';
  await authTuna.roles.assign({ userId: person.id, role, scope: `project:${id}` }, req.auth.actor);
  res.status(201).json({ email: person.email, role });
});

app.use(authTuna.errorHandler());

await authTuna.ready();
await createTables(query);
await seed();
const server = app.listen(port, 'localhost', () => console.log(`http://localhost:${port}`));
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => authTuna.close());
    server.closeIdleConnections();
  });
}

async function projectAt(req) {
  const [row] = await findProjects(query, [req.params.projectId]);
  if (row === undefined) throw Object.assign(new Error('no such project'), { status: 404 });
  return shown(row);
}

function shown({ id, org_id: orgId, owner_id: ownerId, name }) {
  return { id, orgId, ownerId, name };
}

function nameIn(req) {
  const name = String(req.body?.name ?? '').trim();
  if (name === '' || name.length > 80)
    throw Object.assign(new Error('name: 1 to 80 characters'), { status: 422 });
  return name;
}

/** Two organizations and three people, once. */
async function seed() {
  if ((await authTuna.users.findByEmail('olive@example.com')) !== null) return;
  // The owner of a project may do everything with it.
  for (const permission of ['project:read', 'project:manage', 'project:delete'])
    await authTuna.roles.addPermission('owner', permission, SYSTEM);
  const password = 'tuna swims in the morning';
  const person = (email) => authTuna.users.create({ email, password, emailVerified: true });
  const olive = await person('olive@example.com');
  const otto = await person('otto@example.com');
  const mia = await person('mia@example.com');
  const acme = await authTuna.orgs.create({ name: 'Acme', ownerId: olive.id }, SYSTEM);
  const other = await authTuna.orgs.create({ name: 'Other', ownerId: otto.id }, SYSTEM);
  await authTuna.orgs.addMember(`org:${acme.id}`, { userId: mia.id, role: 'org_member' }, SYSTEM);
  await insertProject(query, { orgId: acme.id, ownerId: olive.id, name: 'Sardine' });
  await insertProject(query, { orgId: other.id, ownerId: otto.id, name: 'Herring' });
}
