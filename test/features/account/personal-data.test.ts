import { expect, onTestFinished, test } from 'vitest';
import { MODELS } from '../../../src/db/client.js';
import type { DatabaseConnection } from '../../../src/db/connection.js';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { openDatabase } from '../../support/database.js';
import { enrolTotp } from '../../support/factors.js';
import { startMailedApp, tokenIn } from '../../support/mailed-app.js';
import { PageVisitor, toldBy } from '../../support/page-visitor.js';
import { as, codeOf, person } from '../../support/people.js';

interface History {
  items: { type: string; outcome: string; isOwn: boolean; ip: string | null; device: string | null }[];
  nextCursor: string | null;
}

const historyOf = async (app: TestInstance, userId: string) =>
  (await app.authTuna.account.history(userId)).items;

/** Every row of every table, as text. */
async function everything({ database }: TestInstance): Promise<Map<string, string>> {
  const connection: DatabaseConnection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const tables = connection.client as unknown as Record<
    string,
    { findMany(args: object): Promise<unknown[]> }
  >;
  const texts = new Map<string, string>();
  for (const { model } of MODELS) {
    const rows = (await tables[model]?.findMany({})) ?? [];
    texts.set(
      model,
      JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    );
  }
  return texts;
}

test('the history shows own sign-ins with the device, and what others did without saying who or from where', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const admin = await person(app, 'admin', 'admin');
  await browser.post('/auth/login', { login: user.email, password: 'wrong wrong wrong' });
  await app.authTuna.users.suspend(user.id, 'a secret reason', { ...as(admin), ip: '192.0.2.99' });
  await app.authTuna.users.unsuspend(user.id, 'another', as(admin));
  const items = await historyOf(app, user.id);
  const of = (type: string) => items.find((item) => item.type === type);
  expect(of('user.signed_in')).toMatchObject({ isOwn: true, ip: '127.0.0.1', device: 'Firefox on Linux' });
  expect(of('user.sign_in_failed')).toMatchObject({ isOwn: true, outcome: 'failure' });
  expect(of('user.suspended')).toMatchObject({ isOwn: false, ip: null, device: null });
  const text = JSON.stringify(items);
  for (const part of [admin, '192.0.2.99', 'secret reason']) expect(text).not.toContain(part);
  // What somebody did to others is theirs, not a line of their own account.
  expect((await historyOf(app, admin)).some(({ type }) => type === 'user.suspended')).toBe(false);
});

test('over HTTP the history is a list for a script and a page for a browser, page by page', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  for (let n = 0; n < 4; n += 1) {
    app.clock.advance({ seconds: 1 });
    await app.browser().post('/auth/login', { login: user.email, password: PASSWORD });
  }
  const first = (await (await browser.get('/account/history?limit=3')).json()) as History;
  expect(first.items).toHaveLength(3);
  const second = (await (
    await browser.get(`/account/history?limit=3&cursor=${first.nextCursor}`)
  ).json()) as History;
  expect(second.items.length).toBeGreaterThan(1);
  const page = await new PageVisitor(browser).open('/account/history');
  expect(page.status).toBe(200);
  expect(page.html).toContain('Signed in');
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'other=1'])
    expect([query, (await browser.get(`/account/history?${query}`)).status]).toEqual([query, 422]);
  expect((await app.browser().get('/account/history')).status).toBe(401);
});

