import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Actor, type AuthTuna, SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { as, codeOf } from '../../support/people.js';

/*
 * Who may act on whom, and edit what: every action of the table in docs/access.md, by holders of every kind of role, on holders of every
 * kind of role. What is expected is worked out here from two numbers a role, as the page words it.
 */

const ABOVE_ALL = Number.POSITIVE_INFINITY;

interface Kind {
  /** The rank to act with; everybody holds `user` as well, so 0 where the role gives none. */
  acts: number;
  /** The rank that somebody must be above to act on a holder. */
  ranks: number;
  may: readonly string[];
}

/** Global roles: four that are shipped, and odd ones. */
const KINDS: Readonly<Record<string, Kind>> = {
  superadmin: { acts: 100, ranks: 100, may: ['*'] },
  admin: { acts: 90, ranks: 90, may: ['users:manage', 'sessions:manage', 'roles:assign'] },
  moderator: { acts: 50, ranks: 50, may: ['users:manage', 'sessions:manage'] },
  user: { acts: 0, ranks: 0, may: [] },
  // Everything, without a level.
  root: { acts: 0, ranks: ABOVE_ALL, may: ['*'] },
  // Includes superadmin: without a level, and with a low one.
  cto: { acts: 100, ranks: ABOVE_ALL, may: ['*'] },
  ceo: { acts: 100, ranks: 100, may: ['*'] },
  // A low level around a role that has none.
  envelope: { acts: 5, ranks: ABOVE_ALL, may: [] },
  keeper: {
    acts: 60,
    ranks: 60,
    may: ['users:manage', 'sessions:manage', 'roles:assign', 'roles:manage', 'permissions:manage'],
  },
  clerk: { acts: 50, ranks: 50, may: ['users:manage', 'roles:manage', 'permissions:manage'] },
  plain: { acts: 0, ranks: ABOVE_ALL, may: [] },
};

const ROLES = {
  root: { permissions: ['*'] },
  cto: { includes: ['superadmin'] },
  ceo: { includes: ['superadmin'], level: 5 },
  envelope: { includes: ['plain'], level: 5 },
  keeper: { permissions: ['users:*', 'sessions:*', 'roles:*', 'permissions:*'], level: 60 },
  clerk: { permissions: ['users:*', 'roles:*', 'permissions:*'], level: 50 },
  plain: { permissions: ['doc:read'] },
};

const holds = (kind: Kind, permission: string) => kind.may.includes('*') || kind.may.includes(permission);

const page = readFileSync(new URL('../../../docs/access.md', import.meta.url), 'utf8');
const ACTIONS_OF_PAGE = [...page.matchAll(/^\| `(\w+\.\w+)` \|/gm)].map(([, action]) => action);

/** What the table of the page says of acting on people. */
const ON_PEOPLE: Readonly<
  Record<
    string,
    {
      needs: string;
      /** Without the permission, whether there is such a person is not told. */
      hides?: true;
      act: (authTuna: AuthTuna, id: string, actor: Actor) => Promise<unknown>;
    }
  >
> = {
  'passwords.set': {
    needs: 'users:manage',
    act: ({ passwords }, id, actor) => passwords.set(id, 'a long new password 7', actor),
  },
  'passwords.requireChange': {
    needs: 'users:manage',
    act: ({ passwords }, id, actor) => passwords.requireChange(id, actor),
  },
  'users.update': {
    needs: 'users:manage',
    act: ({ users }, id, actor) => users.update(id, { emailVerified: true }, actor),
  },
  'users.suspend': { needs: 'users:manage', act: ({ users }, id, actor) => users.suspend(id, 'why', actor) },
  'users.unsuspend': {
    needs: 'users:manage',
    act: ({ users }, id, actor) => users.unsuspend(id, 'why', actor),
  },
  'mfa.reset': { needs: 'users:manage', act: ({ mfa }, id, actor) => mfa.reset(id, actor) },
  'sessions.revokeAll': {
    needs: 'sessions:manage',
    hides: true,
    act: ({ sessions }, id, actor) => sessions.revokeAll(id, actor),
  },
  'users.delete': { needs: 'users:manage', act: ({ users }, id, actor) => users.delete(id, actor) },
};

let authTuna: AuthTuna;
let holderOf: Readonly<Record<string, string>>;
let made = 0;

