import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { Grants } from '../../../src/core/access/grants.js';
import { RoleCatalog } from '../../../src/core/access/role-catalog.js';
import { withTeams } from '../../../src/core/access/team-holdings.js';
import { type Actor, AuthTunaError, SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { freshDatabase, openDatabase } from '../../support/database.js';
import { storeWorld } from '../../support/stored-world.js';
import {
  chainIn,
  closureIn,
  heldAt,
  NOW,
  oracle,
  pick,
  RIGHTS,
  SCOPES,
  USERS,
  type World,
  worlds,
} from '../../support/world.js';

// The long form: WORLDS=20000
const WORLDS = Number(process.env.WORLDS ?? 2000);
const PLACES = ['global', ...SCOPES];

test('the decision agrees with a naive reading of the rule, for thousands of random worlds', () => {
  const question = fc.tuple(
    fc.constantFrom(...USERS),
    fc.constantFrom(...RIGHTS, 'doc:page:edit', 'nobody:knows'),
    fc.constantFrom(...PLACES),
  );
  const answers = { yes: 0, no: 0 };
  fc.assert(
    fc.property(
      worlds({ withStar: true, withTeams: true }),
      fc.array(question, { minLength: 5, maxLength: 20 }),
      (world, questions) => {
        const catalog = new RoleCatalog(1, world.roles);
        for (const [userId, permission, scope] of questions) {
          const grants = new Grants(
            userId,
            withTeams(
              world.assignments.filter((row) => row.userId === userId),
              new Map(['1', '11'].map((id) => [id, world.teams.filter(({ teamId }) => teamId === id)])),
            ),
            catalog,
            world.now,
          );
          const answer = grants.allow(permission, chainIn(world, scope));
          answers[answer ? 'yes' : 'no'] += 1;
          expect(answer).toBe(oracle(world, userId, permission, scope));
        }
      },
    ),
    { numRuns: WORLDS },
  );
  expect(answers.yes).toBeGreaterThan(0);
  expect(answers.no).toBeGreaterThan(0);
}, 300_000);

async function storedWorlds() {
  const database = await freshDatabase();
  const instance = await startApp({}, { database });
  const connection = await openDatabase(database);
  onTestFinished(async () => {
    await connection.close();
    await database.drop();
  });
  return {
    ...instance,
    store: (world: World) => storeWorld(connection.client, world),
    db: connection.client,
  };
}

test('can, canAll, explain, hasRole, scopesWith, usersWith and whereFor give the same rule over the database', async () => {
  const { authTuna, store } = await storedWorlds();
  const { access } = authTuna;
  await fc.assert(
    fc.asyncProperty(
      worlds({ withStar: true, withTeams: true }),
      fc.constantFrom(...USERS),
      fc.constantFrom(...RIGHTS),
      async (world, userId, permission) => {
        await store(world);
        const expected = PLACES.map((scope) => oracle(world, userId, permission, scope));
        const questions = PLACES.map((scope) => ({ permission, scope }));
        expect(await access.canAll(userId, questions)).toEqual(expected);

        const scope = pick(PLACES, world.roles.length * 7 + world.assignments.length);
        const holds = oracle(world, userId, permission, scope);
        expect(await access.can(userId, permission, scope)).toBe(holds);
        const explanation = await access.explain(userId, permission, scope);
        expect(explanation.allowed).toBe(holds);
        expect(explanation.chain).toEqual(chainIn(world, scope).scopes);
        // Replayed from nothing but what it says: the grants it names are held where it says, and say yes.
        for (const grant of explanation.grants) {
          const role = world.roles.find((row) => row.name === grant.role);
          expect(heldAt(world, userId, grant.scope)).toContain(role?.id);
          const closure = closureIn(world, role?.id ?? '', chainIn(world, grant.scope).scopes);
          const alone: World = {
            ...world,
            owners: new Map(),
            teams: [],
            assignments: [{ userId, roleId: role?.id ?? '', scope: grant.scope, expiresAt: null }],
          };
          expect(closure.length).toBeGreaterThan(0);
          expect(oracle(alone, userId, permission, scope)).toBe(true);
        }
        expect(explanation.grants.length > 0).toBe(holds);

        for (const role of world.roles.filter((row) => row.ownedBy === '').slice(0, 2))
          expect(await access.hasRole(userId, role.name, scope)).toBe(
            chainIn(world, scope).scopes.some((each) =>
              heldAt(world, userId, each).some((id) =>
                closureIn(world, id, chainIn(world, each).scopes).includes(role),
              ),
            ),
          );

        const found = await access.usersWith(permission, scope);
        expect(found.items.map((user) => user.id)).toEqual(
          USERS.filter((id) => oracle(world, id, permission, scope)),
        );

        const everywhere = oracle(world, userId, permission, 'global');
        const scopes = await access.scopesWith(userId, permission);
        if (everywhere) expect(scopes).toEqual({ all: true });
        else expect(scopes).toEqual({ all: false, scopes: directlyGiven(world, userId, permission) });

        // A table of the host: one row per project, with the nearest organization and team above it.
        const rows = SCOPES.filter((each) => each.startsWith('project:')).map((each) => hostRow(world, each));
        const allowed = rows
          .filter((row) => oracle(world, userId, permission, `project:${row.id}`))
          .map((row) => row.id);
        const wide = await access.whereFor(userId, permission, {
          project: 'id',
          team: 'teamId',
          org: 'orgId',
          owner: 'ownerId',
        });
        expect(rows.filter((row) => matchesWhere(row, wide)).map((row) => row.id)).toEqual(allowed);
        const narrow = await access.whereFor(userId, permission, { project: 'id' });
        expect(rows.filter((row) => matchesWhere(row, narrow)).map((row) => row.id)).toEqual(allowed);
      },
    ),
    { numRuns: WORLDS / 25 },
  );
}, 300_000);

function directlyGiven(world: World, userId: string, permission: string): string[] {
  return SCOPES.filter((scope) => {
    const here = heldAt(world, userId, scope).map((roleId) => ({ userId, roleId, scope, expiresAt: null }));
    return oracle({ ...world, owners: new Map(), teams: [], assignments: here }, userId, permission, scope);
  }).sort();
}

interface HostRow {
  id: string;
  teamId: string | null;
  orgId: string | null;
  ownerId: string | null;
}

function hostRow(world: World, scope: string): HostRow {
  const { scopes } = chainIn(world, scope);
  const nearest = (type: string) => scopes.find((each) => each.startsWith(`${type}:`))?.split(':')[1] ?? null;
  return {
    id: scope.split(':')[1] as string,
    teamId: nearest('team'),
    orgId: nearest('org'),
    ownerId: world.owners.get(scope) ?? null,
  };
}

/** What a Prisma client makes of the conditions that whereFor gives. */
function matchesWhere(row: HostRow, where: object): boolean {
  const { OR, ...columns } = where as Record<string, unknown>;
  const has = (condition: object) =>
    Object.entries(condition as Record<string, { in: string[] }>).every(([column, test]) =>
      test.in.includes(row[column as keyof HostRow] as string),
    );
  expect(OR).not.toEqual([]); // Prisma drops an empty OR inside an AND
  return has(columns) && (OR === undefined || (OR as object[]).some(has));
}

test('whereFor matches no row when nothing is held, also inside the conditions of the host', async () => {
  const { authTuna, db } = await storedWorlds();
  const ada = await authTuna.users.create({ email: 'ada@example.com' });
  const table = db.user as unknown as { findMany(args: { where: object }): Promise<object[]> };
  const where = await authTuna.access.whereFor(ada.id, 'project:read', { project: 'id', owner: 'email' });
  for (const combined of [
    where,
    { AND: [where, { deletedAt: null }] },
    { OR: [{ AND: [where, {}] }] },
    { ...where, deletedAt: null },
  ])
    expect(await table.findMany({ where: combined })).toEqual([]);
  await expect(authTuna.access.whereFor(ada.id, 'project:read', {})).rejects.toMatchObject({
    code: 'misconfigured',
  });
  await authTuna.roles.assign({ userId: ada.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  expect(await authTuna.access.whereFor(ada.id, 'project:read', { project: 'id' })).toEqual({});
});

test('I-4: many sequences through the managers give nobody what nobody of them could have given', async () => {
  const { authTuna, store } = await storedWorlds();
  const group = USERS.slice(0, 3);
  const step = fc.tuple(fc.nat(14), fc.nat(9_999), fc.nat(9_999), fc.nat(9_999), fc.nat(9_999));
  let permitted = 0;
  await fc.assert(
    fc.asyncProperty(
      worlds({ withStar: false, withTeams: true }),
      fc.array(step, { minLength: 6, maxLength: 14 }),
      async (world, sequence) => {
        await store(world);
        const beyond = PLACES.flatMap((scope) =>
          RIGHTS.filter((permission) => !couldBeGiven(world, group, permission, scope)).map((permission) => ({
            permission,
            scope,
          })),
        );
        for (const [kind, a, b, c, d] of sequence) {
          const actor: Actor = { userId: a % 2 === 0 ? 'ada' : pick(group, a), ip: null, userAgent: null };
          const { name, ownedBy } = pick(world.roles, b);
          const other = pick(world.roles, c).name;
          const scope = pick(PLACES, d);
          const { roles, scopes } = authTuna;
          const changes = [
            () => roles.assign({ userId: pick(USERS, c), role: name, scope }, actor),
            () => roles.assign({ userId: actor.userId as string, role: name, scope }, actor),
            () => roles.unassign({ userId: pick(USERS, c), role: name, scope }, actor),
            () =>
              roles.create(
                {
                  name: `new${b}`,
                  level: c % 10,
                  permissions: [pick(RIGHTS, c), pick(['doc:*', ...RIGHTS], d)],
                  ...(d % 2 ? { ownedBy: pick(SCOPES, d) } : {}),
                },
                actor,
              ),
            () => roles.addPermission(name, pick(['doc:*', 'roles:*', ...RIGHTS], c), actor, ownedBy),
            () => roles.update(name, { includes: [other] }, actor, ownedBy),
            () =>
              roles.update(
                name,
                { level: c % 10, at: pick([[], ['org'], ['project', 'team']], d) },
                actor,
                ownedBy,
              ),
            () => roles.allowAssign(name, other, actor),
            () => roles.delete(name, actor, ownedBy),
            () => scopes.move(pick(SCOPES, c), scope, actor),
            () => scopes.register({ id: pick(SCOPES, c), parent: scope, ownerId: actor.userId }, actor),
            () => scopes.remove(pick(SCOPES, c), actor),
            () => roles.assign({ team: pick(['1', '11'], c), role: name, scope }, actor),
            () => roles.unassign({ team: pick(['1', '11'], c), role: name, scope }, actor),
            () =>
              roles.assign(
                { userId: pick(group, c), role: name, scope: pick(['team:1', 'team:11'], d) },
                actor,
              ),
          ];
          try {
            await (changes[kind] as () => Promise<unknown>)();
            permitted += 1;
          } catch (error) {
            if (!(error instanceof AuthTunaError)) throw error;
            expect(['forbidden', 'conflict', 'not_found', 'invalid_input']).toContain(error.code);
          }
        }
        for (const userId of group)
          expect(
            await authTuna.access.canAll(userId, beyond),
            `${userId} of ${JSON.stringify(beyond)}`,
          ).not.toContain(true);
      },
    ),
    { numRuns: WORLDS / 40 },
  );
  expect(permitted).toBeGreaterThan(WORLDS / 200);
}, 300_000);

/** Held by one of them, or within a role that one of them could hand on, at any number of steps. */
function couldBeGiven(world: World, group: readonly string[], permission: string, scope: string): boolean {
  return chainIn(world, scope).scopes.some((place) => {
    const pending = group.flatMap((userId) => heldAt(world, userId, place));
    const found = new Set<string>();
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      if (found.has(id)) continue;
      found.add(id);
      pending.push(
        ...closureIn(world, id).flatMap((role) => role.mayAssign.map((edge) => edge.assignableId)),
      );
    }
    const unbound = world.roles.map((role) => ({ ...role, ownedBy: '' }));
    const asHeld = [...found].map((roleId) => ({ userId: 'group', roleId, scope: place, expiresAt: null }));
    return oracle(
      { ...world, roles: unbound, owners: new Map(), teams: [], assignments: asHeld },
      'group',
      permission,
      scope,
    );
  });
}

test('what a request remembers and what the database says are the same, with changes arriving in between', async () => {
  const { authTuna, clock, signedIn } = await startApp(
    {
      permissions: { doc: ['read', 'edit'] },
      roles: { reader: { permissions: ['doc:read'] }, editor: { includes: ['reader'] }, owner2: {} },
    },
    {
      routes: (app, tuna) =>
        app.get('/answers', async (req, res) => {
          const userId = req.user?.id ?? '';
          const answers = [];
          for (const permission of ['doc:read', 'doc:edit', 'resource:manage'])
            for (const scope of ['global', 'org:1', 'project:4', 'project:42'])
              answers.push({
                what: `${permission} at ${scope}`,
                cached: await req.auth.can(permission, scope),
                uncached: await tuna.access.can(userId, permission, scope),
                role: [
                  await req.auth.hasRole('reader', scope),
                  await tuna.access.hasRole(userId, 'reader', scope),
                ],
              });
          res.json(answers);
        }),
    },
  );
  const { user, browser } = await signedIn();
  const { roles, scopes } = authTuna;
  await scopes.register({ id: 'org:1' }, SYSTEM);
  await scopes.register({ id: 'project:4', parent: 'org:1' }, SYSTEM);
  await scopes.register({ id: 'project:42', ownerId: user.id }, SYSTEM);
  let seed = 20_300_101;
  const next = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const seen = new Set<boolean>();
  for (let round = 0; round < 60; round += 1) {
    const scope = pick(['global', 'org:1', 'project:4', 'project:42'], next(4));
    const role = pick(['reader', 'editor'], next(2));
    const change = pick(
      [
        () =>
          roles.assign(
            { userId: user.id, role, scope, expiresAt: new Date(clock.now().getTime() + 3000) },
            SYSTEM,
          ),
        () => roles.assign({ userId: user.id, role, scope }, SYSTEM),
        () => roles.unassign({ userId: user.id, role, scope }, SYSTEM),
        () => roles.addPermission(role, 'doc:edit', SYSTEM),
        () => roles.removePermission(role, 'doc:edit', SYSTEM),
        () => roles.update('editor', { includes: next(2) === 0 ? [] : ['reader'] }, SYSTEM),
        () => scopes.move('project:4', pick([null, 'org:1', 'project:42'], next(3)), SYSTEM),
        async () => clock.advance({ seconds: 4 }),
      ],
      next(8),
    );
    await change().catch((error: unknown) => expect((error as AuthTunaError).code).toBe('not_found'));
    const answers = (await (await browser.get('/answers')).json()) as {
      what: string;
      cached: boolean;
      uncached: boolean;
      role: boolean[];
    }[];
    for (const { what, cached, uncached, role: held } of answers) {
      expect(cached, `${what}, round ${round}`).toBe(uncached);
      expect(held[0], `reader, ${what}, round ${round}`).toBe(held[1]);
      seen.add(cached);
    }
  }
  expect(seen).toEqual(new Set([true, false]));
}, 120_000);

test('a right reaches down the tree, never sideways, and no scope means global (D39, RB-2)', async () => {
  const { authTuna } = await startApp();
  const { users, roles, scopes, access } = authTuna;
  const ada = await users.create({ email: 'ada@example.com' });
  await scopes.register({ id: 'project:42', parent: 'org:1' }, SYSTEM);
  await scopes.register({ id: 'team:5', parent: 'project:42' }, SYSTEM);
  await roles.assign({ userId: ada.id, role: 'org_admin', scope: 'org:1' }, SYSTEM);
  const can = (scope?: string) => access.can(ada.id, 'project:read', scope);
  expect(await Promise.all(['org:1', 'project:42', 'team:5'].map(can))).toEqual([true, true, true]);
  expect(
    await Promise.all(['org:10', 'org:1x', 'project:420', 'project:4', 'global', undefined].map(can)),
  ).toEqual(Array(6).fill(false));
  // A scope that nobody knows hangs below global alone.
  await roles.assign({ userId: ada.id, role: 'project_member', scope: 'project:7' }, SYSTEM);
  expect(await access.can(ada.id, 'project:read', 'project:7')).toBe(true);
  expect(await access.can(ada.id, 'project:read', 'project:70')).toBe(false);
});

test('unknown, suspended and deleted people, malformed names and circles are denied; a resolver that fails is unavailable (RB-1)', async () => {
  const { authTuna, logger } = await startApp({
    resolveScope: (scope) => {
      if (scope === 'doc:throws') throw new Error('at once');
      if (scope === 'doc:rejects') return Promise.reject(new Error('later'));
      if (scope === 'doc:odd') return Promise.resolve({ parent: 'not a scope' });
      if (scope === 'doc:a') return Promise.resolve({ parent: 'doc:b' });
      if (scope === 'doc:b') return Promise.resolve({ parent: 'doc:a' });
      if (scope.startsWith('deep:')) return Promise.resolve({ parent: `deep:${Number(scope.slice(5)) + 1}` });
      return undefined as never; // what a function without a last `return null` gives
    },
  });
  const { users, roles, access } = authTuna;
  const ada = await users.create({ email: 'ada@example.com' });
  const bob = await users.create({ email: 'bob@example.com' });
  await roles.assign({ userId: ada.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  await roles.assign({ userId: bob.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  expect(await access.can(ada.id, 'a:b', 'doc:fine')).toBe(true);
  for (const scope of [
    'doc:a',
    'deep:1',
    '',
    'org:',
    'org:1//x',
    'org:*',
    'global:1',
    'A:1',
    'org:1/team:2',
    `org:${'x'.repeat(129)}`,
    'org:1\0',
  ])
    expect(await access.can(ada.id, 'a:b', scope), scope).toBe(false);
  for (const permission of ['*', 'a:*', 'a', '', 'A:B', 'a:b:', 'a b:c'])
    expect(await access.can(ada.id, permission), permission).toBe(false);
  expect(await access.can('nobody', 'a:b')).toBe(false);
  expect(logger.lines.filter((line) => line.level === 'error').length).toBeGreaterThan(0);
  for (const scope of ['doc:throws', 'doc:rejects', 'doc:odd'])
    await expect(access.can(ada.id, 'a:b', scope), scope).rejects.toMatchObject({ code: 'unavailable' });
  await users.suspend(bob.id, 'test', SYSTEM);
  expect(await access.can(bob.id, 'a:b')).toBe(false);
  expect(await access.explain(bob.id, 'a:b')).toMatchObject({ allowed: false });
  expect((await access.usersWith('a:b', 'global')).items.map((user) => user.id)).toEqual([ada.id]);
  await users.delete(bob.id, SYSTEM);
  expect(await access.can(bob.id, 'a:b')).toBe(false);
});

test('a grant ends when its time comes, without anything running', async () => {
  const { authTuna, clock } = await startApp();
  const ada = await authTuna.users.create({ email: 'ada@example.com' });
  const expiresAt = new Date(NOW + 60_000);
  await authTuna.roles.assign(
    { userId: ada.id, role: 'project_member', scope: 'project:1', expiresAt },
    SYSTEM,
  );
  expect(await authTuna.access.can(ada.id, 'project:read', 'project:1')).toBe(true);
  clock.advance({ seconds: 60 });
  expect(await authTuna.access.can(ada.id, 'project:read', 'project:1')).toBe(false);
  expect((await authTuna.access.usersWith('project:read', 'project:1')).items).toEqual([]);
});