test("the export holds the person's own data, and neither a secret nor somebody else (PR-3)", async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  await enrolTotp(app, browser);
  const admin = await person(app, 'admin', 'admin');
  await app.authTuna.scopes.register({ id: 'org:1' }, SYSTEM);
  await app.authTuna.roles.assign({ userId: user.id, role: 'org_member', scope: 'org:1' }, as(admin));
  const answer = await browser.get('/account/export');
  expect([answer.status, answer.headers.get('content-disposition')]).toEqual([
    200,
    'attachment; filename="account.json"',
  ]);
  const text = await answer.text();
  expect(JSON.parse(text)).toMatchObject({
    version: 1,
    user: { id: user.id, email: user.email },
    parts: {
      secondFactors: { totp: true },
      roles: expect.arrayContaining([expect.objectContaining({ scope: 'org:1' })]),
    },
  });
  const tables = await everything(app);
  const secrets = ['password', 'totp', 'recoveryCode'].flatMap((model) =>
    (JSON.parse(tables.get(model) ?? '[]') as Record<string, string>[]).map(
      (row) => row.hash ?? row.sealed ?? '',
    ),
  );
  expect(secrets.length).toBeGreaterThan(2);
  for (const secret of [...secrets, admin, 'admin@example.com', 'salt']) expect(text).not.toContain(secret);
  expect((await app.authTuna.audit.list({ type: 'user.exported' })).items).toHaveLength(1);
  app.clock.advance({ minutes: 11 });
  expect((await browser.get('/account/export')).status).toBe(401);
  const stranger = await person(app, 'stranger');
  expect(await codeOf(app.authTuna.account.exportData(user.id, as(stranger)))).toBe('forbidden');
  expect(await codeOf(app.authTuna.account.exportData(user.id, as(admin)))).toBe('done');
});

test('an account is erased after the days of grace, and its owner can take it back until then (PR-1)', async () => {
  const app = await startMailedApp({ privacy: { deletionGraceDays: 7 } });
  const { browser, user } = await app.signedIn('leaver@example.com');
  const asked = await browser.post('/account/deletion');
  expect(asked.status).toBe(202);
  const { effectiveAt } = (await asked.json()) as { effectiveAt: string };
  expect(new Date(effectiveAt).getTime() - app.clock.now().getTime()).toBe(7 * 86_400_000);
  expect((await browser.post('/account/deletion')).status).toBe(409);
  expect((await browser.get('/me')).status).toBe(200); // it works until then
  await app.authTuna.mailer.deliver();
  expect(app.mailbox.latestTo(user.email)?.text).toContain('/account/data');
  expect((await browser.delete('/account/deletion')).status).toBe(204);
  expect((await browser.delete('/account/deletion')).status).toBe(404);
  app.clock.advance({ days: 8 });
  expect(await app.authTuna.jobs.run('account.deletions')).toBe('0 erased');

  await app.authTuna.account.requestDeletion(user.id, as(user.id));
  app.clock.advance({ days: 6 });
  expect(await app.authTuna.jobs.run('account.deletions')).toBe('0 erased');
  app.clock.advance({ days: 2 });
  expect(await app.authTuna.jobs.run('account.deletions')).toBe('1 erased');
  expect(await app.authTuna.users.findByEmail(user.email)).toBeNull();
});

test('only the owner asks for it or takes it back, and the last superadmin is refused (PR-1, RB-7)', async () => {
  const app = await startApp();
  const { account, roles } = app.authTuna;
  const ada = await person(app, 'ada');
  const root = await person(app, 'root', 'superadmin');
  expect(await codeOf(account.requestDeletion(ada, as(root)))).toBe('forbidden');
  expect(await codeOf(account.requestDeletion(ada, { ...as(ada), impersonatorId: root }))).toBe('forbidden');
  expect(await codeOf(account.cancelDeletion(ada, as(root)))).toBe('forbidden');
  expect(await codeOf(account.requestDeletion(root, as(root)))).toBe('conflict');
  expect(await codeOf(account.erase(root, SYSTEM))).toBe('conflict');
  await roles.assign({ userId: ada, role: 'superadmin', scope: 'global' }, SYSTEM);
  expect(await codeOf(account.erase(root, as(root)))).toBe('done');
  expect(await codeOf(account.erase(ada, SYSTEM))).toBe('conflict');
});

test('of fifty attempts at once to erase two superadmins one stays (RB-7)', async () => {
  const app = await startApp();
  const people = [await person(app, 'ada', 'superadmin'), await person(app, 'bob', 'superadmin')];
  await Promise.all(
    Array.from({ length: 50 }, (_, n) =>
      codeOf(app.authTuna.account.erase(people[n % 2] ?? '', SYSTEM)).catch(() => {}),
    ),
  );
  const left = await Promise.all(people.map((id) => app.authTuna.users.find(id)));
  expect(left.filter((user) => user !== null)).toHaveLength(1);
});

