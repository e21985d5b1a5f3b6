import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { as, codeOf, person } from '../../support/people.js';

/** An organization that invites by mail. */
async function inviting() {
  const mailbox = new TestMailbox();
  const app = await startApp({ mail: { from: 'App <app@example.com>', transport: mailbox } });
  const { authTuna } = app;
  const owner = await person(app, 'owner');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const scope = `org:${org.id}`;
  const tokenFor = async (email: string) => {
    await authTuna.mailer.deliver();
    const tokens = mailbox.mails
      .filter(({ to }) => to === email)
      .flatMap(({ text }) => /[?&]token=([\w.%-]+)/.exec(text)?.[1] ?? []);
    return decodeURIComponent(tokens.at(-1) ?? '');
  };
  /** A browser signed in as a person whose address is proved. */
  const browserOf = async (email: string) => {
    const user = await authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
    const browser = app.browser();
    await browser.post('/auth/login', { login: email, password: PASSWORD });
    return { user, browser };
  };
  const accept = (browser: Awaited<ReturnType<typeof browserOf>>['browser'], token: string) =>
    browser.post('/orgs/invitations/accept', { token });
  return { ...app, mailbox, owner, org, scope, tokenFor, browserOf, accept };
}

test('only the account whose proved mailbox was invited accepts, by POST; nobody else spends the link (IN-1, D37)', async () => {
  const { authTuna, owner, org, scope, tokenFor, browserOf, accept, browser } = await inviting();
  await authTuna.orgs.invite(scope, { email: 'New@Example.com', role: 'org_admin' }, as(owner));
  const token = await tokenFor('new@example.com');
  expect(token).not.toBe('');
  const other = await browserOf('other@example.com');
  expect((await accept(other.browser, token)).status).toBe(403);
  expect((await accept(browser(), token)).status).toBe(401);
  const { id } = await authTuna.users.create({ email: 'new@example.com', password: PASSWORD });
  expect(await codeOf(authTuna.orgs.acceptInvitation(token, as(id)))).toBe('email_not_verified');
  await authTuna.users.update(id, { emailVerified: true }, SYSTEM);
  const invited = { user: { id }, browser: browser() };
  await invited.browser.post('/auth/login', { login: 'new@example.com', password: PASSWORD });
  expect((await accept(invited.browser, `${token}x`)).status).toBe(400);
  const answer = await accept(invited.browser, token);
  expect({ status: answer.status, body: await answer.json() }).toEqual({
    status: 200,
    body: { scope, role: 'org_admin' },
  });
  expect(await authTuna.access.hasRole(invited.user.id, 'org_admin', scope)).toBe(true);
  expect((await accept(invited.browser, token)).status).toBe(400);
  const list = (await (await invited.browser.get(`/orgs/${org.id}/invitations`)).json()) as {
    items: object[];
  };
  expect(JSON.stringify(list)).not.toContain(token);
  expect(list.items[0]).toMatchObject({ email: 'new@example.com', acceptedAt: expect.any(String) });
});

test('the inviter must be allowed to give the role when it is sent and when it is accepted (IN-2, D6)', async () => {
  const app = await inviting();
  const { authTuna, owner, scope, tokenFor, browserOf, accept } = app;
  const admin = await person(app, 'admin', 'org_admin', scope);
  const member = await person(app, 'member', 'org_member', scope);
  const stranger = await person(app, 'stranger');
  const invite = (role: string, by: string) =>
    codeOf(authTuna.orgs.invite(scope, { email: 'new@example.com', role }, as(by)));
  expect(await invite('superadmin', owner)).toBe('invalid_input');
  expect(await invite('org_owner', admin)).toBe('forbidden');
  expect(await invite('org_member', member)).toBe('forbidden');
  expect(await invite('org_member', stranger)).toBe('not_found');
  expect(await invite('org_member', admin)).toBe('done');
  const token = await tokenFor('new@example.com');
  await authTuna.orgs.setRole(scope, { userId: admin, role: 'org_member' }, as(owner));
  const invited = await browserOf('new@example.com');
  expect((await accept(invited.browser, token)).status).toBe(409);
  expect(await authTuna.access.can(invited.user.id, 'org:read', scope)).toBe(false);
  // Sent again by somebody who may, the same invitation is good again.
  const [open] = (await authTuna.orgs.listInvitations(scope)).items;
  await authTuna.orgs.resendInvitation(open?.id ?? '', as(owner));
  expect((await accept(invited.browser, token)).status).toBe(400);
  expect((await accept(invited.browser, await tokenFor('new@example.com'))).status).toBe(200);
});

test('an invitation to a role that the person holds for a while makes it one without an end (IN-3)', async () => {
  const { authTuna, owner, scope, tokenFor, browserOf, accept, clock } = await inviting();
  const { user, browser } = await browserOf('new@example.com');
  const expiresAt = new Date(clock.now().getTime() + 3_600_000);
  await authTuna.roles.assign({ userId: user.id, role: 'org_member', scope, expiresAt }, SYSTEM);
  await authTuna.orgs.invite(scope, { email: 'new@example.com', role: 'org_member' }, as(owner));
  expect((await accept(browser, await tokenFor('new@example.com'))).status).toBe(200);
  clock.advance({ hours: 2 });
  expect(await authTuna.access.can(user.id, 'org:read', scope)).toBe(true);
});

