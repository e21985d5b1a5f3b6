import { describe, expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp, type TestInstance } from '../../support/app.js';
import { as, codeOf, person } from '../../support/people.js';

/** An organization with an owner, an admin and a member, and a stranger beside it. */
async function acme(app: TestInstance) {
  const { authTuna } = app;
  const owner = await person(app, 'owner');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const scope = `org:${org.id}`;
  const admin = await person(app, 'admin', 'org_admin', scope);
  const member = await person(app, 'member', 'org_member', scope);
  const stranger = await person(app, 'stranger');
  return { org, scope, owner, admin, member, stranger };
}

test('everybody who signed up may found an organization and becomes its owner (D34)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const answer = await browser.post('/orgs', { name: 'Acme & Söhne', metadata: { plan: 'free' } });
  expect(answer.status).toBe(201);
  const org = (await answer.json()) as { id: string; slug: string };
  expect(org).toMatchObject({ name: 'Acme & Söhne', slug: 'acme-sohne', metadata: { plan: 'free' } });
  expect(org).not.toHaveProperty('ownerCount');
  expect(await app.authTuna.access.hasRole(user.id, 'org_owner', `org:${org.id}`)).toBe(true);
  const list = (await (await browser.get('/orgs')).json()) as { items: { id: string }[] };
  expect(list.items.map(({ id }) => id)).toEqual([org.id]);
  const members = (await (await browser.get(`/orgs/${org.slug}/members`)).json()) as { items: object[] };
  expect(members.items).toEqual([
    {
      user: { id: user.id, email: user.email, username: null },
      roles: ['org_owner'],
      since: expect.any(String),
    },
  ]);
  const again = await browser.post('/orgs', { name: 'Another', slug: 'acme-sohne' });
  expect(again.status).toBe(409);
  expect((await browser.post('/orgs', { name: 'Acme & Söhne' })).status).toBe(201); // names are nobody's property (D37)
  expect((await browser.post('/orgs', { name: 'x', slug: 'invitations' })).status).toBe(409);
  for (const name of ['', 'a\r\nb', 'see https://evil.example', '\u202eabc', 'x'.repeat(65)])
    expect((await browser.post('/orgs', { name })).status, name).toBe(422);
});

test('a slug that was replaced leads to its organization for 90 days, and nobody else takes it meanwhile', async () => {
  const app = await startApp();
  const { org, owner, stranger } = await acme(app);
  const { orgs } = app.authTuna;
  await orgs.update(org.id, { slug: 'acme-new' }, as(owner));
  expect((await orgs.findBySlug('acme'))?.id).toBe(org.id);
  expect((await orgs.findBySlug('acme-new'))?.id).toBe(org.id);
  expect(await codeOf(orgs.create({ name: 'Thief', slug: 'acme' }, as(stranger)))).toBe('conflict');
  app.clock.advance({ days: 91 });
  expect(await orgs.findBySlug('acme')).toBeNull();
  const other = await orgs.create({ name: 'Later', slug: 'acme' }, as(stranger));
  expect((await orgs.findBySlug('acme'))?.id).toBe(other.id);
});

