// Shows that an act upon several people is previewed, done to those below the actor alone, and recorded for each.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { person } from '../../support/people.js';

async function moderator(app: TestInstance) {
  const { user, browser } = await app.signedIn('moderator@example.com');
  await app.authTuna.roles.assign({ userId: user.id, role: 'moderator', scope: 'global' }, SYSTEM);
  await browser.post('/auth/login', { login: user.email, password: PASSWORD });
  return { id: user.id, browser };
}

test('a preview names who is affected and who is left out; the act does just that, and each is recorded (AD-3)', async () => {
  const app = await startApp();
  const { id: self, browser } = await moderator(app);
  const [ada, bob] = [await person(app, 'ada'), await person(app, 'bob')];
  const root = await person(app, 'root', 'superadmin');
  const users = [ada, bob, ada, root, self, 'nobody', 'a b'];
  const query = new URLSearchParams([
    ['action', 'suspend'],
    ...users.map((id): [string, string] => ['users', id]),
  ]);
  const preview = await browser.get(`/admin/bulk?${query}`);
  const refused = [
    { id: root, email: 'root@example.com', code: 'forbidden' },
    { id: self, email: 'moderator@example.com', code: 'conflict' },
    { id: 'nobody', email: null, code: 'not_found' },
    { id: 'a b', email: null, code: 'not_found' },
  ];
  expect([preview.status, await preview.json()]).toEqual([
    200,
    {
      action: 'suspend',
      affected: [expect.objectContaining({ id: ada }), expect.objectContaining({ id: bob })],
      refused,
    },
  ]);
  expect((await app.authTuna.users.get(ada)).suspendedAt).toBeNull();

  expect((await browser.post('/admin/bulk', { action: 'suspend', users })).status).toBe(422);
  const answer = await browser.post('/admin/bulk', { action: 'suspend', users, reason: 'spam' });
  expect([answer.status, await answer.json()]).toEqual([
    200,
    { action: 'suspend', done: [ada, bob], refused },
  ]);
  for (const id of [ada, bob]) {
    expect(await app.authTuna.users.get(id)).toMatchObject({ suspendedReason: 'spam' });
    expect((await app.authTuna.audit.list({ type: 'user.suspended', targetId: id })).items).toMatchObject([
      { actorId: self, reason: 'spam' },
    ]);
  }
  expect(await app.authTuna.users.get(root)).toMatchObject({ suspendedAt: null });
  for (const [action, type] of [
    ['unsuspend', 'user.unsuspended'],
    ['end_sessions', 'session.revoked'],
    ['password_reset', 'password.change_required'],
    ['delete', 'user.deleted'],
    ['erase', 'user.erased'],
  ] as const) {
    if (action === 'end_sessions') await app.authTuna.sessions.create(ada, ['pwd'], SYSTEM);
    const done = await browser.post('/admin/bulk', { action, users: [ada, root] });
    expect([action, await done.json()]).toEqual([
      action,
      { action, done: [ada], refused: refused.slice(0, 1) },
    ]);
    if (action !== 'end_sessions')
      expect((await app.authTuna.audit.list({ type, targetId: ada })).items).toHaveLength(1);
  }
  for (const body of [
    { action: 'promote', users: [bob] },
    { action: 'delete', users: [] },
    { action: 'delete', users: Array.from({ length: 51 }, () => bob) },
    { action: 'delete', users: [bob], other: 1 },
  ])
    expect([body.action, (await browser.post('/admin/bulk', body)).status]).toEqual([body.action, 422]);
});

test('by form, without a script: people are ticked, the preview asks for a reason, and what was left out is told', async () => {
  const app = await startApp();
  const { browser } = await moderator(app);
  const visitor = new PageVisitor(browser);
  const [ada, root] = [await person(app, 'ada'), await person(app, 'root', 'superadmin')];
  const list = await visitor.open('/admin/users');
  expect(list.html).toContain(`name="users" value="${ada}"`);
  const address = `/admin/bulk?users=${ada}&users=${root}&action=suspend`;
  const preview = await visitor.open(address);
  expect(preview.html).toMatch(/<bdi>root@example\.com<\/bdi>[^\n]*ranks as high as you/);
  const csrfToken = / name="csrfToken" value="([^"]+)"/.exec(preview.html)?.[1] ?? '';
  const form = `/admin/bulk?returnTo=${encodeURIComponent(address)}`;
  expect(preview.html).toContain('action="/admin/bulk?returnTo=');
  const fields = { csrfToken, action: 'suspend', users: ada };
  const refused = await visitor.postFields(form, fields);
  expect([refused.status, (await refused.text()).includes('Please fill this in.')]).toEqual([422, true]);
  app.clock.advance({ minutes: 11 });
  const late = await visitor.postFields(form, { ...fields, reason: 'spam' });
  const stepUp = new URL(late.headers.get('location') ?? '', app.url);
  expect([late.status, stepUp.pathname]).toEqual([303, '/auth/step-up']);
  expect(stepUp.searchParams.get('returnTo')).toBe(`${address}&confirmed=again`);
  await browser.post('/auth/login', { login: 'moderator@example.com', password: PASSWORD });
  const again = await visitor.open(`${address}&confirmed=again`);
  const token = / name="csrfToken" value="([^"]+)"/.exec(again.html)?.[1] ?? '';
  const done = await visitor.postFields(form, { ...fields, csrfToken: token, reason: 'spam' });
  expect([done.status, done.headers.get('location')]).toEqual([303, '/admin/users?done=bulk']);
  expect(await app.authTuna.users.get(ada)).toMatchObject({ suspendedReason: 'spam' });
});