async function newPerson(role: string | null, scope = 'global'): Promise<string> {
  made += 1;
  const { id } = await authTuna.users.create({ email: `person${made}@example.com` });
  if (role !== null) await authTuna.roles.assign({ userId: id, role, scope }, SYSTEM);
  return id;
}

async function start(): Promise<void> {
  ({ authTuna } = await startApp({ permissions: { doc: ['read', 'write'] }, roles: ROLES }));
  const entries = [];
  for (const role of Object.keys(KINDS)) entries.push([role, await newPerson(role)] as const);
  holderOf = Object.fromEntries(entries);
}

test('the table in docs/access.md names every action that is tested here, and no other (RB-5)', () => {
  const tested = [...Object.keys(ON_PEOPLE), ...Object.keys(ON_ROLES), ...Object.keys(ON_PLACES)];
  expect([...ACTIONS_OF_PAGE].sort()).toEqual([...tested].sort());
});

test('a person is acted on by people above them alone, whatever their roles look like (RB-5)', async () => {
  await start();
  const wrong: string[] = [];
  for (const [actorRole, actor] of Object.entries(KINDS))
    for (const [targetRole, target] of Object.entries(KINDS)) {
      const id = await newPerson(targetRole);
      for (const [action, { needs, act, hides }] of Object.entries(ON_PEOPLE)) {
        const isAllowed = holds(actor, needs) && actor.acts > target.ranks;
        const refusal = hides === true && !holds(actor, needs) ? 'not_found' : 'forbidden';
        const answer = await codeOf(act(authTuna, id, as(holderOf[actorRole] as string)));
        if (answer !== (isAllowed ? 'done' : refusal))
          wrong.push(`${action} by ${actorRole} on ${targetRole}: ${answer}`);
      }
    }
  expect(wrong).toEqual([]);
}, 120_000);

/** What the table of the page says of editing roles: each on a role of its own with that level and those inclusions. */
const ON_ROLES: Readonly<
  Record<
    string,
    { needs: readonly string[]; act: (authTuna: AuthTuna, name: string, actor: Actor) => Promise<unknown> }
  >
> = {
  'roles.update': {
    needs: ['roles:manage'],
    act: ({ roles }, name, actor) => roles.update(name, { description: 'x' }, actor),
  },
  'roles.addPermission': {
    needs: ['roles:manage'],
    act: ({ roles }, name, actor) => roles.addPermission(name, 'users:manage', actor),
  },
  'roles.removePermission': {
    needs: ['roles:manage'],
    act: ({ roles }, name, actor) => roles.removePermission(name, 'users:read', actor),
  },
  'roles.disallowAssign': {
    needs: ['roles:manage'],
    act: ({ roles }, name, actor) => roles.disallowAssign(name, 'user', actor),
  },
  'permissions.delete': {
    needs: ['permissions:manage', 'roles:manage'],
    act: async ({ permissions, roles }, name, actor) => {
      const permission = `only:${name.replaceAll('_', '-')}`;
      await permissions.create({ name: permission }, SYSTEM);
      await roles.addPermission(name, permission, SYSTEM);
      return permissions.delete(permission, actor);
    },
  },
  'roles.delete': {
    needs: ['roles:manage'],
    act: ({ roles }, name, actor) => roles.delete(name, actor),
  },
};

/** Roles to edit: by their level, by what they include, and by what includes them. */
const EDITED: Readonly<
  Record<string, { level: number | null; includes?: string[]; ranks: number; includedBy?: number | null }>
> = {
  low: { level: 10, ranks: 10 },
  equal: { level: 50, ranks: 50 },
  high: { level: 95, ranks: 95 },
  unranked: { level: null, ranks: ABOVE_ALL },
  around_superadmin: { level: 10, includes: ['superadmin'], ranks: 100 },
  around_unranked: { level: 10, includes: ['plain'], ranks: ABOVE_ALL },
  within_high: { level: 10, ranks: 95, includedBy: 95 },
  within_unranked: { level: 10, ranks: ABOVE_ALL, includedBy: null },
};