test('of fifty parallel accepts one makes the membership (IN-3)', async () => {
  const { authTuna, owner, scope, tokenFor, browserOf } = await inviting();
  await authTuna.orgs.invite(scope, { email: 'new@example.com', role: 'org_member' }, as(owner));
  const token = await tokenFor('new@example.com');
  const { user } = await browserOf('new@example.com');
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => codeOf(authTuna.orgs.acceptInvitation(token, as(user.id)))),
  );
  expect(answers.filter((answer) => answer === 'done')).toHaveLength(1);
  expect((await authTuna.orgs.members(scope)).items).toHaveLength(2);
});

test('a link ends by revoking, by a newer one, after seven days, and with the membership (IN-3)', async () => {
  const { authTuna, owner, scope, tokenFor, browserOf, clock } = await inviting();
  const { user } = await browserOf('new@example.com');
  const accept = (token: string) => codeOf(authTuna.orgs.acceptInvitation(token, as(user.id)));
  const invite = async (at = scope, role = 'org_member') => {
    const invitation = await authTuna.orgs.invite(at, { email: 'new@example.com', role }, as(owner));
    return { invitation, token: await tokenFor('new@example.com') };
  };
  const first = await invite();
  const second = await invite();
  expect(await accept(first.token)).toBe('invalid_token');
  await authTuna.orgs.revokeInvitation(second.invitation.id, as(owner));
  expect(await accept(second.token)).toBe('invalid_token');
  const third = await invite();
  clock.advance({ days: 7, seconds: 1 });
  expect(await accept(third.token)).toBe('invalid_token');
  const fourth = await invite();
  expect(await accept(fourth.token)).toBe('done');
  const team = await authTuna.teams.create({ parent: scope, name: 'Blue' }, as(owner));
  const fifth = await invite(`team:${team.id}`, 'team_member');
  await authTuna.orgs.removeMember(scope, user.id, as(owner));
  expect(await accept(fifth.token)).toBe('invalid_token');
});

test('names of organizations and people are inert in the mail (IN-4, D31)', async () => {
  const { authTuna, owner, org, scope, mailbox } = await inviting();
  await authTuna.orgs.update(org.id, { name: '<a href=//e>&"' }, as(owner));
  await authTuna.orgs.invite(
    scope,
    { email: 'new@example.com', role: 'org_member', message: '<b>hi</b>' },
    as(owner),
  );
  await authTuna.mailer.deliver();
  const mail = mailbox.mails.at(-1);
  expect(mail?.html).not.toContain('<a href=//e>');
  expect(mail?.html).not.toContain('<b>hi</b>');
  expect(mail?.text).toContain('<b>hi</b>');
  for (const name of ['x\r\nBcc: e@e.example', 'http://e.example', 'www.e.example'])
    expect(await codeOf(authTuna.orgs.update(org.id, { name }, as(owner)))).toBe('invalid_input');
});

test('an id that no database stores is refused, and stops no process (DB-3)', async () => {
  const { browser } = await (await inviting()).signedIn();
  const answer = await browser.delete('/orgs/nothing/invitations/%00');
  expect(answer.status).toBe(422);
});

test('one person sends a hundred invitations a day, however many organizations they found (IN-4)', async () => {
  const { authTuna, owner } = await inviting();
  const codes: string[] = [];
  for (let index = 0; index < 101; index += 1) {
    const { id } = await authTuna.orgs.create({ name: `Org ${index}`, ownerId: owner }, SYSTEM);
    const input = { email: `p${index}@example.com`, role: 'org_member' };
    codes.push(await codeOf(authTuna.orgs.invite(`org:${id}`, input, as(owner))));
  }
  expect(codes.filter((code) => code === 'done')).toHaveLength(100);
  expect(codes.at(-1)).toBe('rate_limited');
});

test('an organization sends fifty invitations a day, and one mailbox gets five (IN-4)', async () => {
  const { authTuna, owner, scope, mailbox, clock } = await inviting();
  const invite = (email: string) =>
    codeOf(authTuna.orgs.invite(scope, { email, role: 'org_member' }, as(owner)));
  for (let index = 0; index < 8; index += 1) expect(await invite('one@example.com')).toBe('done');
  await authTuna.mailer.deliver();
  expect(mailbox.mails.filter(({ to }) => to === 'one@example.com')).toHaveLength(5);
  for (let index = 0; index < 42; index += 1) expect(await invite(`p${index}@example.com`)).toBe('done');
  expect(await invite('last@example.com')).toBe('rate_limited');
  clock.advance({ days: 2 });
  expect(await invite('last@example.com')).toBe('done');
});
