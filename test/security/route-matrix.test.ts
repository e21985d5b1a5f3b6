// Shows who may call what: each route of the administration and the account, as authTuna.routes() lists them, by a holder of each shipped role,
// upon the own account, a lower, an equal and a higher one. What must be refused is worked out here from permissions and levels alone.
import { expect, onTestFinished, test } from 'vitest';
import { SHIPPED_ROLES } from '../../src/core/access/shipped.js';
import { MODELS } from '../../src/db/client.js';
import type { MountedRoute } from '../../src/http/mounts.js';
import { SYSTEM } from '../../src/index.js';
import { startApp, type TestInstance } from '../support/app.js';
import type { Browser } from '../support/browser.js';
import { openDatabase } from '../support/database.js';
import { as, person } from '../support/people.js';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const COOKIE = 'at_sess';
const RELATIONS = ['own', 'lower', 'equal', 'higher'] as const;
type Relation = (typeof RELATIONS)[number];

/** What stands behind the parameters of a path. */
interface Target {
  person: string;
  session: string;
  key: string;
  account: string;
  role: string;
}

/** Sections whose writes act upon somebody, and what of the target stands in the path. */
const RANKED: Readonly<Record<string, keyof Target>> = {
  users: 'person',
  sessions: 'session',
  'api-keys': 'key',
  'service-accounts': 'account',
  roles: 'role',
};

/** Bodies that pass the checks of their routes, so that rights alone decide. */
const BODIES: Readonly<Record<string, object>> = {
  'POST /admin/users/:id': { emailVerified: true },
  'PATCH /admin/users/:id': { emailVerified: true },
  'POST /admin/users/:id/suspend': { reason: 'spam' },
  'POST /admin/users/:id/impersonate': { reason: 'ticket' },
  'POST /admin/users/:id/assignments/remove': { role: 'user', scope: 'global' },
  'POST /admin/service-accounts/:id/api-keys': { name: 'script' },
  'POST /admin/service-accounts/:id/new-key': { name: 'script' },
  'POST /admin/roles/:name': { description: 'changed' },
  'PATCH /admin/roles/:name': { description: 'changed' },
  'POST /admin/roles/:name/permissions': { permission: 'project:read' },
  'POST /admin/roles/:name/remove-permission': { permission: 'project:read' },
  'POST /admin/roles/:name/may-assign': { role: 'user' },
  'POST /admin/roles/:name/remove-assignable': { role: 'user' },
};
const QUERIES: Readonly<Record<string, string>> = {
  'DELETE /admin/users/:id/assignments': '?role=user&scope=global',
};
/** Giving a role asks what the giver may give, not how high the receiver stands; test/security/rbac.test.ts has that matrix. */
const UNRANKED = new Set(['POST /admin/users/:id/assignments']);

const LEVELS = SHIPPED_ROLES as Readonly<
  Record<string, { level: number | null; at?: string[]; permissions: string[] }>
>;
const levelOf = (role: string) => LEVELS[role]?.level ?? -1;
const nameOf = ({ method, path }: MountedRoute) => `${method} ${path}`;
const sectionOf = ({ path }: MountedRoute) => path.split('/')[2] ?? '';

function isRanked(route: MountedRoute): boolean {
  const isWrite = route.method !== 'GET' && route.path.includes('/:');
  return isWrite && sectionOf(route) in RANKED && !UNRANKED.has(nameOf(route));
}

/** Whether the role holds, at `global`, all permissions that the guard of the route names. */
function passesGuard(role: string, { guard }: MountedRoute): boolean {
  const asked = [guard?.permission ?? []].flat();
  const isGlobal = LEVELS[role]?.at?.includes('global') === true;
  const patterns = isGlobal ? [...(LEVELS[role]?.permissions ?? []), 'org:create'] : ['org:create'];
  return asked.every((name) =>
    patterns.some(
      (pattern) => pattern === name || pattern === '*' || pattern === name.replace(/:[\w:]+$/, ':*'),
    ),
  );
}

function addressOf(route: MountedRoute, target: Target): string {
  const kind = RANKED[sectionOf(route)];
  const first = kind === undefined ? 'unknown' : target[kind];
  const path = route.path.replace(/:(\w+)/g, (_, name: string) => {
    if (name === 'id' || name === 'name') return first;
    return { permission: 'project:read', role: 'user' }[name] ?? 'unknown';
  });
  return path + (QUERIES[nameOf(route)] ?? '');
}

async function call(browser: Browser, route: MountedRoute, target: Target): Promise<number> {
  const hasBody = route.method === 'POST' || route.method === 'PATCH';
  const body = hasBody ? (BODIES[nameOf(route)] ?? {}) : undefined;
  // A jar of its own: a borrowed session or a new cookie in an answer must not reach the next call.
  const answer = await browser.stolen().request(route.method, addressOf(route, target), body);
  await answer.arrayBuffer();
  return answer.status;
}