test('a role is edited by people above it and above every role that includes it (RB-4)', async () => {
  await start();
  const wrong: string[] = [];
  const { roles } = authTuna;
  for (const [actorRole, actor] of Object.entries(KINDS))
    for (const [shape, { level, includes = [], ranks, includedBy }] of Object.entries(EDITED)) {
      made += 1;
      const name = `${shape}_${made}`;
      await roles.create({ name, level, includes, permissions: ['users:read'] });
      await roles.allowAssign(name, 'user', SYSTEM);
      if (includedBy !== undefined)
        await roles.create({ name: `outer_${made}`, level: includedBy, includes: [name] });
      // Without a level, a role is edited by people who hold everything, and only where no level is above them.
      const highest = Math.max(level ?? -1, includedBy ?? -1, includes.includes('superadmin') ? 100 : -1);
      const isBelow =
        ranks === ABOVE_ALL ? actor.may.includes('*') && actor.acts > highest : actor.acts > ranks;
      for (const [action, { act, needs }] of Object.entries(ON_ROLES)) {
        const isAllowed = needs.every((permission) => holds(actor, permission)) && isBelow;
        const answer = await codeOf(act(authTuna, name, as(holderOf[actorRole] as string)));
        if (answer !== (isAllowed ? 'done' : 'forbidden'))
          wrong.push(`${action} by ${actorRole} on ${shape}: ${answer}`);
      }
    }
  expect(wrong).toEqual([]);
}, 120_000);

const RUNNING = [
  'org:manage',
  'org:members:invite',
  'org:members:remove',
  'project:manage',
  'project:delete',
  'resource:manage',
];

/** Roles at a place, as actors and as those who hold something there. */
const AT_ORG: Readonly<Record<string, Kind>> = {
  org_owner: {
    acts: 40,
    ranks: 40,
    may: [...RUNNING, 'org:delete', 'roles:assign'],
  },
  org_admin: { acts: 30, ranks: 30, may: RUNNING },
  org_member: { acts: 10, ranks: 10, may: [] },
  closer: {
    acts: 35,
    ranks: 35,
    may: [...RUNNING, 'org:delete', 'roles:assign'],
  },
  stone: {
    acts: 0,
    ranks: ABOVE_ALL,
    may: [...RUNNING, 'org:delete', 'roles:assign'],
  },
};

/** The roles that holders of a role may give, by an edge or by rank with all that they contain. */
const GIVES: Readonly<Record<string, readonly string[]>> = {
  org_owner: ['org_owner', 'org_admin', 'org_member', 'closer'],
  org_admin: ['org_member'],
  org_member: [],
  closer: ['org_member', 'org_admin'],
  stone: [],
};

const ON_PLACES: Readonly<Record<string, true>> = {
  'orgs.invite': true,
  'orgs.removeMember': true,
  'resources.transfer': true,
  'roles.assign': true,
  'roles.unassign': true,
  'scopes.move': true,
  'scopes.remove': true,
};

