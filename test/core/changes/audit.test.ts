import { expect, onTestFinished, test } from 'vitest';
import type { AuditQuery } from '../../../src/core/changes/audit.js';
import { type Actor, SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { freshDatabase, openDatabase } from '../../support/database.js';

const as = (userId: string): Actor => ({ userId, ip: '192.0.2.7', userAgent: 'test' });

test('the log is narrowed by what happened, who did it, to whom, where and when', async () => {
  const { authTuna, clock } = await startApp();
  const { audit } = authTuna;
  const start = clock.now();
  const record = (type: 'user.suspended' | 'role.assigned', actor: string, target: string, scope?: string) =>
    audit.record({
      type,
      actor: as(actor),
      target: { type: 'user', id: target },
      ...(scope !== undefined && { scope }),
      data: { at: clock.now(), n: 1 },
    });
  await record('user.suspended', 'ada', 'bob');
  clock.advance({ seconds: 1 });
  await record('role.assigned', 'ada', 'cleo', 'org:1');
  clock.advance({ seconds: 1 });
  await record('role.assigned', 'bob', 'cleo', 'org:10');
  const found = async (query: AuditQuery) =>
    (await audit.list({ from: start, ...query })).items.map(
      ({ type, actorId, targetId, scope }) => `${type} ${actorId} ${targetId} ${scope}`,
    );
  const [first, second, third] = [
    'user.suspended ada bob null',
    'role.assigned ada cleo org:1',
    'role.assigned bob cleo org:10',
  ];
  expect(await found({})).toEqual([third, second, first]);
  expect(await found({ type: 'role.assigned' })).toEqual([third, second]);
  expect(await found({ actorId: 'ada' })).toEqual([second, first]);
  expect(await found({ targetId: 'cleo', actorId: 'ada' })).toEqual([second]);
  expect(await found({ scope: 'org:1' })).toEqual([second]);
  const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);
  // From is included, to is not, so that days put side by side hold every entry once.
  expect(await found({ from: later(1), to: later(2) })).toEqual([second]);
  expect(await found({ to: later(2) })).toEqual([second, first]);
  expect(await found({ type: 'no.such' })).toEqual([]);
  const [entry] = (await audit.list({ scope: 'org:1' })).items;
  expect(entry).toEqual({
    id: entry?.id,
    at: later(1),
    type: 'role.assigned',
    outcome: 'success',
    reason: null,
    actorId: 'ada',
    impersonatorId: null,
    sessionId: null,
    apiKeyId: null,
    targetType: 'user',
    targetId: 'cleo',
    scope: 'org:1',
    ip: '192.0.2.7',
    userAgent: 'test',
    requestId: null,
    data: { at: later(1).toISOString(), n: 1 },
  });
});

test('the log comes in pages, newest first and each line once, while new lines arrive (AD-4)', async () => {
  const { authTuna, clock } = await startApp();
  const { audit } = authTuna;
  const record = (n: number) =>
    audit.record({ type: 'user.updated', actor: SYSTEM, target: { type: 'user', id: 'ada' }, data: { n } });
  for (let n = 0; n < 7; n += 1) {
    if (n % 2 === 0) clock.advance({ seconds: 1 });
    await record(n);
  }
  const all = (await audit.list({ targetId: 'ada' })).items;
  expect(all).toHaveLength(7);
  expect(all.map(({ at }) => at.getTime())).toEqual(all.map(({ at }) => at.getTime()).sort((a, b) => b - a));
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof audit.list>> = await audit.list({
      targetId: 'ada',
      limit: 3,
      ...(cursor !== null && { cursor }),
    });
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
    clock.advance({ seconds: 1 });
    await record(100);
  } while (cursor !== null);
  expect(seen).toEqual(all.map(({ id }) => id));
  for (const limit of [0, 101, 1.5])
    await expect(audit.list({ limit }), String(limit)).rejects.toMatchObject({ code: 'invalid_input' });
});

test('every column of an entry is one printable line of bounded length, the data among them (AU-3)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { authTuna } = await startApp({}, { database });
  const { audit, roles } = authTuna;
  const hostile = `a\r\nforged\u001b[31m\u2028\u202e\u0085${'x'.repeat(100_000)}`;
  await audit.record({
    type: 'user.updated',
    actor: { userId: null, ip: null, userAgent: hostile, requestId: hostile },
    target: { type: 'user', id: hostile },
    scope: hostile,
    reason: hostile,
    data: { text: hostile, nested: { list: [hostile] }, count: 3, none: null },
  });
  await roles.create({ name: 'editor' });
  await roles.update('editor', { description: hostile.replaceAll('\u0000', '') }, SYSTEM);
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const table = connection.client.auditEntry as unknown as {
    findMany(args: object): Promise<Record<string, unknown>[]>;
  };
  const rows = await table.findMany({ where: { type: { in: ['user.updated', 'role.updated'] } } });
  expect(rows).toHaveLength(2);
  for (const text of rows.flatMap((row) => Object.values(row)).filter((value) => typeof value === 'string')) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    expect(text.length).toBeLessThan(1500);
  }
  const [entry] = (await audit.list({ type: 'user.updated' })).items;
  expect(entry?.data).toMatchObject({ count: 3, none: null });
  expect(entry?.data?.text).toContain('a\\u000d\\u000aforged\\u001b');
});

test('who suspends, lifts and deletes is named with the reason, and a change that was refused leaves no trace', async () => {
  const { users, roles, audit } = (await startApp()).authTuna;
  const { id: moderator } = await users.create({ email: 'moderator@example.com' });
  await roles.assign({ userId: moderator, role: 'moderator', scope: 'global' }, SYSTEM);
  const { id: ada } = await users.create({ email: 'ada@example.com' });
  const { id: admin } = await users.create({ email: 'admin@example.com' });
  await roles.assign({ userId: admin, role: 'admin', scope: 'global' }, SYSTEM);
  await users.suspend(ada, 'spam', as(moderator));
  await users.unsuspend(ada, 'a mistake', as(moderator));
  await users.delete(ada, as(moderator));
  await users.suspend(admin, 'a coup', as(moderator)).catch(() => {});
  const lines = (await audit.list({ actorId: moderator })).items;
  expect(
    lines.map(({ type, targetId, reason, outcome, ip }) => [type, targetId, reason, outcome, ip]).sort(),
  ).toEqual([
    ['user.deleted', ada, null, 'success', '192.0.2.7'],
    ['user.suspended', ada, 'spam', 'success', '192.0.2.7'],
    ['user.unsuspended', ada, 'a mistake', 'success', '192.0.2.7'],
  ]);
});