/** A browser that is signed in as this user, by a proof of this moment. */
async function browserOf(app: TestInstance, userId: string): Promise<Browser> {
  const actor = { userId, ip: '127.0.0.1', userAgent: FIREFOX };
  const { token } = await app.authTuna.sessions.create(userId, ['pwd'], actor);
  const browser = app.browser();
  browser.jar.set(COOKIE, token);
  return browser;
}

/** Where a role is held. */
const placeOf = (role: string) => (LEVELS[role]?.at?.[0] ?? 'global').replace(/^(?!global).*/, '$&:1');

interface World extends TestInstance {
  orgId: string;
  next(): string;
}

async function world(): Promise<World> {
  const app = await startApp({ privacy: { deletionGraceDays: 1 } });
  const { authTuna } = app;
  await authTuna.scopes.register({ id: 'org:1' }, SYSTEM);
  await authTuna.scopes.register({ id: 'project:1', parent: 'org:1' }, SYSTEM);
  await authTuna.scopes.register({ id: 'team:1', parent: 'project:1' }, SYSTEM);
  await person(app, 'first', 'superadmin'); // so that no other one is the last
  const { id: orgId } = await authTuna.orgs.create({ name: 'Acme' }, SYSTEM);
  let count = 0;
  const next = () => {
    count += 1;
    return `p${count}`;
  };
  return { ...app, orgId, next };
}

/** Somebody who holds the role; `owner` is held by owning. */
async function holder(app: World, role: string): Promise<string> {
  const id = await person(
    app,
    app.next(),
    ...(role === 'owner' || role === 'user' ? [] : ([role, placeOf(role)] as const)),
  );
  if (role === 'owner') await app.authTuna.scopes.register({ id: `document:${id}`, ownerId: id }, SYSTEM);
  return id;
}

/** A person of a role with a session, a key, a service account of that role, and a role of that level; `role` is null for a rank below all. */
async function targetOf(app: World, role: string | null, personId?: string): Promise<Target> {
  const { apiKeys, roles, serviceAccounts, sessions } = app.authTuna;
  const id = personId ?? (await (role === null ? person(app, app.next()) : holder(app, role)));
  const { session } = await sessions.create(id, ['pwd'], SYSTEM);
  const { apiKey } = await apiKeys.create({ userId: id, name: 'key' }, as(id));
  const name = `role-${id.toLowerCase().replace(/[^a-z0-9]/g, '')}`.slice(0, 40);
  const level = role === null ? 0 : levelOf(role);
  await roles.ensure({ name, level: level < 0 ? null : level, permissions: ['project:read'] }, SYSTEM);
  await roles.allowAssign(name, 'user', SYSTEM);
  const account = await serviceAccounts.create({ orgId: app.orgId, name: 'program' }, SYSTEM);
  await roles.assign({ userId: account.id, role: name, scope: 'global' }, SYSTEM);
  return { person: id, session: session.id, key: apiKey.id, account: account.id, role: name };
}

const VOLATILE = new Set([
  'auditEntry',
  'auditSeal',
  'rateWindow',
  'lease',
  'counter',
  'throttle',
  'session',
]);

/** Every row that a refused call could have changed. */
async function everyRow(app: TestInstance): Promise<Map<string, unknown[]>> {
  const connection = await openDatabase(app.database);
  onTestFinished(() => connection.close());
  const tables = connection.client as unknown as Record<
    string,
    { findMany(args: object): Promise<{ id?: string; revokedAt?: unknown }[]> }
  >;
  const rows = new Map<string, unknown[]>();
  for (const { model } of MODELS) {
    const found = (await tables[model]?.findMany({})) ?? [];
    if (model === 'session')
      rows.set(model, found.map(({ id, revokedAt }) => `${id} ${String(revokedAt)}`).sort());
    else if (!VOLATILE.has(model)) rows.set(model, found.map((row) => JSON.stringify(row)).sort());
  }
  return rows;
}