test('nothing of an erased account is left but its id in the audit log; the address begins anew (PR-1, PR-2, D29)', async () => {
  const app = await startMailedApp();
  const { browser, user } = await app.signedIn('leaver@example.com');
  await app.authTuna.users.update(user.id, { username: 'leaver' }, SYSTEM);
  await enrolTotp(app, browser);
  await app.browser().post('/auth/forgot-password', { email: user.email });
  await app.authTuna.scopes.register({ id: 'project:1', ownerId: user.id }, SYSTEM);
  const other = await person(app, 'other');
  await app.authTuna.roles.assign({ userId: user.id, role: 'admin', scope: 'global' }, SYSTEM);
  await app.authTuna.roles.assign({ userId: other, role: 'moderator', scope: 'global' }, as(user.id));
  expect(await app.authTuna.access.can(user.id, 'resource:manage', 'project:1')).toBe(true);

  await app.authTuna.account.erase(user.id, SYSTEM);
  expect((await browser.get('/me')).status).toBe(401);
  for (const [model, text] of await everything(app)) {
    for (const trace of [user.email, 'leaver', ...(model === 'auditEntry' ? [] : [user.id])])
      expect([model, trace, text.includes(trace)]).toEqual([model, trace, false]);
  }
  const { user: again } = await app.signedIn(user.email);
  expect(again.id).not.toBe(user.id);
  expect(await app.authTuna.access.can(again.id, 'resource:manage', 'project:1')).toBe(false);
  expect((await app.authTuna.roles.assignmentsOf(again.id)).map(({ role }) => role)).toEqual(['user']);
  expect((await app.authTuna.roles.assignmentsOf(other)).map(({ role }) => role).sort()).toEqual([
    'moderator',
    'user',
  ]);
});

test('the page asks for it and takes it back without a script', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  const visitor = new PageVisitor(browser);
  const page = await visitor.open('/account/data');
  expect(page.html).toContain('href="/account/export"');
  const fields = { csrfToken: page.csrfToken };
  const asked = await visitor.postFields('/account/deletion', fields);
  expect([asked.status, asked.headers.get('location')]).toEqual([303, '/account/data']);
  const waiting = await visitor.open('/account/data');
  expect(waiting.html).toContain('action="/account/deletion/cancel"');
  const marked = 'Your account is marked for deletion. You can still keep it.';
  expect(toldBy(waiting)).toEqual(['Your data', marked]);
  expect((await visitor.postFields('/account/deletion/cancel', fields)).status).toBe(303);
  const kept = await visitor.open('/account/data');
  expect(toldBy(kept)).toEqual(['Your data', 'Your account stays as it is.']);
  expect(await app.authTuna.account.deletionAt(user.id)).toBeNull();
  const forged = await visitor.postFields('/account/deletion', { csrfToken: 'forged' });
  expect(forged.status).toBe(403);
});

test('the last owner of an organization is not erased, and a deletion that was asked for waits for another owner (PR-1)', async () => {
  const app = await startApp();
  const { account, orgs, roles, users, jobs } = app.authTuna;
  const { browser, user } = await app.signedIn('founder@example.com');
  const { id: orgId } = await orgs.create({ name: 'Org' }, as(user.id));
  const asked = await browser.post('/account/deletion');
  expect([asked.status, await asked.json()]).toMatchObject([409, { code: 'conflict', orgId }]);
  expect(await codeOf(account.requestDeletion(user.id, as(user.id)))).toBe('conflict');
  expect(await codeOf(users.erase(user.id, SYSTEM))).toBe('conflict');

  const second = await person(app, 'second');
  const ownership = { role: 'org_owner', scope: `org:${orgId}` };
  await roles.assign({ userId: second, ...ownership }, SYSTEM);
  await account.requestDeletion(user.id, as(user.id));
  await roles.unassign({ userId: second, ...ownership }, SYSTEM);
  app.clock.advance({ days: 31 });
  expect(await jobs.run('account.deletions')).toBe('0 erased');
  await roles.assign({ userId: second, ...ownership }, SYSTEM);
  expect(await jobs.run('account.deletions')).toBe('1 erased');
  // Erased with its count: the second owner is the last one now.
  expect(await codeOf(roles.unassign({ userId: second, ...ownership }, SYSTEM))).toBe('conflict');
  expect(await codeOf(users.erase(second, SYSTEM))).toBe('conflict');
});

