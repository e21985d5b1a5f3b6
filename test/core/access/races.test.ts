import { expect, onTestFinished, test } from 'vitest';
import { type AuthTuna, SYSTEM } from '../../../src/index.js';
import { startAcme } from '../../support/acme.js';
import { startApp } from '../../support/app.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase, openDatabase } from '../../support/database.js';
import { as, codeOf, person } from '../../support/people.js';

// RACES=40 is the long form.
const ROUNDS = Number(process.env.RACES ?? 8);

/** Two instances over one database, as two processes have it. */
async function twoInstances() {
  const app = await startApp({ permissions: { doc: ['read'] } });
  const other = await startApp(
    { permissions: { doc: ['read'] } },
    { database: app.database, clock: app.clock },
  );
  return { app, here: app.authTuna, there: other.authTuna };
}

const isFree = async ({ scopes }: AuthTuna, id: string) => (await scopes.ancestorsOf(id)).at(-1) === 'global';

test('no two changes of the tree that meet close a circle, and one of them is done (RB-8)', async () => {
  const { here, there } = await twoInstances();
  for (let round = 0; round < ROUNDS; round += 1) {
    const [a, b] = [`org:a${round}`, `org:b${round}`];
    const registered = await Promise.all([
      codeOf(here.scopes.register({ id: a, parent: b }, SYSTEM)),
      codeOf(there.scopes.register({ id: b, parent: a }, SYSTEM)),
    ]);
    expect(registered.sort(), `round ${round}`).toEqual(['conflict', 'done']);
    expect([await isFree(here, a), await isFree(here, b)]).toEqual([true, true]);

    const [c, d] = [`org:c${round}`, `org:d${round}`];
    await here.scopes.register({ id: c }, SYSTEM);
    const met = await Promise.all([
      codeOf(here.scopes.move(c, d, SYSTEM)),
      codeOf(there.scopes.register({ id: d, parent: c }, SYSTEM)),
    ]);
    expect(met.sort(), `round ${round}`).toEqual(['conflict', 'done']);
    expect([await isFree(here, c), await isFree(here, d)]).toEqual([true, true]);
  }
});

test('many who register at once below one place all get in (RB-8)', async () => {
  const { here, there } = await twoInstances();
  await here.scopes.register({ id: 'org:1' }, SYSTEM);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      codeOf((index % 2 ? here : there).scopes.register({ id: `project:${index}`, parent: 'org:1' }, SYSTEM)),
    ),
  );
  expect(answers).toEqual(Array(20).fill('done'));
});

test('a script takes a node out of a circle that was written into the table by hand (RB-8)', async () => {
  const { app, here } = await twoInstances();
  await here.scopes.register({ id: 'org:1' }, SYSTEM);
  await here.scopes.register({ id: 'project:1', parent: 'org:1' }, SYSTEM);
  const connection = await openDatabase(app.database);
  await connection.client.scopeNode.update({ where: { id: 'org:1' }, data: { parentId: 'project:1' } });
  await connection.close();
  here.scopes.changed('org:1');
  expect(await codeOf(here.scopes.ancestorsOf('project:1'))).toBe('conflict');
  expect(await codeOf(here.scopes.move('org:1', null, SYSTEM))).toBe('done');
  expect(await here.scopes.ancestorsOf('project:1')).toEqual(['org:1', 'global']);
});

test('a move is refused where the deepest scope below would be beyond sixteen levels (RB-8)', async () => {
  const { authTuna } = await startApp();
  const { scopes } = authTuna;
  const line = (name: string, length: number) => Array.from({ length }, (_, index) => `n:${name}${index}`);
  for (const ids of [line('a', 10), line('b', 7)])
    for (const [index, id] of ids.entries())
      await scopes.register({ id, parent: ids[index - 1] ?? null }, SYSTEM);
  expect(await codeOf(scopes.move('n:b0', 'n:a9', SYSTEM))).toBe('conflict');
  expect(await codeOf(scopes.move('n:b0', 'n:a8', SYSTEM))).toBe('done');
  expect(await scopes.ancestorsOf('n:b6')).toHaveLength(16);
  expect(await codeOf(scopes.register({ id: 'n:late', parent: 'n:b6' }, SYSTEM))).toBe('conflict');
});

