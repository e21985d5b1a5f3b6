// Links that a number of people may accept: who they let in, and that the number is never exceeded.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { as, codeOf, person } from '../../support/people.js';

async function linking() {
  const app = await startApp();
  const { authTuna } = app;
  const owner = await person(app, 'owner');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const scope = `org:${org.id}`;
  const link = (input: { role?: string; maxUses?: number; expiresInSeconds?: number } = {}, by = owner) =>
    authTuna.orgs.createInvitationLink(scope, { role: 'org_member', maxUses: 3, ...input }, as(by));
  const verified = async (name: string) => {
    const { id } = await authTuna.users.create({ email: `${name}@example.com`, emailVerified: true });
    return id;
  };
  const accept = (token: string, userId: string) => codeOf(authTuna.orgs.acceptInvitation(token, as(userId)));
  return { ...app, owner, org, scope, link, verified, accept };
}

test('of fifty people who accept a link for ten at once, ten are in (IN-3)', async () => {
  const { authTuna, scope, link, verified, accept } = await linking();
  const { token, invitationLink } = await link({ maxUses: 10 });
  const people: string[] = [];
  for (let index = 0; index < 50; index += 1) people.push(await verified(`p${index}`));
  const answers = await Promise.all(people.map((id) => accept(token, id)));
  const known = ['done', 'invalid_token', 'unavailable'];
  expect(answers.filter((answer) => !known.includes(answer))).toEqual([]);
  const passed = answers.filter((answer) => answer === 'done').length;
  // A database under load may turn somebody away for now; never does it let in one too many.
  for (const id of people) await accept(token, id);
  expect(passed).toBeLessThanOrEqual(10);
  expect((await authTuna.orgs.members(scope, { limit: 100 })).items).toHaveLength(11);
  const [listed] = (await authTuna.orgs.listInvitationLinks(scope)).items;
  expect(listed).toEqual({ ...invitationLink, uses: 10 });
  expect((await authTuna.orgs.listInvitationLinks(scope, { isOpen: true })).items).toEqual([]);
  expect(JSON.stringify(listed)).not.toContain(token.slice(token.indexOf('.') + 1));
});

test('accepting again uses nothing up, and one person at once in many windows counts as one (IN-3)', async () => {
  const { authTuna, scope, link, verified, accept, clock } = await linking();
  const { token } = await link({ maxUses: 2 });
  const mia = await verified('mia');
  const answers = await Promise.all(Array.from({ length: 10 }, () => accept(token, mia)));
  expect(answers).toContain('done');
  expect(await accept(token, mia)).toBe('done');
  expect((await authTuna.orgs.listInvitationLinks(scope)).items[0]?.uses).toBe(1);
  // A role that ends is one without an end afterwards.
  const noa = await verified('noa');
  const expiresAt = new Date(clock.now().getTime() + 60_000);
  await authTuna.roles.assign({ userId: noa, role: 'org_member', scope, expiresAt }, SYSTEM);
  expect(await accept(token, noa)).toBe('done');
  clock.advance({ seconds: 61 });
  expect(await authTuna.access.can(noa, 'org:read', scope)).toBe(true);
  expect(await accept(token, await verified('late'))).toBe('invalid_token');
});

test('a link lets nobody in whose address is not verified or not allowed, and ends by time, by revoking and with the right of its maker (IN-1, IN-2)', async () => {
  const { authTuna, org, scope, owner, link, verified, accept, clock } = await linking();
  const first = await link();
  const { id: unverified } = await authTuna.users.create({ email: 'new@example.com' });
  expect(await accept(first.token, unverified)).toBe('email_not_verified');
  expect(await codeOf(authTuna.orgs.acceptInvitation(`${first.token.slice(0, -1)}_`, as(owner)))).toBe(
    'invalid_token',
  );
  await authTuna.orgs.update(org.id, { policy: { allowedEmailDomains: ['acme.example'] } }, as(owner));
  const mia = await verified('mia');
  expect(await accept(first.token, mia)).toBe('conflict');
  await authTuna.orgs.update(org.id, { policy: { allowedEmailDomains: [] } }, as(owner));
  await authTuna.orgs.revokeInvitationLink(first.invitationLink.id, as(owner));
  expect(await accept(first.token, mia)).toBe('invalid_token');
  const second = await link({ expiresInSeconds: 300 });
  clock.advance({ seconds: 301 });
  expect(await accept(second.token, mia)).toBe('invalid_token');

  const admin = await person({ authTuna }, 'admin', 'org_admin', scope);
  const stranger = await person({ authTuna }, 'stranger');
  expect(await codeOf(link({ role: 'org_owner' }, admin))).toBe('forbidden');
  expect(await codeOf(link({}, stranger))).toBe('not_found');
  for (const input of [{ maxUses: 0 }, { maxUses: 1001 }, { maxUses: 1.5 }, { expiresInSeconds: 10 }])
    expect(await codeOf(link(input))).toBe('invalid_input');
  const third = await link({}, admin);
  await authTuna.orgs.removeMember(scope, admin, as(owner));
  expect(await accept(third.token, mia)).toBe('conflict');
  expect(await authTuna.access.can(mia, 'org:read', scope)).toBe(false);
  expect((await authTuna.orgs.listInvitationLinks(scope)).items.map(({ uses }) => uses)).toEqual([0, 0, 0]);
});

