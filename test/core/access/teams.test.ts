import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { as, codeOf, person } from '../../support/people.js';

/** Two teams of an organization, a project of it, and people. */
async function blueTeam() {
  const app = await startApp();
  const { authTuna } = app;
  const { scopes } = authTuna;
  await scopes.register({ id: 'org:acme' }, SYSTEM);
  await scopes.register({ id: 'project:42', parent: 'org:acme' }, SYSTEM);
  await scopes.register({ id: 'team:blue', parent: 'org:acme' }, SYSTEM);
  const owner = await person(app, 'owner', 'org_owner', 'org:acme');
  const lead = await person(app, 'lead', 'team_lead', 'team:blue');
  const mia = await person(app, 'mia');
  const may = (userId: string) => authTuna.access.can(userId, 'project:manage', 'project:42');
  return { ...app, owner, lead, mia, may };
}

test('everybody in a team holds what the team holds, while they are in it and while the team holds it', async () => {
  const { authTuna, clock, owner, mia, may } = await blueTeam();
  const { roles, access, audit } = authTuna;
  const grant = { team: 'blue', role: 'project_admin', scope: 'project:42' };
  await roles.assign(grant, as(owner));
  expect(await may(mia)).toBe(false);
  const joining = { userId: mia, role: 'team_member', scope: 'team:blue' };
  await roles.assign({ ...joining, expiresAt: new Date(clock.now().getTime() + 60_000) }, as(owner));
  expect(await may(mia)).toBe(true);
  expect(await access.hasRole(mia, 'project_admin', 'project:42')).toBe(true);
  expect((await access.explain(mia, 'project:manage', 'project:42')).grants).toEqual([
    { role: 'project_admin', scope: 'project:42', through: 'team', team: 'blue' },
  ]);
  expect(await access.scopesWith(mia, 'project:manage')).toEqual({ all: false, scopes: ['project:42'] });
  expect(await access.whereFor(mia, 'project:manage', { project: 'id' })).toEqual({
    OR: [{ id: { in: ['42'] } }],
  });
  const people = (await access.usersWith('project:manage', 'project:42')).items.map(({ id }) => id);
  expect(people).toContain(mia);
  expect((await roles.usersWith('project_admin', 'project:42')).items.map(({ id }) => id)).toContain(mia);
  clock.advance({ seconds: 61 });
  expect(await may(mia)).toBe(false); // with the membership
  await roles.assign(joining, as(owner));
  expect(await may(mia)).toBe(true);
  await roles.assign({ ...grant, expiresAt: new Date(clock.now().getTime() + 60_000) }, as(owner));
  clock.advance({ seconds: 61 });
  expect(await may(mia)).toBe(false); // with the team's own
  await roles.assign({ ...grant, expiresAt: null }, as(owner));
  expect(await may(mia)).toBe(true);
  expect(await roles.assignmentsOfTeam('blue')).toMatchObject([{ ...grant, expiresAt: null }]);
  await roles.unassign(grant, as(owner));
  expect(await may(mia)).toBe(false);
  expect(await codeOf(roles.unassign(grant, as(owner)))).toBe('not_found');
  expect((await audit.list({ targetId: 'blue', type: 'role.unassigned' })).items).toHaveLength(1);
});

test('whoever cannot give what a team holds cannot put anybody into it, nor invite anybody (I-4)', async () => {
  const { authTuna, owner, lead, mia, may } = await blueTeam();
  const { roles, orgs } = authTuna;
  const joining = { userId: mia, role: 'team_member', scope: 'team:blue' };
  expect(await codeOf(roles.assign(joining, as(lead)))).toBe('done');
  await roles.unassign(joining, as(lead));
  await roles.assign({ team: 'blue', role: 'project_admin', scope: 'project:42' }, as(owner));
  expect(await may(lead)).toBe(true);
  expect(await codeOf(roles.assign(joining, as(lead)))).toBe('forbidden');
  expect(await codeOf(orgs.addMember('team:blue', { userId: mia, role: 'team_member' }, as(lead)))).toBe(
    'forbidden',
  );
  const invitation = { email: 'x@example.com', role: 'team_member' };
  expect(await codeOf(orgs.invite('team:blue', invitation, as(lead)))).toBe('forbidden');
  expect(await roles.assignableBy(as(lead), 'team:blue')).toEqual([]);
  expect(await may(mia)).toBe(false);
  expect(await codeOf(roles.assign(joining, as(owner)))).toBe('done');
  // To take somebody out is to take from them what the team holds: an equal there cannot.
  expect(await codeOf(roles.unassign(joining, as(lead)))).toBe('forbidden');
  expect(await codeOf(orgs.leave('team:blue', as(mia)))).toBe('done');
  expect(await may(mia)).toBe(false);
});

