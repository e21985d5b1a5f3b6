// node bench/dashboard.js [--users 1000000] [--entries 10000000] [--rounds 40]
//
// Fills a PostgreSQL of its own with people and audit entries, opens every page of the administration in turn, and prints p50 and p95 of
// each with what scanned a large table without an index. Build first; takes about a quarter of an hour in its long form.
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import express from 'express';
import pg from 'pg';
import { startDatabases } from './support/databases.js';
import { table, whole } from './support/report.js';

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '1000000' },
    entries: { type: 'string', default: '10000000' },
    rounds: { type: 'string', default: '40' },
  },
});
const [users, entries, rounds] = [values.users, values.entries, values.rounds].map(Number);
const EMAIL = 'root@example.com';
const PASSWORD = 'tuna swims in the morning';
const LARGE = ['User', 'AuditEntry', 'RoleAssignment', 'Session', 'ApiKey', 'ServiceAccount', 'Organization'];

const databases = await startDatabases();
try {
  const url = await databases.create('postgresql');
  const { createAuthTuna, SYSTEM } = await import('../dist/index.js');
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3999',
    secrets: ['Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA'],
    databaseUrl: url,
  });
  await authTuna.ready();
  await authTuna.jobs.stop();
  const root = await authTuna.users.create({ email: EMAIL, password: PASSWORD, emailVerified: true });
  await authTuna.roles.assign({ userId: root.id, role: 'superadmin', scope: 'global' }, SYSTEM);

  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await fill(client);
  await sealing(authTuna, client);

  const app = express();
  app.use(authTuna.router());
  app.use(authTuna.errorHandler());
  const server = app.listen(3999, 'localhost');
  await once(server, 'listening');
  const cookie = await signIn();
  const { rows } = await client.query(`SELECT id FROM "User" OFFSET ${Math.floor(users / 2)} LIMIT 1`);
  const middle = rows[0].id;
  const deep = await cursorAt(client, '"User"', '"createdAt"');
  const deepEntry = await cursorAt(client, '"AuditEntry"', 'at');
  const deepKey = await cursorAt(client, '"ApiKey"', '"createdAt"');
  const pages = [
    '/admin/stats',
    '/admin/users',
    `/admin/users?cursor=${deep}`,
    '/admin/users?search=person4711',
    '/admin/users?search=nobodyatall',
    '/admin/users?role=moderator',
    '/admin/users?status=suspended',
    `/admin/users/${middle}`,
    '/admin/roles',
    '/admin/roles/user',
    '/admin/permissions',
    '/admin/scopes',
    `/admin/why?user=person4711@example.com&permission=users:read`,
    '/admin/sessions',
    '/admin/orgs',
    '/admin/orgs?search=organization%2077',
    '/admin/orgs/o77',
    '/admin/api-keys',
    `/admin/api-keys?cursor=${deepKey}`,
    '/admin/api-keys?user=person4711@example.com',
    '/admin/service-accounts',
    '/admin/service-accounts?org=o77',
    '/admin/service-accounts/p77',
    `/admin/bulk?action=suspend&${Array.from({ length: 50 }, (_, n) => `users=u${n + 1}`).join('&')}`,
    '/admin/mails',
    '/admin/throttles',
    '/admin/jobs',
    '/admin/audit',
    `/admin/audit?cursor=${deepEntry}`,
    '/admin/audit?type=user.locked',
    '/admin/audit?outcome=denied',
    '/admin/audit?scope=org:77',
    `/admin/audit?q=person4711@example.com`,
    '/admin/audit?q=10.1.2.3',
    `/admin/audit?q=${middle}&type=user.signed_in`,
    '/admin/audit?from=2026-01-01&to=2026-02-01',
  ];
  const lines = [];
  for (const page of pages) lines.push([page.slice(0, 60), ...(await time(client, page, cookie))]);
  console.log(`${whole(users)} people, ${whole(entries)} audit entries, PostgreSQL`);
  console.log(table(['page', 'p50 ms', 'p95 ms', 'scanned without an index'], lines));
  await withTrigrams(client, cookie);
  await client.end();
  server.close();
  server.closeAllConnections();
  await authTuna.close();
} finally {
  await databases.stop();
}

