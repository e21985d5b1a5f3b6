import { expect, test } from 'vitest';
import { type AuthTunaOptions, SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { as, person } from '../../support/people.js';

const NEW = 'new@example.com';

/** An organization whose owner invited a mailbox without an account. */
async function invited(options: Partial<AuthTunaOptions> = {}) {
  const mailbox = new TestMailbox();
  const app = await startApp({ mail: { from: 'App <app@example.com>', transport: mailbox }, ...options });
  const { authTuna } = app;
  const owner = await person(app, 'owner');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const scope = `org:${org.id}`;
  await authTuna.orgs.invite(scope, { email: NEW, role: 'org_admin' }, as(owner));
  await authTuna.mailer.deliver();
  const link = new URL(/https?:\/\/\S+/.exec(mailbox.mails.at(-1)?.text ?? '')?.[0] ?? '');
  const token = link.searchParams.get('token') ?? '';
  const signUp = (body: object, browser = app.browser()) =>
    browser.post('/orgs/invitations/sign-up', { token, password: PASSWORD, ...body });
  return { ...app, mailbox, owner, org, scope, link, token, signUp };
}

test('who signs up from an invitation is confirmed, signed in and in the organization, also where sign-up is closed to strangers (IN-1)', async () => {
  const { authTuna, browser, scope, signUp, mailbox } = await invited({
    signUp: { enabled: false, requireVerifiedEmail: true },
  });
  const newcomer = browser();
  const answer = await signUp({}, newcomer);
  expect(answer.status).toBe(201);
  const { user } = (await answer.json()) as { user: { id: string; email: string; emailVerifiedAt: string } };
  expect(user).toMatchObject({ email: NEW, emailVerifiedAt: expect.any(String) });
  expect((await newcomer.get('/me')).status).toBe(200);
  expect(await authTuna.access.hasRole(user.id, 'org_admin', scope)).toBe(true);
  const { items } = await authTuna.orgs.listInvitations(scope);
  expect(items[0]?.acceptedAt).toBeInstanceOf(Date);
  const facts = (await authTuna.audit.list({ targetId: user.id })).items.map(({ type }) => type);
  expect(facts).toEqual(expect.arrayContaining(['user.created', 'role.assigned']));
  await authTuna.mailer.deliver();
  expect(mailbox.mails.filter(({ to }) => to === NEW).map(({ subject }) => subject)).toHaveLength(2); // the invitation and a welcome
  expect((await signUp({})).status).toBe(400);
});

test('a refused sign-up makes nothing, and the invitation can be tried again (IN-1)', async () => {
  const { authTuna, scope, signUp, owner } = await invited();
  for (const [body, status] of [
    [{ password: 'short' }, 422],
    [{ password: '' }, 422],
    [{ token: 'no such token' }, 400],
    [{ email: 'other@example.com' }, 422],
    [{ role: 'org_owner' }, 422],
  ] as const)
    expect([body, (await signUp(body)).status]).toEqual([body, status]);
  expect(await authTuna.users.findByEmail(NEW)).toBeNull();
  const heir = await authTuna.users.create({ email: 'heir@example.com' });
  await authTuna.roles.assign({ userId: heir.id, role: 'org_owner', scope }, SYSTEM);
  await authTuna.roles.unassign({ userId: owner, role: 'org_owner', scope }, SYSTEM);
  const answer = await signUp({});
  expect([answer.status, await answer.json()]).toEqual([
    409,
    expect.objectContaining({ code: 'conflict', detail: expect.stringContaining('may no longer give') }),
  ]);
  expect(await authTuna.users.findByEmail(NEW)).toBeNull();
  await authTuna.roles.assign({ userId: owner, role: 'org_owner', scope }, SYSTEM);
  expect((await signUp({})).status).toBe(201);
});

test('of twenty sign-ups from one invitation at once one makes the account (IN-1)', async () => {
  const { authTuna, scope, signUp } = await invited({
    rateLimits: { signUp: { limit: 100, windowSeconds: 60 } },
  });
  const statuses = (await Promise.all(Array.from({ length: 20 }, () => signUp({})))).map(
    ({ status }) => status,
  );
  expect(statuses.filter((status) => status === 201)).toHaveLength(1);
  expect(statuses.every((status) => [201, 400, 409, 503].includes(status))).toBe(true);
  expect((await authTuna.orgs.members(scope)).items).toHaveLength(2);
});

test('the page of a link asks a newcomer for a password alone and leads into the organization; a mailbox with an account signs in (IN-1)', async () => {
  const { authTuna, browser, org, link } = await invited();
  const visitor = new PageVisitor(browser());
  const page = await visitor.open(link.pathname + link.search);
  expect(page.html).toContain('/orgs/invitations/sign-up');
  const refused = await visitor.send(page, { password: 'short' });
  expect(refused.status).toBe(422);
  expect(refused.html).toContain('/orgs/invitations/sign-up');
  const joined = await visitor.submit(refused, { password: PASSWORD });
  expect([joined.status, joined.headers.get('location')]).toEqual([303, `/orgs/${org.id}`]);
  expect((await visitor.open(`/orgs/${org.id}`)).html).toContain('Acme');

  const second = await invited();
  await second.authTuna.users.create({ email: NEW, password: PASSWORD, emailVerified: true });
  const known = await new PageVisitor(second.browser()).open(second.link.pathname + second.link.search);
  expect(known.html).not.toContain('/orgs/invitations/sign-up');
  expect(known.html).toContain('There is an account with this address.');
  expect(await authTuna.users.findByEmail(NEW)).not.toBeNull();
});
