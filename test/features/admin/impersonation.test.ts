// Shows that acting as a person ends with the right to it, that people are told of it where the host wants it, and that nobody acts as a program.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { PageVisitor } from '../../support/page-visitor.js';

test('with impersonation.notify the person is mailed that it began, and not by whom; without it no mail leaves (AD-5)', async () => {
  for (const notify of [true, false]) {
    const app = await startMailedApp({ impersonation: { notify } });
    const { user: root, browser } = await app.signedIn('root@example.com');
    await app.authTuna.roles.assign({ userId: root.id, role: 'superadmin', scope: 'global' }, SYSTEM);
    await browser.post('/auth/login', { login: root.email, password: PASSWORD });
    const { user } = await app.signedIn('ada@example.com');
    await app.authTuna.mailer.deliver();
    const path = `/admin/users/${user.id}/impersonate`;
    expect((await browser.stolen().post(path, { reason: 'ticket 4711' })).status).toBe(200);
    await app.authTuna.mailer.deliver();
    const mail = app.mailbox.latestTo(user.email);
    expect([notify, mail?.subject]).toEqual([notify, notify ? 'Support is using your account' : undefined]);
    const text = `${mail?.text} ${mail?.html}`;
    for (const part of ['root@example.com', root.id, '127.0.0.1', 'ticket 4711', 'Firefox'])
      expect([part, text.includes(part)]).toEqual([part, false]);

    const { id: orgId } = await app.authTuna.orgs.create({ name: 'Acme', ownerId: root.id }, SYSTEM);
    const program = await app.authTuna.serviceAccounts.create({ orgId, name: 'ci' }, SYSTEM);
    const answer = await browser.post(`/admin/users/${program.id}/impersonate`, { reason: 'x' });
    expect(answer.status).toBe(409);
  }
});

/** An administrator who acts as a person, and the session that they began it from. */
async function acting(
  app: TestInstance,
  name: string,
): Promise<{ browser: Browser; adminId: string; adaId: string; ownSessionId: string }> {
  const { user: admin, browser } = await app.signedIn(`${name}@admins.example`);
  await app.authTuna.roles.assign({ userId: admin.id, role: 'admin', scope: 'global' }, SYSTEM);
  await browser.post('/auth/login', { login: admin.email, password: PASSWORD });
  const { id: adaId } = await app.authTuna.users.create({ email: `${name}@example.com` });
  const [own] = await app.authTuna.sessions.list(admin.id);
  const begun = await browser.post(`/admin/users/${adaId}/impersonate`, { reason: 'ticket 4711' });
  expect([name, begun.status]).toEqual([name, 200]);
  expect((await browser.get('/me')).status).toBe(200);
  return { browser, adminId: admin.id, adaId, ownSessionId: own?.id ?? '' };
}

test('who loses the right to act as a person is out at the next change, and getting it back revives nothing (AD-5)', async () => {
  const app = await startApp();
  const { roles, sessions, users } = app.authTuna;
  const role = (userId: string, name = 'admin') => ({ userId, role: name, scope: 'global' });
  const losses: Record<string, (of: Awaited<ReturnType<typeof acting>>) => Promise<unknown>> = {
    role: ({ adminId }) => roles.unassign(role(adminId), SYSTEM),
    rank: ({ adaId }) => roles.assign(role(adaId, 'superadmin'), SYSTEM),
    session: ({ ownSessionId }) => sessions.revoke(ownSessionId, SYSTEM),
    suspended: ({ adminId }) => users.suspend(adminId, 'left', SYSTEM),
    deleted: ({ adminId }) => users.delete(adminId, SYSTEM),
    erased: ({ adminId }) => users.erase(adminId, SYSTEM),
  };
  for (const [name, lose] of Object.entries(losses)) {
    const each = await acting(app, name);
    expect((await each.browser.post('/me/x')).status).toBe(200);
    await lose(each);
    const refused = await each.browser.post('/me/x');
    expect([name, refused.status, await refused.json()]).toMatchObject([
      name,
      401,
      { code: 'session_revoked' },
    ]);
    if (name === 'role') await roles.assign(role(each.adminId), SYSTEM);
    expect([name, (await each.browser.get('/me')).status]).toEqual([name, 401]);
    expect(await sessions.list(each.adaId)).toEqual([]);
  }
  const ended = (await app.authTuna.audit.list({ type: 'impersonation.ended' })).items;
  expect(ended.map(({ reason, impersonatorId }) => [reason, typeof impersonatorId])).toEqual(
    ['session', 'rank', 'role'].map(() => ['no_longer_allowed', 'string']),
  );
});

