import { expect, onTestFinished, test } from 'vitest';
import { MODELS } from '../../src/db/client.js';
import { createAuthTuna, SYSTEM } from '../../src/index.js';
import { PASSWORD, SECRET, type TestInstance } from '../support/app.js';
import { openDatabase } from '../support/database.js';
import { enrolTotp } from '../support/factors.js';
import { startMailedApp } from '../support/mailed-app.js';

// What an earlier authentication library got wrong in and around its administration; docs/requirements.md lists the defects.

async function everyRow({ database }: TestInstance): Promise<string> {
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const tables = connection.client as unknown as Record<
    string,
    { findMany(args: object): Promise<unknown[]> }
  >;
  const rows = await Promise.all(MODELS.map(({ model }) => tables[model]?.findMany({})));
  return JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value));
}

test('no password, mailed token, code, seed or cookie stands in a table in clear, the audit log among them (D30, AU-2)', async () => {
  const app = await startMailedApp();
  const { browser, user } = await app.signedIn('ada@example.com');
  const { secret, recoveryCodes } = await enrolTotp(app, browser);
  await app.browser().post('/auth/forgot-password', { email: user.email });
  const text = (await app.mailTo(user.email)).text;
  const token = /token=([\w.-]+)/.exec(text)?.[1] ?? '';
  expect(token.length).toBeGreaterThan(20);
  await app.browser().get(`/auth/reset-password?token=${token}`);
  await app.browser().post('/auth/reset-password', { token: `${token}x`, newPassword: PASSWORD });
  const rows = await everyRow(app);
  const secretPart = token.split('.').at(-1) ?? token;
  for (const canary of [
    PASSWORD,
    secretPart,
    secret,
    recoveryCodes[0] ?? '-',
    browser.jar.get('at_sess') ?? '-',
  ])
    expect([canary.slice(0, 6), rows.includes(canary)]).toEqual([canary.slice(0, 6), false]);
});

test('an option that is misspelled or too weak stops the start, and nothing is read from the environment (D45)', () => {
  const options = { baseUrl: 'http://localhost:3000', secrets: [SECRET] };
  const start = (more: object) => () => createAuthTuna({ ...options, ...more } as typeof options);
  expect(start({ sessions: {} })).toThrow(/sessions: is not an option/);
  expect(start({ audit: { retentionDay: 1 } })).toThrow(/audit\.retentionDay: is not an option/);
  expect(start({ privacy: { deletionGraceDays: 900 } })).toThrow(/privacy\.deletionGraceDays/);
  expect(start({ secrets: ['x'] })).toThrow(/secrets/);
  process.env.AUTHTUNA_BASE_URL = 'https://elsewhere.example';
  onTestFinished(() => {
    delete process.env.AUTHTUNA_BASE_URL;
  });
  expect(() => createAuthTuna({ secrets: [SECRET] } as unknown as typeof options)).toThrow(
    /baseUrl: is missing/,
  );
});

test('a change by an administrator is heard with id, actor and address, and a user who was created in code is complete (D47, D48)', async () => {
  const app = await startMailedApp();
  const heard: { type: string; actor: string | null; ip: string | null; target: string | null }[] = [];
  app.authTuna.on('*', ({ type, actor, target }) => {
    heard.push({ type, actor: actor.userId, ip: actor.ip, target: target?.id ?? null });
  });
  const { browser, user: root } = await app.signedIn('root@example.com');
  await app.authTuna.roles.assign({ userId: root.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  const ada = await app.authTuna.users.create({
    email: 'ada@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  expect((await app.authTuna.roles.assignmentsOf(ada.id)).map(({ role }) => role)).toEqual(['user']);
  const acts: [string, object | undefined, string][] = [
    [`/admin/users/${ada.id}/suspend`, { reason: 'spam' }, 'user.suspended'],
    [`/admin/users/${ada.id}/unsuspend`, {}, 'user.unsuspended'],
    [`/admin/users/${ada.id}/verify`, {}, 'user.updated'],
    [`/admin/users/${ada.id}/password-reset`, {}, 'password.change_required'],
    [`/admin/users/${ada.id}/factors-reset`, {}, 'factor.reset_requested'],
    [`/admin/users/${ada.id}/assignments`, { role: 'moderator', scope: 'global' }, 'role.assigned'],
    [`/admin/users/${ada.id}/erase`, {}, 'user.erased'],
  ];
  for (const [path, body, type] of acts) {
    heard.length = 0;
    expect([path, (await browser.post(path, body)).ok]).toEqual([path, true]);
    expect(heard).toContainEqual({ type, actor: root.id, ip: '127.0.0.1', target: ada.id });
    const entries = (await app.authTuna.audit.list({ type, targetId: ada.id, actorId: root.id })).items;
    expect([type, entries.length]).toEqual([type, 1]);
  }
});