describe('rights', () => {
  test('permissions decide, not names of roles: a custom role of an organization works in it (D38)', async () => {
    const app = await startApp();
    const { authTuna } = app;
    const { org, scope, owner, member, stranger } = await acme(app);
    await authTuna.roles.create(
      {
        name: 'recruiter',
        ownedBy: scope,
        level: 15,
        permissions: ['org:read', 'org:members:invite', 'org:members:remove'],
        at: ['org'],
      },
      as(owner),
    );
    await authTuna.orgs.addMember(scope, { userId: member, role: 'recruiter' }, as(owner));
    const add = (role: string) =>
      codeOf(authTuna.orgs.addMember(scope, { userId: stranger, role }, as(member)));
    expect(await add('org_admin')).toBe('forbidden');
    expect(await add('org_owner')).toBe('forbidden');
    expect(await add('superadmin')).toBe('invalid_input'); // never at an organization (D6)
    expect(await add('org_member')).toBe('forbidden'); // nothing lets a recruiter assign it
    expect(await codeOf(authTuna.orgs.update(org.id, { name: 'Mine' }, as(member)))).toBe('forbidden');
  });

  test('an owner of the organization sees, changes and deletes a team that somebody else made (D35)', async () => {
    const app = await startApp();
    const { authTuna } = app;
    const { scope, owner, admin, member } = await acme(app);
    const team = await authTuna.teams.create({ parent: scope, name: 'Blue' }, as(admin));
    expect(await authTuna.access.can(owner, 'team:read', `team:${team.id}`)).toBe(true);
    await authTuna.orgs.addMember(`team:${team.id}`, { userId: member, role: 'team_member' }, as(owner));
    await authTuna.teams.update(team.id, { name: 'Green' }, as(owner));
    expect((await authTuna.teams.get(team.id)).name).toBe('Green');
    await authTuna.teams.delete(team.id, as(owner));
    expect(await authTuna.teams.find(team.id)).toBeNull();
    expect(await authTuna.access.can(member, 'resource:create', `team:${team.id}`)).toBe(false);
  });

  test('whoever leaves or is removed keeps nothing below the organization (D36)', async () => {
    const app = await startApp();
    const { authTuna } = app;
    const { org, scope, owner, admin, member } = await acme(app);
    const project = await authTuna.projects.create({ orgId: org.id, name: 'Sardine' }, as(owner));
    const team = await authTuna.teams.create({ parent: `project:${project.id}`, name: 'Blue' }, as(owner));
    const document = await authTuna.resources.create(
      { type: 'document', parent: `project:${project.id}`, ownerId: member },
      as(owner),
    );
    await authTuna.orgs.addMember(`team:${team.id}`, { userId: member, role: 'team_lead' }, as(owner));
    const held = () =>
      authTuna.access.canAll(member, [
        { permission: 'org:read', scope },
        { permission: 'team:manage', scope: `team:${team.id}` },
        { permission: 'resource:manage', scope: `document:${document.id}` },
      ]);
    expect(await held()).toEqual([true, true, true]);
    await authTuna.orgs.removeMember(scope, member, as(admin));
    expect(await held()).toEqual([false, false, false]);
    expect((await authTuna.resources.get(document.id)).ownerId).toBeNull();
    expect(await codeOf(authTuna.orgs.removeMember(scope, member, as(admin)))).toBe('not_found');
    expect(await codeOf(authTuna.orgs.removeMember(scope, owner, as(admin)))).toBe('forbidden');
    await authTuna.orgs.leave(scope, as(admin));
    expect(await authTuna.access.can(admin, 'org:read', scope)).toBe(false);
  });

  test('deleting an organization takes all that was given in it, and nothing comes back with its name (D37, RB-10)', async () => {
    const app = await startApp();
    const { authTuna } = app;
    const { org, scope, owner, member } = await acme(app);
    const project = await authTuna.projects.create({ orgId: org.id, name: 'Sardine' }, as(owner));
    const team = await authTuna.teams.create({ parent: `project:${project.id}`, name: 'Blue' }, as(owner));
    await authTuna.orgs.addMember(`team:${team.id}`, { userId: member, role: 'team_lead' }, as(owner));
    await authTuna.roles.create({ name: 'own', ownedBy: scope, level: 1 }, as(owner));
    expect(await codeOf(authTuna.scopes.remove(scope, as(owner)))).toBe('conflict');
    expect(await codeOf(authTuna.scopes.move(`project:${project.id}`, null, SYSTEM))).toBe('conflict');
    await authTuna.orgs.delete(org.id, as(owner));
    for (const user of [owner, member]) {
      expect((await authTuna.roles.assignmentsOf(user)).map(({ scope: at }) => at)).toEqual(['global']);
      expect(await authTuna.access.can(user, 'team:manage', `team:${team.id}`)).toBe(false);
    }
    expect(await authTuna.projects.find(project.id)).toBeNull();
    expect(await authTuna.roles.find('own', scope)).toBeNull();
    const again = await authTuna.orgs.create({ name: 'Acme' }, as(owner));
    expect(again.slug).toBe('acme');
    expect(await authTuna.access.can(member, 'org:read', `org:${again.id}`)).toBe(false);
    expect(await codeOf(authTuna.scopes.register({ id: scope }, as(owner)))).toBe('conflict');
  });

  test('two owners: one cannot delete the organization under the other, and hands it over instead', async () => {
    const app = await startApp();
    const { authTuna } = app;
    const { org, scope, owner, admin, stranger } = await acme(app);
    await authTuna.orgs.setRole(scope, { userId: admin, role: 'org_owner' }, as(owner));
    expect(await codeOf(authTuna.orgs.delete(org.id, as(owner)))).toBe('forbidden');
    expect(await codeOf(authTuna.orgs.transfer(org.id, { toUserId: stranger }, as(owner)))).toBe('conflict');
    await authTuna.orgs.transfer(org.id, { toUserId: admin }, as(owner));
    expect(await authTuna.access.hasRole(owner, 'org_owner', scope)).toBe(false);
    expect(await authTuna.access.hasRole(owner, 'org_admin', scope)).toBe(true);
    await authTuna.orgs.delete(org.id, as(admin));
    expect(await authTuna.orgs.find(org.id)).toBeNull();
  });
});

test('one of fifty owners stays, whatever leaves, demotions and deletions of accounts arrive at once', async () => {
  const app = await startApp();
  const { authTuna } = app;
  const first = await person(app, 'first');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(first));
  const scope = `org:${org.id}`;
  const owners = [first];
  for (let index = 0; index < 11; index += 1) owners.push(await person(app, `o${index}`, 'org_owner', scope));
  // 48 attempts by 12 owners, each in four ways.
  const attempts = owners.flatMap((owner) => [
    codeOf(authTuna.orgs.leave(scope, as(owner))),
    codeOf(authTuna.roles.unassign({ userId: owner, role: 'org_owner', scope }, as(owner))),
    codeOf(authTuna.orgs.setRole(scope, { userId: owner, role: 'org_member' }, SYSTEM)),
    codeOf(authTuna.users.delete(owner, SYSTEM)),
  ]);
  const answers = await Promise.all(attempts);
  const known = ['done', 'conflict', 'not_found', 'forbidden', 'unavailable'];
  expect(answers.filter((answer) => !known.includes(answer))).toEqual([]);
  const left = (await authTuna.access.usersWith('org:delete', scope)).items;
  expect(left.length).toBe(1);
  const [last] = left;
  expect(await codeOf(authTuna.orgs.leave(scope, as(last?.id ?? '')))).toBe('conflict');
  expect(await codeOf(authTuna.users.delete(last?.id ?? '', SYSTEM))).toBe('conflict');
  expect(await codeOf(authTuna.orgs.removeMember(scope, last?.id ?? '', SYSTEM))).toBe('conflict');
});
