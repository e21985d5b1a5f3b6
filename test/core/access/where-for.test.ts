// Lists of the host's own table for people with thousands of grants: the filter by a relation is small, right and read by index.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ScopeColumn, SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import type { Statement } from '../../support/host-prisma.js';
import { type HostProject, hostProjects } from '../../support/host-projects.js';
import { fullScansWith } from '../../support/plans.js';
import { storeWorld } from '../../support/stored-world.js';
import { chainIn, oracle, RIGHTS, SCOPES, USERS, type World, worlds } from '../../support/world.js';

const BY_RELATION = { column: 'id', through: 'grants' };
const PROJECTS = 100_000;
const PER_ORG = 1000;

test('of 100,000 projects a person with mixed grants, 10,000 of them single ones, lists the page that can allows, by one query', async () => {
  const { database, prisma, statements } = await hostProjects();
  const { authTuna, clock } = await startApp(
    {
      prisma,
      permissions: { file: ['read'] },
      roles: { reader: { permissions: ['file:read'], at: ['org', 'project', 'team'] } },
      resolveScopes: async (scopes: readonly string[]) => {
        const ids = scopes.filter((scope) => scope.startsWith('project:')).map((scope) => scope.slice(8));
        const rows = await prisma.project.findMany({ where: { id: { in: ids } } });
        return new Map(
          rows.map(({ id, orgId, ownerId }) => [`project:${id}`, { parent: `org:${orgId}`, ownerId }]),
        );
      },
    } as never,
    { database },
  );
  const { access, roles, users, scopes } = authTuna;
  const { id: ada } = await users.create({ email: 'ada@example.com' });
  await roles.addPermission('owner', 'file:read', SYSTEM);
  await scopes.register({ id: 'team:blue' }, SYSTEM);
  for (const scope of ['org:3', 'org:77', 'project:41000', 'team:blue'])
    await roles.assign({ userId: ada, role: 'reader', scope }, SYSTEM);
  await roles.assign({ team: 'blue', role: 'reader', scope: 'project:52000' }, SYSTEM);
  await scopes.register({ id: 'project:99999', ownerId: ada }, SYSTEM);
  const numbers = `WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${PROJECTS - 1})`;
  await prisma.$executeRawUnsafe(
    `INSERT INTO "Project" ("id", "orgId", "ownerId") ${numbers}
     SELECT CAST(n AS text), CAST(n / ${PER_ORG} AS text), CASE WHEN n % 1000 = 7 THEN '${ada}' END FROM numbers`,
  );
  // Given once as usual, and from there as an import would.
  await prisma.$executeRawUnsafe(
    `INSERT INTO "RoleAssignment" ("userId", "roleId", "scope", "assignedAt", "expiresAt") ${numbers}
     SELECT "userId", "roleId", 'project:' || (n * 9 + 2), "assignedAt", NULL
     FROM "RoleAssignment", numbers WHERE "scope" = 'project:41000' AND n < 9999`,
  );
  await prisma.$executeRawUnsafe(
    `INSERT INTO "TeamAssignment" ("teamId", "roleId", "scope", "assignedAt", "expiresAt") ${numbers}
     SELECT "teamId", "roleId", 'project:' || (n * 7 + 1), "assignedAt", NULL
     FROM "TeamAssignment", numbers WHERE "scope" = 'project:52000' AND n BETWEEN 1 AND 2000`,
  );
  await prisma.$executeRawUnsafe('ANALYZE');
  clock.advance({ seconds: 11 });

  const columns = { project: BY_RELATION, org: 'orgId', owner: 'ownerId' };
  const where = await access.whereFor(ada, 'file:read', columns);
  expect(JSON.stringify(where).length).toBeLessThan(2000); // no list of ten thousand
  const idsOf = (rows: readonly HostProject[]) => rows.map(({ id }) => id);
  const isExpected = (n: number) =>
    [3, 77].includes(Math.floor(n / PER_ORG)) ||
    n === 41000 ||
    (n % 9 === 2 && n < 9999 * 9 + 2) ||
    n === 52000 ||
    (n % 7 === 1 && n > 1 && n <= 14_001) ||
    n % 1000 === 7 ||
    n === 99999;
  const expected = Array.from({ length: PROJECTS }, (_, n) => n)
    .filter(isExpected)
    .map(String)
    .sort();
  // Every row at once is no question for SQLite, which asks the view row by row: minutes.
  if (database.dialect === 'postgresql')
    expect(idsOf(await prisma.project.findMany({ where, orderBy: { id: 'asc' } }))).toEqual(expected);
  // Row by row the answer of the decision.
  const sample = Array.from({ length: 1000 }, (_, index) => String((index * 7919) % PROJECTS));
  const listed = new Set(
    idsOf(await prisma.project.findMany({ where: { AND: [where, { id: { in: sample } }] } })),
  );
  const isRight = new Set(expected);
  expect(sample.map((id) => listed.has(id))).toEqual(sample.map((id) => isRight.has(id)));
  const answers = await access.canAll(
    ada,
    sample.map((id) => ({ permission: 'file:read', scope: `project:${id}` })),
  );
  expect(answers).toEqual(sample.map((id) => isRight.has(id)));

  const after = expected[5000];
  statements.length = 0;
  const began = performance.now();
  const page = await prisma.project.findMany({
    where: { AND: [where, { id: { gt: after } }] },
    orderBy: { id: 'asc' },
    take: 50,
  });
  process.stdout.write(`[${database.dialect}] a page of 50: ${(performance.now() - began).toFixed(0)} ms\n`);
  expect(idsOf(page)).toEqual(expected.slice(5001, 5051));
  expect(statements).toHaveLength(1);
  if (database.dialect === 'postgresql')
    expect(await fullScansWith(database.url, statements[0] as Statement)).toEqual([]);
}, 300_000);

