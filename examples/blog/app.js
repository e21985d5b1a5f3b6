// A blog: anybody reads, authors write and edit their own posts, editors edit every post, moderators take posts down.
// Start it with `node examples/blog/app.js`; README.md says what to try.
import { randomUUID } from 'node:crypto';
import { createClient } from '@libsql/client';
import { createAuthTuna, currentUser, definePermissions, SYSTEM } from 'authtuna';
import express from 'express';

const port = Number(process.env.PORT ?? 3000);
const databaseUrl = process.env.DATABASE_URL ?? `file:${new URL('blog.db', import.meta.url).pathname}`;
const database = createClient({ url: databaseUrl });
const rowsOf = async (sql, ...args) => (await database.execute({ sql, args })).rows;

const authTuna = createAuthTuna({
  baseUrl: process.env.BASE_URL ?? `http://localhost:${port}`,
  secrets: [process.env.AUTHTUNA_SECRET ?? 'only-on-this-machine-0123456789abcdef'],
  databaseUrl,
  appName: 'The Tuna Times',
  permissions: definePermissions({ post: ['read', 'create', 'update', 'delete'] }),
  roles: {
    viewer: { description: 'Reads drafts.', level: 5, permissions: ['post:read'], at: ['global'] },
    author: { level: 10, includes: ['viewer'], permissions: ['post:create'], at: ['global'] },
    editor: { level: 20, includes: ['author'], permissions: ['post:update'], at: ['global'] },
    // `moderator` is a role that AuthTuna ships, for acting on people. It may take posts down as well; see `seed`.
  },
  // A post is owned by its author, and the role `owner` may update it: that is all of "authors edit their own posts".
  async resolveScope(scope) {
    if (!scope.startsWith('post:')) return null;
    const [post] = await rowsOf('SELECT author_id FROM post WHERE id = ?', scope.slice('post:'.length));
    return post === undefined ? null : { ownerId: post.author_id };
  },
});

const app = express();
app.disable('x-powered-by');
app.use(authTuna.session());
app.use(authTuna.router());
app.use(express.json());

app.get('/', (_req, res) => res.redirect('/posts'));
app.get('/posts', async (_req, res) => {
  res.json({
    items: await rowsOf('SELECT id, title FROM post WHERE is_public = 1 ORDER BY title LIMIT 100'),
  });
});
app.get('/posts/:postId', async (req, res) => {
  const post = await postAt(req);
  if (!post.isPublic) await req.auth.require('post:read', `post:${post.id}`);
  res.json(post);
});
app.post('/posts', authTuna.requirePermission('post:create'), async (req, res) => {
  const { title, text } = fieldsOf(req);
  const id = randomUUID();
  await rowsOf(
    'INSERT INTO post (id, author_id, title, text, is_public) VALUES (?, ?, ?, ?, 0)',
    ...[id, currentUser(req).id, title, text],
  );
  res.status(201).json({ id, title, text, isPublic: false });
});
const onPost = (permission) => authTuna.requirePermission(permission, { scopeFrom: 'postId' });
app.put('/posts/:postId', onPost('post:update'), async (req, res) => {
  const { id } = await postAt(req);
  const { title, text } = fieldsOf(req);
  const isPublic = req.body.isPublic === true;
  await rowsOf(
    'UPDATE post SET title = ?, text = ?, is_public = ? WHERE id = ?',
    ...[title, text, isPublic ? 1 : 0, id],
  );
  res.json({ id, title, text, isPublic });
});
app.delete('/posts/:postId', onPost('post:delete'), async (req, res) => {
  const { id } = await postAt(req);
  await rowsOf('DELETE FROM post WHERE id = ?', id);
  res.sendStatus(204);
});

app.use(authTuna.errorHandler());

await authTuna.ready();
await database.execute(
  'CREATE TABLE IF NOT EXISTS post (id TEXT PRIMARY KEY, author_id TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, is_public INTEGER NOT NULL)',
);
await seed();
const server = app.listen(port, 'localhost', () => console.log(`http://localhost:${port}`));
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => authTuna.close());
    server.closeIdleConnections();
  });
}

async function postAt(req) {
  const [post] = await rowsOf('SELECT * FROM post WHERE id = ?', req.params.postId);
  if (post === undefined) throw Object.assign(new Error('no such post'), { status: 404 });
  return { id: post.id, title: post.title, text: post.text, isPublic: post.is_public === 1 };
}

function fieldsOf(req) {
  const { title, text } = req.body ?? {};
  const isFine = (value, most) => typeof value === 'string' && value !== '' && value.length <= most;
  if (!isFine(title, 200) || !isFine(text, 50_000))
    throw Object.assign(new Error('title and text are needed'), { status: 422 });
  return { title, text };
}

/** Five people, once. */
async function seed() {
  if ((await authTuna.users.findByEmail('ada@example.com')) !== null) return;
  for (const permission of ['post:read', 'post:update', 'post:delete'])
    await authTuna.roles.addPermission('owner', permission, SYSTEM);
  for (const permission of ['post:read', 'post:delete'])
    await authTuna.roles.addPermission('moderator', permission, SYSTEM);
  const people = { ada: 'author', bob: 'author', eddie: 'editor', mo: 'moderator', vera: 'viewer' };
  for (const [name, role] of Object.entries(people)) {
    const { id } = await authTuna.users.create({
      email: `${name}@example.com`,
      password: 'tuna swims in the morning',
      emailVerified: true,
    });
    await authTuna.roles.assign({ userId: id, role, scope: 'global' }, SYSTEM);
  }
}