test('an assignment that meets the removal of its scope does not survive it (RB-10)', async () => {
  const { app, here, there } = await twoInstances();
  const ada = await person(app, 'ada');
  for (let round = 0; round < ROUNDS; round += 1) {
    const scope = `org:${round}`;
    await here.scopes.register({ id: scope }, SYSTEM);
    const [assigned, removed] = await Promise.all([
      codeOf(here.roles.assign({ userId: ada, role: 'org_member', scope }, SYSTEM)),
      codeOf(there.scopes.remove(scope, SYSTEM)),
    ]);
    expect(removed).toBe('done');
    expect(['done', 'conflict']).toContain(assigned);
  }
  // Where the assignment came after the removal, the scope was no row and hangs below global like any name.
  for (const { scope } of await here.roles.assignmentsOf(ada))
    if (scope !== 'global') expect(await codeOf(here.scopes.remove(scope, SYSTEM)), scope).toBe('not_found');
  expect((await here.roles.assignmentsOf(ada)).filter(({ scope }) => scope !== 'global')).toEqual([]);
});

test('a role that is deleted while it is assigned, included, edited or named is not found or in conflict (RB-4)', async () => {
  const { app, here, there } = await twoInstances();
  const ada = await person(app, 'ada');
  const meeting: readonly ((role: string, outer: string) => Promise<unknown>)[] = [
    (role) => here.roles.assign({ userId: ada, role, scope: 'global' }, SYSTEM),
    (role) => here.roles.assign({ userId: ada, role, scope: 'org:1' }, SYSTEM),
    (role, outer) => here.roles.update(outer, { includes: [role] }, SYSTEM),
    (role) => here.roles.update(role, { level: 7 }, SYSTEM),
    (role) => here.roles.addPermission(role, 'doc:read', SYSTEM),
    (role) => here.roles.removePermission(role, 'users:read', SYSTEM),
    (role, outer) => here.roles.allowAssign(outer, role, SYSTEM),
    (role) => here.roles.create({ name: `${role}x`, includes: [role] }, SYSTEM),
  ];
  for (const [index, meet] of meeting.entries())
    for (let round = 0; round < ROUNDS; round += 1) {
      const [role, outer] = [`r${index}_${round}`, `o${index}_${round}`];
      await here.roles.create({ name: role, level: 5, permissions: ['users:read'] });
      await here.roles.create({ name: outer, level: 6 });
      const [met, deleted] = await Promise.all([
        codeOf(meet(role, outer)),
        codeOf(there.roles.delete(role, SYSTEM)),
      ]);
      expect(['done', 'not_found', 'conflict'], `${index}`).toContain(met);
      expect(['done', 'conflict'], `${index}`).toContain(deleted);
    }
});

test('a role that is given while its holder is removed, which the remover does not outrank, is not taken (RB-5)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const there = await startApp({}, { database });
  let meanwhile = async (): Promise<void> => {};
  const here = await startApp(
    {
      prisma: new Proxy(client, {
        get(target, name) {
          const value = Reflect.get(target, name);
          if (name !== '$transaction') return typeof value === 'function' ? value.bind(target) : value;
          return async (batch: never) => {
            const first = meanwhile;
            meanwhile = async () => {};
            await first();
            return target.$transaction(batch);
          };
        },
      }),
    },
    { database, clock: there.clock },
  );
  const { orgs, roles } = there.authTuna;
  const { id: ownerId } = await there.authTuna.users.create({ email: 'owner@example.com' });
  const { id } = await orgs.create({ name: 'Acme', ownerId }, SYSTEM);
  const scope = `org:${id}`;
  const eve = await person(there, 'eve', 'org_admin', scope);
  const bo = await person(there, 'bo', 'org_member', scope);
  meanwhile = () => roles.assign({ userId: bo, role: 'org_admin', scope }, SYSTEM).then(() => {});
  expect(await codeOf(here.authTuna.orgs.removeMember(scope, bo, as(eve)))).toBe('done');
  const held = (await roles.assignmentsOf(bo)).filter((row) => row.scope === scope);
  expect(held.map(({ role }) => role)).toEqual(['org_admin']);
});

