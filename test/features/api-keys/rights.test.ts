import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp, type TestInstance } from '../../support/app.js';
import { person } from '../../support/people.js';

const ROLES = { reader: ['doc:read'], editor: ['doc:edit'], chief: ['doc:*'] } as const;
type Role = keyof typeof ROLES;
const CHAINS: Record<string, readonly string[]> = {
  'project:1': ['project:1', 'org:1', 'global'],
  'project:2': ['project:2', 'global'],
};
const PLACES = ['global', 'org:1', 'project:1', 'project:2'];
const PERMISSIONS = ['doc:read', 'doc:edit'];

const grant = fc.record({
  role: fc.constantFrom(...(Object.keys(ROLES) as Role[])),
  scope: fc.constantFrom(...PLACES),
});
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('assign' as const), grant }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('unassign' as const), grant }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('team gets' as const), grant }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('team loses' as const), grant }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('join or leave' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('limited' as const), pick: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unlimited' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), pick: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('suspend' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface ModelKey {
  id: string;
  key: string;
  /** `role scope`, by what each rests on; null for everything that the owner may do. */
  grants: { own: Set<string>; team: Set<string> } | null;
  isRevoked: boolean;
}

/** A colon would begin a parameter of the path. */
const pathOf = (permission: string) => `/${permission.replace(':', '-')}`;

const says = (held: ReadonlySet<string>, permission: string, scope: string) =>
  [...held].some((entry) => {
    const [role = '', at = ''] = entry.split(' ');
    const covers = ROLES[role as Role].some((name) => name === permission || name === 'doc:*');
    return covers && CHAINS[scope]?.includes(at);
  });

test('for random owners, teams, keys and changes, two instances say of every key exactly what its grants and its owner say (AK-3, D2)', async () => {
  const routes: Parameters<typeof startApp>[1] = {
    routes(app, authTuna) {
      for (const permission of PERMISSIONS) {
        const guard = authTuna.requirePermission(permission, { scopeFrom: 'projectId' });
        app.post(`${pathOf(permission)}/:projectId`, guard, (_req, res) => void res.json({}));
      }
    },
  };
  const first = await startApp({}, routes);
  const second = await startApp({}, { ...routes, database: first.database, clock: first.clock });
  const { authTuna } = first;
  for (const [name, permissions] of Object.entries(ROLES)) await authTuna.roles.create({ name, permissions });
  await authTuna.scopes.register({ id: 'org:1' }, SYSTEM);
  await authTuna.scopes.register({ id: 'project:1', parent: 'org:1' }, SYSTEM);
  let people = 0;

  const run = async (steps: readonly Step[]) => {
    people += 1;
    const userId = await person(first, `owner${people}`);
    const team = `t${people}`;
    const membership = { userId, role: 'team_member', scope: `team:${team}` };
    await authTuna.scopes.register({ id: membership.scope }, SYSTEM);
    const held = new Set<string>();
    const teamHolds = new Set<string>();
    let isMember = false;
    const keys: ModelKey[] = [];
    let isSuspended = false;
    for (const [index, change] of steps.entries()) {
      if (change.do === 'assign') {
        await authTuna.roles.assign({ userId, ...change.grant }, SYSTEM);
        held.add(`${change.grant.role} ${change.grant.scope}`);
      } else if (change.do === 'unassign') {
        const entry = `${change.grant.role} ${change.grant.scope}`;
        if (!held.delete(entry)) continue;
        await authTuna.roles.unassign({ userId, ...change.grant }, SYSTEM);
        for (const key of keys) key.grants?.own.delete(entry);
      } else if (change.do === 'team gets') {
        await authTuna.roles.assign({ team, ...change.grant }, SYSTEM);
        teamHolds.add(`${change.grant.role} ${change.grant.scope}`);
      } else if (change.do === 'team loses') {
        const entry = `${change.grant.role} ${change.grant.scope}`;
        if (!teamHolds.delete(entry)) continue;
        await authTuna.roles.unassign({ team, ...change.grant }, SYSTEM);
        for (const key of keys) key.grants?.team.delete(entry);
      } else if (change.do === 'join or leave') {
        isMember = !isMember;
        if (isMember) await authTuna.roles.assign(membership, SYSTEM);
        else {
          await authTuna.roles.unassign(membership, SYSTEM);
          for (const key of keys) key.grants?.team.clear();
        }
      } else if (change.do === 'limited' || change.do === 'unlimited') {
        if (isSuspended) continue;
        const all = new Set([...held, ...(isMember ? teamHolds : [])]);
        const picked =
          change.do === 'unlimited' ? null : [...all].filter((_entry, at) => (change.pick >> (at % 7)) & 1);
        const named = picked?.map((entry) => entry.split(' ')) ?? null;
        const made = await authTuna.apiKeys.create(
          {
            userId,
            name: 'Random',
            ...(named !== null && { grants: named.map(([role = '', scope = '']) => ({ role, scope })) }),
          },
          SYSTEM,
        );
        const among = (entries: ReadonlySet<string>) =>
          new Set(picked?.filter((entry) => entries.has(entry)) ?? []);
        const grants =
          picked === null
            ? null
            : { own: among(held), team: isMember ? among(teamHolds) : new Set<string>() };
        keys.push({ id: made.apiKey.id, key: made.key, grants, isRevoked: false });
      } else if (change.do === 'revoke') {
        const key = keys[change.pick % Math.max(1, keys.length)];
        if (key === undefined) continue;
        await authTuna.apiKeys.revoke(key.id, SYSTEM);
        key.isRevoked = true;
      } else if (isSuspended) {
        await authTuna.users.unsuspend(userId, 'test', SYSTEM);
        isSuspended = false;
      } else {
        await authTuna.users.suspend(userId, 'test', SYSTEM);
        isSuspended = true;
      }
      const app = index % 2 === 0 ? second : first;
      const ownerHolds = new Set([...held, ...(isMember ? teamHolds : [])]);
      for (const key of keys.slice(-3)) await compare(app, key, ownerHolds, isSuspended);
    }
  };
  const compare = async (app: TestInstance, key: ModelKey, held: Set<string>, isSuspended: boolean) => {
    for (const permission of PERMISSIONS) {
      for (const scope of Object.keys(CHAINS)) {
        const path = `${app.url}${pathOf(permission)}/${scope.split(':')[1]}`;
        const { status } = await fetch(path, { method: 'POST', headers: { 'x-api-key': key.key } });
        const isDead = key.isRevoked || isSuspended;
        const grants = key.grants === null ? held : new Set([...key.grants.own, ...key.grants.team]);
        const expected = isDead ? 401 : says(grants, permission, scope) ? 200 : 403;
        expect(status, `${permission} at ${scope}`).toBe(expected);
      }
    }
  };
  const runs = Number(process.env.KEY_RUNS ?? 6);
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 16 }), run), {
    numRuns: runs,
    endOnFailure: true,
  });
});