test('a link is made, shown once, accepted and ended by JSON and by pages (IN-1)', async () => {
  const app = await linking();
  const { authTuna, org, owner } = app;
  const admin = await app.signedIn();
  await authTuna.roles.assign({ userId: admin.user.id, role: 'org_admin', scope: app.scope }, SYSTEM);
  const made = await admin.browser.post(`/orgs/${org.slug}/invitation-links`, {
    role: 'org_member',
    maxUses: 5,
  });
  expect(made.status).toBe(201);
  const { invitationLink, token, url } = (await made.json()) as Awaited<ReturnType<typeof app.link>>;
  expect(url).toBe(`${app.url}/orgs/invitations/accept?token=${token}`);
  const mia = await app.signedIn();
  expect((await mia.browser.post('/orgs/invitations/accept', { token })).status).toBe(200);
  expect((await app.browser().post('/orgs/invitations/accept', { token })).status).toBe(401);
  const listed = (await (await admin.browser.get(`/orgs/${org.id}/invitation-links`)).json()) as {
    items: object[];
  };
  expect(listed.items).toMatchObject([
    { id: invitationLink.id, uses: 1, maxUses: 5, invitedById: admin.user.id },
  ]);
  expect((await mia.browser.get(`/orgs/${org.id}/invitation-links`)).status).toBe(403);
  expect((await admin.browser.delete(`/orgs/${org.id}/invitation-links/${invitationLink.id}`)).status).toBe(
    204,
  );
  expect((await mia.browser.post('/orgs/invitations/accept', { token })).status).toBe(400);

  const visitor = new PageVisitor(admin.browser);
  const page = await visitor.open(`/orgs/${org.slug}`);
  const shown = await visitor.postFields(`/orgs/${org.slug}/invitation-links`, {
    csrfToken: page.csrfToken,
    role: 'org_member',
    maxUses: '2',
  });
  const [, second = ''] =
    /accept\?token=([\w.-]+)/.exec((await shown.text()).replaceAll('&#x3D;', '=')) ?? [];
  expect(second).not.toBe('');
  const noa = new PageVisitor((await app.signedIn()).browser);
  const offer = await noa.open(`/orgs/invitations/accept?token=${second}`);
  expect(offer.html).toContain('Join Acme');
  expect((await noa.submit(offer)).headers.get('location')).toBe(`/orgs/${org.id}`);
  const stranger = new PageVisitor(app.browser());
  expect((await stranger.open(`/orgs/invitations/accept?token=${second}`)).html).toContain('Sign in');
  expect((await visitor.open(`/orgs/${org.slug}`)).html).toContain('used 1 of 2 times');
  await authTuna.orgs.delete(org.id, as(owner)).catch(() => authTuna.orgs.delete(org.id, SYSTEM));
  expect((await stranger.open(`/orgs/invitations/accept?token=${second}`)).status).toBe(400);
});

test('somebody who was removed does not come back by a link of before, accepted or not; somebody who left may (IN-2)', async () => {
  const { authTuna, owner, scope, link, verified, accept, clock } = await linking();
  const { token } = await link({ maxUses: 10 });
  const [mia, noa, kai] = [await verified('mia'), await verified('noa'), await verified('kai')];
  for (const id of [mia, kai]) expect(await accept(token, id)).toBe('done');
  await authTuna.orgs.addMember(scope, { userId: noa, role: 'org_member' }, as(owner));
  clock.advance({ minutes: 1 });
  for (const id of [mia, noa]) await authTuna.orgs.removeMember(scope, id, as(owner));
  await authTuna.orgs.leave(scope, as(kai));
  for (const id of [mia, noa]) expect(await accept(token, id)).toBe('invalid_token');
  expect(await accept(token, kai)).toBe('done');
  expect(await authTuna.access.can(mia, 'org:read', scope)).toBe(false);
  clock.advance({ minutes: 1 });
  const { token: next } = await link({ maxUses: 10 });
  expect(await accept(next, mia)).toBe('done'); // whoever makes a new one may know
});