test('an assignment whose end is changed while it is taken away is done or not held (RB-4)', async () => {
  const { app, here, there } = await twoInstances();
  const ada = await person(app, 'ada');
  for (let round = 0; round < ROUNDS; round += 1) {
    const held = { userId: ada, role: 'org_member', scope: `org:${round}` };
    await here.roles.assign(held, SYSTEM);
    const expiresAt = new Date(app.clock.now().getTime() + 60_000);
    const [changed, taken] = await Promise.all([
      codeOf(here.roles.assign({ ...held, expiresAt }, SYSTEM)),
      codeOf(there.roles.unassign(held, SYSTEM)),
    ]);
    expect(['done', 'not_found', 'conflict']).toContain(changed);
    expect(['done', 'conflict']).toContain(taken);
  }
});

test('the last person who holds superadmin, by whatever role, stays: by unassigning, editing or deleting the role (RB-7)', async () => {
  const app = await startApp();
  const { roles, users } = app.authTuna;
  await roles.create({ name: 'cto', level: 5, includes: ['superadmin'] });
  const only = await person(app, 'only', 'cto');
  const unassign = () => codeOf(roles.unassign({ userId: only, role: 'cto', scope: 'global' }, SYSTEM));
  const later = new Date(app.clock.now().getTime() + 60_000);
  const attempts = {
    unassign,
    'give it an end': () =>
      codeOf(roles.assign({ userId: only, role: 'cto', scope: 'global', expiresAt: later }, SYSTEM)),
    'take superadmin out of the role': () => codeOf(roles.update('cto', { includes: [] }, SYSTEM)),
    'delete the role': () => codeOf(roles.delete('cto', SYSTEM)),
    suspend: () => codeOf(users.suspend(only, 'why', SYSTEM)),
    delete: () => codeOf(users.delete(only, SYSTEM)),
  };
  for (const [what, attempt] of Object.entries(attempts)) expect(await attempt(), what).toBe('conflict');
  const second = await person(app, 'second', 'superadmin');
  expect(await attempts['take superadmin out of the role']()).toBe('done');
  expect(await codeOf(users.suspend(second, 'why', SYSTEM))).toBe('conflict');
  expect(await codeOf(roles.update('cto', { includes: ['superadmin'] }, SYSTEM))).toBe('done');
  expect(await codeOf(users.suspend(second, 'why', SYSTEM))).toBe('done');
  expect(await unassign()).toBe('conflict');
});

test('the scope of a connection, and one that the host gives to somebody later, cannot be taken by registering its name (RB-8)', async () => {
  const acme = await startAcme();
  const mallory = await person(acme, 'mallory'); // everybody may found an organization
  expect(await codeOf(acme.authTuna.scopes.register({ id: 'org:acme' }, as(mallory)))).toBe('conflict');

  const table = new Map<string, string>();
  const app = await startApp({
    resolveScope: async (scope) => (table.has(scope) ? { ownerId: table.get(scope) as string } : null),
  });
  const squatter = await person(app, 'squatter');
  const owner = await person(app, 'owner');
  const { scopes, access } = app.authTuna;
  await scopes.register({ id: 'org:2', ownerId: squatter }, as(squatter));
  expect(await access.can(squatter, 'resource:manage', 'org:2')).toBe(true);
  table.set('org:2', owner);
  scopes.changed('org:2');
  expect(await access.can(owner, 'resource:manage', 'org:2')).toBe(true);
  expect(await access.can(squatter, 'resource:manage', 'org:2')).toBe(false);
});

test('a resolver that never answers is a refusal within seconds, not a request that hangs (RB-8, DO-1)', async () => {
  const app = await startApp({ resolveScope: () => new Promise(() => {}) });
  const ada = await person(app, 'ada');
  expect(await codeOf(app.authTuna.access.can(ada, 'doc:read', 'project:1'))).toBe('unavailable');
});
