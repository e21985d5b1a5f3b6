// The pages of projects and teams, without scripts: who sees them, and what their forms do.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { as } from '../../support/people.js';

test('the page of a team shows its people and does what the visitor may do, and nobody else finds it (RB-9)', async () => {
  const app = await startMailedApp();
  const { authTuna } = app;
  const owner = await app.signedIn('owner@example.com');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner.user.id));
  const project = await authTuna.projects.create({ orgId: org.id, name: 'Sardine' }, as(owner.user.id));
  const team = await authTuna.teams.create(
    { parent: `project:${project.id}`, name: 'Blue' },
    as(owner.user.id),
  );
  const mia = await app.signedIn('mia@example.com');
  const scope = `team:${team.id}`;
  await authTuna.roles.assign({ userId: mia.user.id, role: 'team_member', scope }, SYSTEM);
  const visitor = new PageVisitor(owner.browser);
  expect((await visitor.open(`/orgs/${org.slug}`)).html).toContain(`/orgs/acme/projects/${project.id}`);
  expect((await visitor.open(`/orgs/${org.slug}/projects/${project.id}`)).html).toContain(
    `/teams/${team.id}`,
  );
  const address = `/orgs/${org.slug}/teams/${team.id}`;
  const { html, csrfToken } = await visitor.open(address);
  for (const part of [
    'Blue',
    'mia@example.com',
    `${address}/invitations`,
    `${address}/settings`,
    `${address}/delete`,
  ])
    expect(html).toContain(part);
  const post = async (path: string, fields: Record<string, string> = {}) => {
    const answer = await visitor.postFields(address + path, { csrfToken, ...fields });
    return [answer.status, answer.headers.get('location')];
  };

  expect(await post('/invitations', { email: 'new@example.com', role: 'team_member' })).toEqual([
    303,
    address,
  ]);
  expect((await app.mailTo('new@example.com')).text).toContain('Acme');
  expect(await post(`/members/${mia.user.id}/role`, { role: 'team_lead' })).toEqual([303, address]);
  expect(await authTuna.access.hasRole(mia.user.id, 'team_lead', scope)).toBe(true);
  expect(await post('/settings', { name: 'Navy' })).toEqual([303, address]);
  expect((await authTuna.teams.get(team.id)).name).toBe('Navy');
  // A refusal shows the page of the team again, not the one of the organization.
  const refused = await visitor.postFields(`${address}/invitations`, {
    csrfToken,
    email: 'x',
    role: 'team_member',
  });
  expect(refused.status).toBe(422);
  expect(await refused.text()).toContain(`${address}/settings`);

  await authTuna.orgs.setRole(scope, { userId: mia.user.id, role: 'team_member' }, SYSTEM);
  app.clock.advance({ seconds: 11 });
  const asMember = await new PageVisitor(mia.browser).open(`/orgs/${org.id}/teams/${team.id}`);
  expect(asMember.status).toBe(200);
  expect(asMember.html).not.toMatch(/\/(invitations|settings|delete|role|remove)"/);
  // Leaving is offered to people with something of their own to give up, and not to an organization's last owner.
  const ann = await app.signedIn('ann@example.com');
  await authTuna.roles.assign({ userId: ann.user.id, role: 'org_admin', scope: `org:${org.id}` }, SYSTEM);
  const fromAbove = new PageVisitor(ann.browser);
  const leave = (page: { html: string }) => /action="[^"]*\/leave"/.test(page.html);
  expect([
    leave(asMember),
    leave(await fromAbove.open(address)),
    leave(await fromAbove.open('/orgs/acme')),
    leave(await visitor.open('/orgs/acme')),
  ]).toEqual([true, false, true, false]);
  const stranger = new PageVisitor((await app.signedIn('stranger@example.com')).browser);
  for (const path of [address, `/orgs/acme/projects/${project.id}`, '/orgs/acme/teams/none'])
    expect((await stranger.open(path)).status).toBe(404);

  expect(await post(`/members/${mia.user.id}/remove`)).toEqual([303, address]);
  expect((await authTuna.orgs.members(scope)).items).toEqual([]);
  expect(await post('/delete')).toEqual([303, '/orgs/acme']);
  expect(await authTuna.teams.find(team.id)).toBeNull();
});

test('a form whose session has ended leads through the sign-in to the page on which it stood', async () => {
  const app = await startMailedApp();
  const { authTuna } = app;
  const owner = await app.signedIn('owner@example.com');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner.user.id));
  const { id } = await authTuna.projects.create({ orgId: org.id, name: 'Sardine' }, as(owner.user.id));
  const visitor = new PageVisitor(owner.browser);
  const { csrfToken } = await visitor.open('/orgs/acme');
  await authTuna.sessions.revokeAll(owner.user.id, SYSTEM);
  const leadsTo = async (address: string) => {
    const answer = await visitor.postFields(address, { csrfToken });
    expect(answer.status).toBe(401);
    const [, place] = /login\?returnTo&#x3D;([^"]+)/.exec(await answer.text()) ?? [];
    return decodeURIComponent(place ?? '');
  };
  expect(await leadsTo('/orgs')).toBe('/orgs');
  expect(await leadsTo('/orgs/acme/settings')).toBe('/orgs/acme');
  expect(await leadsTo('/orgs/acme/projects')).toBe('/orgs/acme');
  expect(await leadsTo(`/orgs/acme/projects/${id}/settings`)).toBe(`/orgs/acme/projects/${id}`);
});