/** The same once every mail has left: one that is on its way would change its row by itself. */
async function settledRows(app: TestInstance): Promise<Map<string, unknown[]>> {
  for (;;) {
    await app.authTuna.mailer.deliver();
    const rows = await everyRow(app);
    if (!rows.get('outboxMessage')?.some((row) => String(row).includes('"sentAt":null'))) return rows;
  }
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

const routesBelow = (app: TestInstance, prefix: string) =>
  app.authTuna
    .routes()
    .filter(({ path, isPage }) => !isPage && (path === prefix || path.startsWith(`${prefix}/`)));

test('each route of the administration asks for admin:access, and each write for a fresh proof; a visitor reaches none (AD-3)', async () => {
  const app = await startApp();
  const admin = routesBelow(app, '/admin');
  expect(admin.length).toBeGreaterThan(80);
  for (const { method, path, guard } of admin) {
    if (path === '/admin/impersonation/end') continue; // it ends what began with all of that
    expect([path, [guard?.permission].flat()]).toEqual([path, expect.arrayContaining(['admin:access'])]);
    expect([path, guard?.fresh, guard?.credentials]).toEqual([path, true, undefined]);
    if (method !== 'GET') expect([method, path, guard?.recent]).toEqual([method, path, 'login']);
  }
  const visitor = app.browser();
  const nobody = { person: 'x', session: 'x', key: 'x', account: 'x', role: 'x' };
  await inTurns([...admin, ...routesBelow(app, '/account')], async (route) => {
    expect([nameOf(route), await call(visitor, route, nobody)]).toEqual([nameOf(route), 401]);
  });
});

test('a role opens the routes whose permissions it holds, upon lower ranks alone; what is refused changes nothing (AD-3, D7)', async () => {
  const app = await world();
  const routes = routesBelow(app, '/admin');
  for (const role of Object.keys(SHIPPED_ROLES)) {
    const actor = await holder(app, role);
    const higher = role === 'superadmin' ? null : levelOf(role) < levelOf('admin') ? 'admin' : 'superadmin';
    const targets: Partial<Record<Relation, Target>> = {
      own: await targetOf(app, role, actor),
      lower: await targetOf(app, null),
      equal: await targetOf(app, role),
      ...(higher !== null && { higher: await targetOf(app, higher) }),
    };
    const browser = await browserOf(app, actor);
    const refused: { route: MountedRoute; relation: Relation }[] = [];
    const allowed: MountedRoute[] = [];
    for (const route of routes) {
      for (const relation of RELATIONS) {
        if (!isRanked(route) && relation !== 'lower') continue; // no path names a target
        if (targets[relation] === undefined) continue;
        if (!passesGuard(role, route)) refused.push({ route, relation });
        else if (!isRanked(route) || relation === 'lower') allowed.push(route);
        else if (relation !== 'own') refused.push({ route, relation });
      }
    }
    const before = await settledRows(app);
    await inTurns(refused, async ({ route, relation }) => {
      const what = `${role}: ${nameOf(route)} (${relation})`;
      expect([what, await call(browser, route, targets[relation] as Target)]).toEqual([what, 403]);
    });
    const after = await everyRow(app);
    for (const [model, rows] of after) expect([role, model, rows]).toEqual([role, model, before.get(model)]);

    for (const route of allowed) {
      const target = isRanked(route) ? await targetOf(app, null) : (targets.lower as Target);
      const status = await call(browser, route, target);
      const what = `${role}: ${nameOf(route)} (lower)`;
      expect([
        what,
        isRanked(route) ? status < 400 : ![401, 403].includes(status) && status < 500,
        status,
      ]).toEqual([what, true, status]);
    }
  }
}, 240_000);

test('upon the own account an administrator suspends and borrows nothing, and no call fails (AD-3)', async () => {
  const app = await world();
  const routes = routesBelow(app, '/admin').filter(
    (route) => isRanked(route) && sectionOf(route) === 'users',
  );
  for (const route of routes) {
    const self = await holder(app, 'superadmin');
    const status = await call(await browserOf(app, self), route, await targetOf(app, 'superadmin', self));
    const what = nameOf(route);
    expect([what, status < 500, status]).toEqual([what, true, status]);
    if (what.endsWith('/suspend')) expect([what, status]).toEqual([what, 409]);
    if (what.endsWith('/impersonate')) expect([what, status]).toEqual([what, 403]);
    if (what.endsWith('/suspend') || what.endsWith('/impersonate'))
      expect((await app.authTuna.users.get(self)).suspendedAt).toBeNull();
  }
});

test('the account is everybody’s own: each role uses each of its routes, and reaches the session of nobody else (SS-12)', async () => {
  const app = await world();
  const routes = routesBelow(app, '/account');
  const others = await targetOf(app, null);
  for (const role of Object.keys(SHIPPED_ROLES)) {
    const calls: { route: MountedRoute; self: string }[] = [];
    for (const route of routes) calls.push({ route, self: await holder(app, role) });
    await inTurns(calls, async ({ route, self }) => {
      const browser = await browserOf(app, self);
      const { session } = await app.authTuna.sessions.create(self, ['pwd'], SYSTEM);
      const what = `${role}: ${nameOf(route)}`;
      if (route.path.includes('/:'))
        expect([what, await call(browser, foreign(route, others.session), others)]).toEqual([what, 404]);
      const status = await call(browser, foreign(route, session.id), others);
      expect([what, ![401, 403].includes(status) && status < 500, status]).toEqual([what, true, status]);
    });
  }
  expect((await app.authTuna.sessions.list(others.person)).map(({ id }) => id)).toEqual([others.session]);
}, 120_000);

function foreign(route: MountedRoute, session: string): MountedRoute {
  return { ...route, path: route.path.replace(/:\w+/, session) };
}