test('by a relation whereFor gives the rows for which can says yes, for random worlds', async () => {
  const { database, prisma } = await hostProjects();
  const { authTuna } = await startApp({ prisma } as never, { database });
  const { access } = authTuna;
  await fc.assert(
    fc.asyncProperty(
      worlds({ withStar: true, withTeams: true }),
      fc.constantFrom(...USERS),
      fc.constantFrom(...RIGHTS),
      async (world, userId, permission) => {
        await storeWorld(prisma, world);
        const scopes = SCOPES.filter((scope) => scope.startsWith('project:'));
        await prisma.project.deleteMany({});
        await prisma.project.createMany({ data: scopes.map((scope) => hostRow(world, scope)) });
        const allowed = scopes
          .filter((scope) => oracle(world, userId, permission, scope))
          .map((scope) => scope.slice('project:'.length));
        const choices: Record<string, ScopeColumn>[] = [
          { project: BY_RELATION },
          { project: BY_RELATION, team: 'teamId', org: 'orgId', owner: 'ownerId' },
        ];
        for (const columns of choices) {
          const where = await access.whereFor(userId, permission, columns);
          const rows = await prisma.project.findMany({ where, orderBy: { id: 'asc' } });
          expect(rows.map(({ id }) => id)).toEqual(allowed);
          expect(await prisma.project.findMany({ where: { AND: [where, { id: { in: [] } }] } })).toEqual([]);
        }
      },
    ),
    { numRuns: Math.ceil(Number(process.env.WORLDS ?? 1500) / 25) },
  );
}, 300_000);

function hostRow(world: World, scope: string): HostProject {
  const { scopes } = chainIn(world, scope);
  const nearest = (type: string) => scopes.find((each) => each.startsWith(`${type}:`))?.split(':')[1] ?? null;
  const id = scope.slice('project:'.length);
  return { id, orgId: nearest('org'), teamId: nearest('team'), ownerId: world.owners.get(scope) ?? null };
}