test('a team is given a role by the rule of giving it, and superadmin never', async () => {
  const { authTuna, owner, lead, mia } = await blueTeam();
  const assign = (role: string, scope: string, by: string, team = 'blue') =>
    codeOf(authTuna.roles.assign({ team, role, scope }, as(by)));
  expect(await assign('project_admin', 'project:42', lead)).toBe('forbidden');
  expect(await assign('project_admin', 'project:43', owner)).toBe('forbidden');
  expect(await assign('project_admin', 'org:acme', owner)).toBe('invalid_input');
  expect(await assign('project_admin', 'project:42', owner, 'unknown')).toBe('not_found');
  expect(await assign('nothing', 'project:42', owner)).toBe('not_found');
  const root = await person({ authTuna }, 'root', 'superadmin');
  expect(await assign('superadmin', 'global', root)).toBe('invalid_input');
  expect(await assign('admin', 'global', root)).toBe('done');
  await authTuna.roles.assign({ userId: mia, role: 'team_member', scope: 'team:blue' }, as(root));
  // Rank counts what is held through a team.
  expect(
    await codeOf(authTuna.users.suspend(mia, 'x', as(await person({ authTuna }, 'mod', 'moderator')))),
  ).toBe('forbidden');
});

test('a team that goes takes what it holds with it, and a scope that goes takes what teams hold there', async () => {
  const { authTuna, owner, lead, may } = await blueTeam();
  const { roles, scopes, teams } = authTuna;
  await roles.assign({ team: 'blue', role: 'project_admin', scope: 'project:42' }, as(owner));
  expect(await may(lead)).toBe(true);
  await scopes.remove('project:42', as(owner));
  expect(await roles.assignmentsOfTeam('blue')).toEqual([]);
  await scopes.register({ id: 'project:43', parent: 'org:acme' }, SYSTEM);
  await roles.assign({ team: 'blue', role: 'project_admin', scope: 'project:43' }, as(owner));
  await teams.delete('blue', as(owner));
  expect(await authTuna.access.can(lead, 'project:manage', 'project:43')).toBe(false);
  expect(await roles.assignmentsOfTeam('blue')).toEqual([]);
});

test('who leaves a team loses its roles at once for unsafe requests, and within the bound elsewhere, on every instance (RB-8)', async () => {
  const first = await startApp();
  const second = await startApp({}, { database: first.database, clock: first.clock });
  const { authTuna, clock } = first;
  await authTuna.scopes.register({ id: 'project:42' }, SYSTEM);
  await authTuna.scopes.register({ id: 'team:blue' }, SYSTEM);
  await authTuna.roles.assign({ team: 'blue', role: 'project_member', scope: 'project:42' }, SYSTEM);
  const { user, browser } = await second.signedIn();
  const membership = { userId: user.id, role: 'team_member', scope: 'team:blue' };
  await authTuna.roles.assign(membership, SYSTEM);
  clock.advance({ seconds: 11 });
  const statuses = async () => [
    (await browser.get('/projects/42')).status,
    (await browser.post('/projects/42')).status,
  ];
  expect(await statuses()).toEqual([200, 200]);
  await authTuna.roles.unassign(membership, SYSTEM); // on the other instance
  expect((await browser.post('/projects/42')).status).toBe(403);
  clock.advance({ seconds: 11 });
  expect(await statuses()).toEqual([403, 403]);
  await authTuna.roles.assign(membership, SYSTEM);
  clock.advance({ seconds: 11 });
  expect(await statuses()).toEqual([200, 200]);
  await authTuna.roles.unassign({ team: 'blue', role: 'project_member', scope: 'project:42' }, SYSTEM);
  expect((await browser.post('/projects/42')).status).toBe(403);
  clock.advance({ seconds: 11 });
  expect(await statuses()).toEqual([403, 403]);
});