test('no link to a former address, no stopped removal of factors and no invitation is left of an erased person (PR-1)', async () => {
  const app = await startMailedApp();
  const { browser, user } = await app.signedIn('leaver@example.com');
  const founder = await person(app, 'founder');
  const { id: orgId } = await app.authTuna.orgs.create({ name: 'Org' }, as(founder));
  const invitation = { email: user.email, role: 'org_member', message: 'Dear leaver' };
  await app.authTuna.orgs.invite(`org:${orgId}`, invitation, as(founder));
  expect((await browser.post('/auth/change-email', { newEmail: 'moved@example.com' })).status).toBe(202);
  const confirm = tokenIn(await app.mailTo('moved@example.com'), '/auth/change-email/confirm');
  expect((await browser.post('/auth/change-email/confirm', { token: confirm })).status).toBe(200);
  await enrolTotp(app, browser);
  const undo = tokenIn(await app.mailTo(user.email), '/auth/change-email/undo');
  expect((await app.browser().post('/auth/change-email/undo', { token: undo })).status).toBe(200);
  const before = (await everything(app)).get('oneTimeToken');
  for (const subject of [`undo ${user.id}`, `hold ${user.id}`]) expect(before).toContain(subject);

  await app.authTuna.account.erase(user.id, SYSTEM);
  for (const [model, text] of await everything(app)) {
    for (const trace of ['leaver', 'moved@', ...(model === 'auditEntry' ? [] : [user.id])])
      expect([model, trace, text.includes(trace)]).toEqual([model, trace, false]);
  }
});

test('the invitation of a mailbox is not lost with an account that never proved it (PR-1)', async () => {
  const app = await startApp();
  const { orgs, users } = app.authTuna;
  const founder = await person(app, 'founder');
  const { id: orgId } = await orgs.create({ name: 'Org' }, as(founder));
  await orgs.invite(`org:${orgId}`, { email: 'ada@example.com', role: 'org_member' }, as(founder));
  await users.erase(await person(app, 'ada'), SYSTEM);
  const { items } = await orgs.listInvitations(`org:${orgId}`, { isOpen: true });
  expect(items).toMatchObject([{ email: 'ada@example.com' }]);
});

test('a person ends the own account in person: no key does, nobody who acts as them, and not before a due new password (PR-1)', async () => {
  const app = await startApp(
    {},
    {
      routes(host, authTuna) {
        host.post('/leave/:how', async (req, res) => {
          const { account, users } = authTuna;
          const { actor } = req.auth;
          const id = actor.userId ?? '';
          await (req.params.how === 'erase' ? account.erase(id, actor) : users.delete(id, actor));
          res.json({});
        });
      },
    },
  );
  const { account, apiKeys, passwords, users } = app.authTuna;
  const { browser, user } = await app.signedIn();
  const { key } = await apiKeys.create({ userId: user.id, name: 'x' }, SYSTEM);
  for (const how of ['erase', 'delete']) {
    const headers = { authorization: `Bearer ${key}` };
    expect((await fetch(`${app.url}/leave/${how}`, { method: 'POST', headers })).status).toBe(403);
  }
  const borrowed = { ...as(user.id), impersonatorId: 'x' };
  expect(await codeOf(account.erase(user.id, borrowed))).toBe('forbidden');
  expect(await codeOf(account.requestDeletion(user.id, { ...as(user.id), apiKeyId: 'x' }))).toBe('forbidden');
  await passwords.requireChange(user.id, SYSTEM);
  expect((await browser.post('/leave/erase')).status).toBe(403);
  await users.get(user.id);
  await account.erase(user.id, as(user.id));
  expect(await users.find(user.id)).toBeNull();
});