async function fill(client) {
  const log = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
  const indexes = await withoutIndexes(client);
  log('people');
  await client.query(`
    INSERT INTO "User" (id, email, username, "emailVerifiedAt", "createdAt", "updatedAt", "suspendedAt", "suspendedReason")
    SELECT 'u' || n, 'person' || n || '@example.com', 'person' || n, now(), now() - n * interval '30 seconds', now(),
      CASE WHEN n % 1000 = 0 THEN now() END, CASE WHEN n % 1000 = 0 THEN 'spam' END
    FROM generate_series(1, ${users}) n`);
  await client.query(`
    INSERT INTO "RoleAssignment" ("userId", "roleId", scope, "assignedAt")
    SELECT 'u' || n, (SELECT id FROM "Role" WHERE name = CASE WHEN n % 10000 = 0 THEN 'moderator' ELSE 'user' END), 'global', now()
    FROM generate_series(1, ${users}) n`);
  await client.query(`
    INSERT INTO "Session" (id, "userId", epoch, salt, "rotatedAt", "createdAt", "lastSeenAt", "absoluteExpiresAt", "idleSeconds", "authenticatedAt", amr)
    SELECT 's' || n, 'u' || n, 0, 'x', now(), now(), now(), now() + interval '1 day', 3600, now(), 'pwd'
    FROM generate_series(1, ${Math.floor(users / 5)}) n`);
  log('organizations, service accounts and keys');
  await client.query(`
    INSERT INTO "Organization" (id, slug, name, "createdAt", "updatedAt")
    SELECT 'o' || n, 'org-' || n, 'Organization ' || n, now(), now() FROM generate_series(1, ${Math.floor(users / 100)}) n`);
  await client.query(`
    INSERT INTO "ScopeNode" (id, "createdAt") SELECT 'org:o' || n, now() FROM generate_series(1, ${Math.floor(users / 100)}) n`);
  await client.query(`
    INSERT INTO "RoleAssignment" ("userId", "roleId", scope, "assignedAt")
    SELECT 'u' || n, (SELECT id FROM "Role" WHERE name = 'org_member'), 'org:o' || (1 + n % ${Math.floor(users / 100)}), now()
    FROM generate_series(1, ${Math.floor(users / 5)}) n`);
  await client.query(`
    INSERT INTO "User" (id, kind, email, "createdAt", "updatedAt")
    SELECT 'p' || n, 'service', 'p' || n || '@service.invalid', now(), now() FROM generate_series(1, ${Math.floor(users / 100)}) n`);
  await client.query(`
    INSERT INTO "ServiceAccount" ("userId", scope, name, "createdAt")
    SELECT 'p' || n, 'org:o' || n, 'program ' || n, now() - n * interval '1 minute' FROM generate_series(1, ${Math.floor(users / 100)}) n`);
  await client.query(`
    INSERT INTO "ApiKey" (id, "userId", name, kind, start, hash, kid, "lifetimeSeconds", "createdAt", "expiresAt", slot)
    SELECT lpad(n::text, 12, 'A'), 'u' || n, 'key', 'secret', 'at_live_' || n, n::text, 'k', 7776000,
      now() - n * interval '20 seconds', now() + interval '60 days', 0
    FROM generate_series(1, ${Math.floor(users / 5)}) n`);
  log('entries');
  await client.query(`
    INSERT INTO "AuditEntry" (id, at, type, outcome, "actorId", "targetType", "targetId", scope, ip, "userAgent")
    SELECT 'e' || n, now() - interval '2 hours' - n * interval '3 seconds',
      (ARRAY['user.signed_in','user.signed_in','user.signed_in','session.created','user.sign_in_failed','user.updated','role.assigned'])[1 + n % 7],
      CASE WHEN n % 5000 = 0 THEN 'denied' WHEN n % 7 = 4 THEN 'failure' ELSE 'success' END,
      'u' || (1 + n % ${users}), 'user', 'u' || (1 + (n * 7) % ${users}),
      CASE WHEN n % 10 = 0 THEN 'org:' || (n % 5000) END, '10.' || (n % 200) || '.' || (n % 250) || '.' || (n % 240), 'Mozilla/5.0'
    FROM generate_series(1, ${entries}) n`);
  log('indexes');
  for (const definition of indexes) await client.query(definition);
  log('analyze');
  await client.query('VACUUM ANALYZE');
}

