// Every declaration the package ships is checked with this project: skipLibCheck is off.
export * from 'authtuna';
export { remote } from 'authtuna/remote';

import { createAuthTuna, optionsFromEnv } from 'authtuna';
// What a strict host writes, with `exactOptionalPropertyTypes` on.
import express from 'express';

const authTuna = createAuthTuna({
  ...optionsFromEnv(process.env),
  databaseUrl: process.env.DATABASE_URL,
  redisUrl: process.env.REDIS_URL,
});
const app = express();
const mayRead = authTuna.requirePermission('project:read', { scopeFrom: 'projectId' });
// The parameter of a route stays a string behind guards.
app.get('/projects/:projectId', authTuna.requireUser(), mayRead, authTuna.rateLimit('search'), (req, res) => {
  const id: string = req.params.projectId;
  res.json({ id });
});