test('a page that is only read knows within `recheckSeconds` that its administrator may act no more (AD-5)', async () => {
  const app = await startApp();
  const ended = await acting(app, 'ended');
  await app.authTuna.sessions.revoke(ended.ownSessionId, SYSTEM);
  const lapsed = await acting(app, 'lapsed');
  const soon = new Date(app.clock.now().getTime() + 15_000);
  const role = { userId: lapsed.adminId, role: 'admin', scope: 'global' };
  await app.authTuna.roles.unassign(role, SYSTEM);
  await app.authTuna.roles.assign({ ...role, expiresAt: soon }, SYSTEM);
  app.clock.advance({ seconds: 10 });
  expect((await ended.browser.get('/me')).status).toBe(401);
  expect((await lapsed.browser.get('/me')).status).toBe(200);
  app.clock.advance({ seconds: 5 });
  expect((await lapsed.browser.get('/me')).status).toBe(401);
});

test('the session that leads back stays alive while its administrator acts (AD-5)', async () => {
  const app = await startApp({ session: { idleSeconds: 600 } });
  const { browser, adminId } = await acting(app, 'admin');
  for (let n = 0; n < 4; n += 1) {
    app.clock.advance({ minutes: 6 });
    expect((await browser.get('/me')).status).toBe(200);
  }
  expect((await browser.post('/admin/impersonation/end')).status).toBe(204);
  expect(await (await browser.get('/me')).json()).toMatchObject({ id: adminId });
});

test('after acting has ended by itself, a page and the route lead back to the own session, as long as that lives (AD-5)', async () => {
  const app = await startApp();
  const { sessions } = app.authTuna;
  const over = await acting(app, 'over');
  for (let n = 0; n < 4; n += 1) {
    await over.browser.get('/me');
    app.clock.advance({ minutes: 8 });
  }
  expect((await over.browser.get('/me')).status).toBe(401);
  const visitor = new PageVisitor(over.browser);
  const page = await visitor.open('/auth/login');
  expect(page.html).toContain('Continue as yourself');
  const back = await visitor.submit(page);
  expect([back.status, back.headers.get('location')]).toEqual([303, '/admin']);
  expect(await (await over.browser.get('/me')).json()).toMatchObject({ id: over.adminId });
  expect((await visitor.open('/account/security')).html).not.toContain('Continue as yourself');

  for (const name of ['ended by the person', 'ended with the own session']) {
    const each = await acting(app, name.replaceAll(' ', '-'));
    for (const { id } of await sessions.list(each.adaId)) await sessions.revoke(id, SYSTEM);
    const isLost = name === 'ended with the own session';
    if (isLost) await sessions.revoke(each.ownSessionId, SYSTEM);
    const answer = await each.browser.post('/admin/impersonation/end');
    expect([name, answer.status]).toEqual([name, isLost ? 401 : 204]);
    expect([name, (await each.browser.get('/me')).status]).toEqual([name, isLost ? 401 : 200]);
    expect([...each.browser.jar.keys()]).not.toContain('at_own');
  }
  expect((await app.browser().post('/admin/impersonation/end')).status).toBe(401);
});

test('a sign-out and a new sign-in while acting leave no way back behind (AD-5)', async () => {
  const app = await startApp();
  const { user: carol } = await app.signedIn('carol@example.com');
  for (const path of ['/auth/logout', '/auth/login']) {
    const { browser, adminId } = await acting(app, path.slice('/auth/'.length));
    const thief = browser.stolen();
    const body = path === '/auth/login' ? { login: carol.email, password: PASSWORD } : undefined;
    expect([path, (await browser.post(path, body)).ok]).toEqual([path, true]);
    expect([path, await app.authTuna.sessions.list(adminId)]).toEqual([path, []]);
    expect((await thief.post('/admin/impersonation/end')).status).toBe(401);
    expect([...browser.jar.keys()]).not.toContain('at_own');
    if (body === undefined) continue;
    const [newest] = await app.authTuna.sessions.list(carol.id);
    expect(newest).toMatchObject({ userId: carol.id, impersonatorId: null });
  }
});