/** Drops the indexes of the large tables, which are quicker to build over finished tables. @returns how to build them again */
async function withoutIndexes(client) {
  const { rows } = await client.query(
    `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY($1) AND indexname NOT LIKE '%_pkey'`,
    [LARGE],
  );
  for (const { indexname } of rows) await client.query(`DROP INDEX "${indexname}"`);
  await client.query("SET maintenance_work_mem = '512MB'");
  return rows.map(({ indexdef }) => indexdef);
}

/** How many entries a second the job seals, over 20 s. */
async function sealing(authTuna, client) {
  const start = performance.now();
  const job = authTuna.jobs.run('audit.seal');
  await Promise.race([job, new Promise((resolve) => setTimeout(resolve, 20_000))]);
  await authTuna.jobs.stop();
  await job.catch(() => {});
  const seconds = (performance.now() - start) / 1000;
  const { rows } = await client.query('SELECT coalesce(sum(count), 0) AS sealed FROM "AuditSeal"');
  console.log(`sealing: ${whole(Number(rows[0].sealed) / seconds)} entries a second`);
}

async function signIn() {
  const answer = await fetch('http://localhost:3999/auth/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ login: EMAIL, password: PASSWORD }),
  });
  if (answer.status !== 200) throw new Error(`sign-in answered ${answer.status}`);
  return answer.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ');
}

/** The searches again with the indexes that docs/admin.md advises. */
async function withTrigrams(client, cookie) {
  try {
    await client.query('CREATE EXTENSION IF NOT EXISTS pg_trgm');
  } catch (error) {
    console.log(`without pg_trgm: ${error.message}`);
    return;
  }
  for (const column of ['email', 'username'])
    await client.query(`CREATE INDEX "User_${column}_search" ON "User" USING gin (${column} gin_trgm_ops)`);
  await client.query('ANALYZE "User"');
  const lines = [];
  for (const page of ['/admin/users?search=person4711', '/admin/users?search=nobodyatall'])
    lines.push([page, ...(await time(client, page, cookie))]);
  console.log('with the indexes of pg_trgm');
  console.log(table(['page', 'p50 ms', 'p95 ms', 'scanned without an index'], lines));
}

async function cursorAt(client, name, column) {
  const { rows } = await client.query(
    `SELECT id FROM ${name} ORDER BY ${column} DESC OFFSET ${Math.floor(users * 0.15)} LIMIT 1`,
  );
  return rows[0]?.id ?? 'none';
}

async function time(client, page, cookie) {
  const scans = await scansOf(client);
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    const answer = await fetch(`http://localhost:3999${page}`, { headers: { cookie, accept: 'text/html' } });
    await answer.text();
    if (answer.status !== 200) throw new Error(`${page} answered ${answer.status}`);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(1);
  await new Promise((resolve) => setTimeout(resolve, 1100)); // PostgreSQL writes its statistics once a second
  const after = await scansOf(client);
  const scanned = LARGE.filter((name) => (after[name] ?? 0) - (scans[name] ?? 0) >= rounds / 2);
  return [at(0.5), at(0.95), scanned.join(' ') || 'none'];
}

async function scansOf(client) {
  const { rows } = await client.query('SELECT relname, seq_scan FROM pg_stat_user_tables');
  return Object.fromEntries(rows.map(({ relname, seq_scan: scans }) => [relname, Number(scans)]));
}