describe('what is given and taken at a place (RB-4, RB-5)', () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let count = 0;
  const wrong: string[] = [];

  beforeEach(async () => {
    app = await startApp({
      roles: {
        closer: {
          permissions: ['org:*', 'project:*', 'team:*', 'resource:*', 'audit:read', 'roles:assign'],
          level: 35,
          at: ['org'],
        },
        stone: { permissions: ['org:*', 'project:*', 'resource:*', 'roles:assign'], at: ['org'] },
      },
    });
  });

  const give = async (role: string, scope: string) => {
    count += 1;
    const { id } = await app.authTuna.users.create({ email: `p${count}@example.com` });
    await app.authTuna.roles.assign({ userId: id, role, scope }, SYSTEM);
    return id;
  };

  /** An organization of its own for each question, with two people in it. */
  const eachPair = async (
    ask: (at: {
      org: string;
      actor: string;
      other: string;
      actorRole: string;
      otherRole: string;
    }) => Promise<[answer: string, isAllowed: boolean, refusal?: string]>,
  ) => {
    wrong.length = 0;
    for (const actorRole of Object.keys(AT_ORG))
      for (const otherRole of Object.keys(AT_ORG)) {
        count += 1;
        const org = `org:${count}`;
        await app.authTuna.scopes.register({ id: org }, SYSTEM);
        const [actor, other] = [await give(actorRole, org), await give(otherRole, org)];
        const [answer, isAllowed, refusal = 'forbidden'] = await ask({
          org,
          actor,
          other,
          actorRole,
          otherRole,
        });
        if (answer !== (isAllowed ? 'done' : refusal)) wrong.push(`${actorRole} and ${otherRole}: ${answer}`);
      }
    expect(wrong).toEqual([]);
  };
  const kindOf = (role: string) => AT_ORG[role] as Kind;
  const isAbove = (actorRole: string, otherRole: string) => kindOf(actorRole).acts > kindOf(otherRole).ranks;

  test('roles.assign', () =>
    eachPair(async ({ org, actor, actorRole, otherRole }) => {
      const { id } = await app.authTuna.users.create({ email: `new${count}@example.com` });
      const assignment = { userId: id, role: otherRole, scope: org };
      return [
        await codeOf(app.authTuna.roles.assign(assignment, as(actor))),
        GIVES[actorRole]?.includes(otherRole) === true,
      ];
    }));

  test('roles.unassign', () =>
    eachPair(async ({ org, actor, other, actorRole, otherRole }) => [
      await codeOf(app.authTuna.roles.unassign({ userId: other, role: otherRole, scope: org }, as(actor))),
      GIVES[actorRole]?.includes(otherRole) === true && isAbove(actorRole, otherRole),
    ]));

  test('orgs.invite', () =>
    eachPair(async ({ org, actor, actorRole, otherRole }) => [
      await codeOf(
        app.authTuna.orgs.invite(org, { email: `new${count}@example.com`, role: otherRole }, as(actor)),
      ),
      holds(kindOf(actorRole), 'org:members:invite') && GIVES[actorRole]?.includes(otherRole) === true,
    ]));

  test('orgs.removeMember', () =>
    eachPair(async ({ org, actor, other, actorRole, otherRole }) => [
      await codeOf(app.authTuna.orgs.removeMember(org, other, as(actor))),
      holds(kindOf(actorRole), 'org:members:remove') && isAbove(actorRole, otherRole),
    ]));

  test('resources.transfer', () =>
    eachPair(async ({ org, actor, other, actorRole, otherRole }) => {
      const { resources, users } = app.authTuna;
      const resource = await resources.create({ type: 'doc', parent: org, ownerId: other }, SYSTEM);
      const { id: toUserId } = await users.create({ email: `heir${count}@example.com` });
      const answer = await codeOf(resources.transfer(resource.id, { toUserId }, as(actor)));
      const mayManage = holds(kindOf(actorRole), 'resource:manage');
      // A person who may not see a resource is not told that there is one.
      return [answer, mayManage && isAbove(actorRole, otherRole), mayManage ? 'forbidden' : 'not_found'];
    }));

  test('scopes.remove', () =>
    eachPair(async ({ org, actor, actorRole, otherRole }) => [
      await codeOf(app.authTuna.scopes.remove(org, as(actor))),
      holds(kindOf(actorRole), 'org:delete') && isAbove(actorRole, otherRole),
    ]));

  test('scopes.move, by what people lose and by what people gain', async () => {
    // Away from below an organization in which somebody else holds a role.
    await eachPair(async ({ org, actor, actorRole, otherRole }) => {
      const { scopes, roles } = app.authTuna;
      const project = `project:${count}`;
      await scopes.register({ id: project, parent: org }, SYSTEM);
      const to = `org:to${count}`;
      await scopes.register({ id: to }, SYSTEM);
      await roles.assign({ userId: actor, role: actorRole, scope: to }, SYSTEM);
      const answer = await codeOf(scopes.move(project, to, as(actor)));
      // The actor comes along with the own role, which must be one that the actor could have given at the project.
      const mayBring = GIVES[actorRole]?.includes(actorRole) === true;
      return [
        answer,
        holds(kindOf(actorRole), 'project:manage') && isAbove(actorRole, otherRole) && mayBring,
      ];
    });
    // To below an organization in which somebody else holds a role.
    await eachPair(async ({ org, actor, actorRole, otherRole }) => {
      const { scopes, roles } = app.authTuna;
      const [from, project] = [`org:from${count}`, `project:to${count}`];
      await scopes.register({ id: from }, SYSTEM);
      await scopes.register({ id: project, parent: from }, SYSTEM);
      await roles.assign({ userId: actor, role: actorRole, scope: from }, SYSTEM);
      const answer = await codeOf(scopes.move(project, org, as(actor)));
      const mayBring = [actorRole, otherRole].every((role) => GIVES[actorRole]?.includes(role) === true);
      return [answer, holds(kindOf(actorRole), 'project:manage') && mayBring];
    });
  }, 120_000);
});
