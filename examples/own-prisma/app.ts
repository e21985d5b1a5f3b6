// An app with its own Prisma schema and users that existed before. In this folder:
//
//   npm install
//   export AUTHTUNA_SECRET=$(npx authtuna new-secret)
//   npx authtuna init                                   writes prisma/authtuna.prisma
//   npx prisma migrate dev --name authtuna && npx prisma generate
//   npx tsx old-users.ts                                only here: your app has users already
//   NODE_OPTIONS='--import tsx' npx authtuna import --from prisma --app ./auth.ts
//   npx tsx app.ts
//
// ada@example.com then signs in at http://localhost:3000/auth/login with "correct horse battery staple".
import express from 'express';
import { authTuna } from './auth.js';
import { prisma } from './db.js';

const app = express();
app.use(authTuna.session());
app.use(authTuna.router());

app.get('/', (req, res) => {
  res.send(req.user ? '<a href="/posts">Your posts</a>' : '<a href="/auth/login">Sign in</a>');
});
// Rows of the app refer to its own users, whose id stands beside ours.
app.get('/posts', authTuna.requireUser(), async (req, res) => {
  res.json(await prisma.post.findMany({ where: { authorId: req.user?.hostUserId ?? 0 } }));
});

app.use(authTuna.errorHandler());
await authTuna.ready();
app.listen(process.env.PORT ?? 3000);
