import { expect, onTestFinished, test } from 'vitest';
import type { PrismaLike } from '../../../src/db/client.js';
import { type Actor, type AuthTuna, SYSTEM } from '../../../src/index.js';
import { SECRET, startApp, type TestInstance } from '../../support/app.js';
import { openDatabase } from '../../support/database.js';

const ADA: Actor = { userId: 'ada', ip: '192.0.2.7', userAgent: 'test' };

/** The log as somebody sees it who can write to the database and knows no secret. */
interface Tables {
  auditEntry: Table;
  auditSeal: Table;
}
interface Table {
  findMany(args: object): Promise<Row[]>;
  update(args: object): Promise<unknown>;
  create(args: object): Promise<unknown>;
  deleteMany(args: object): Promise<unknown>;
}
type Row = Record<string, unknown> & { id: string; at: Date };

async function insider({ database }: TestInstance): Promise<Tables> {
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  return connection.client as PrismaLike as unknown as Tables;
}

/** Entries of one user, one each second, or all at one moment. */
async function write(app: TestInstance, count: number, secondsApart = 1): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    if (secondsApart > 0) app.clock.advance({ seconds: secondsApart });
    await app.authTuna.audit.record({ type: 'document.published', actor: ADA, data: { n } });
  }
}

async function seal(app: TestInstance): Promise<string> {
  app.clock.advance({ seconds: 61 });
  return app.authTuna.jobs.run('audit.seal');
}

const own = async (tables: Tables): Promise<Row[]> =>
  (await tables.auditEntry.findMany({
    where: { type: 'document.published' },
    orderBy: [{ at: 'asc' }],
  })) as Row[];

const verify = (authTuna: AuthTuna) => authTuna.audit.verify();

test('entries are sealed once they are a minute old, in one chain, and verify counts them (AU-4)', async () => {
  const app = await startApp();
  await write(app, 3);
  await app.authTuna.jobs.run('audit.seal'); // of the entries from when the database was made
  const before = await verify(app.authTuna);
  expect(await app.authTuna.jobs.run('audit.seal')).toBe('0 entries sealed');
  expect(await seal(app)).toBe('3 entries sealed');
  const first = await verify(app.authTuna);
  expect(before).toMatchObject({ ok: true });
  await write(app, 2);
  await seal(app);
  const second = await verify(app.authTuna);
  expect(first).toMatchObject({ ok: true });
  expect(second).toMatchObject({ ok: true });
  if (first.ok && second.ok) expect(second.entries - first.entries).toBe(2);
  const tables = await insider(app);
  const seals = await tables.auditSeal.findMany({ orderBy: { number: 'asc' } });
  expect(seals.map(({ number }) => number)).toEqual([1, 2, 3]);
  expect(seals[2]?.previous).toBe(seals[1]?.mac);
});

test('an entry that was edited, deleted, inserted or moved is named (AU-4)', async () => {
  const app = await startApp();
  await write(app, 6);
  await seal(app);
  const tables = await insider(app);
  const rows = await own(tables);
  const [, second, third, fourth] = rows as [Row, Row, Row, Row];
  const expectFault = async (firstBad: string, reason: string) =>
    expect(await verify(app.authTuna)).toEqual({ ok: false, firstBad, reason });
  const set = (id: string, data: object) => tables.auditEntry.update({ where: { id }, data });

  for (const column of ['type', 'outcome', 'actorId', 'targetId', 'scope', 'ip', 'reason', 'data']) {
    await set(third.id, { [column]: 'another' });
    await expectFault(third.id, 'edited');
    await set(third.id, { [column]: third[column] });
  }
  // The facts of two entries change places, their ids and times stay.
  await set(second.id, { data: third.data });
  await set(third.id, { data: second.data });
  await expectFault(second.id, 'edited');
  await set(second.id, { data: second.data });
  await set(third.id, { data: third.data });
  // Two entries change places in time.
  await set(second.id, { at: third.at });
  await set(third.id, { at: second.at });
  await expectFault(second.id, 'reordered');
  await set(second.id, { at: second.at });
  await set(third.id, { at: third.at });
  // One is moved in front of another.
  await set(fourth.id, { at: new Date(second.at.getTime() - 1) });
  await expectFault(fourth.id, 'reordered');
  await set(fourth.id, { at: fourth.at });
  // One is moved out of the seal altogether.
  await set(third.id, { at: new Date(third.at.getTime() + 3_600_000) });
  await expectFault(third.id, 'reordered');
  await set(third.id, { at: third.at });
  expect(await verify(app.authTuna)).toMatchObject({ ok: true });

  await tables.auditEntry.create({ data: { ...third, id: 'forged' } });
  await expectFault('forged', 'inserted');
  await tables.auditEntry.deleteMany({ where: { id: 'forged' } });
  await tables.auditEntry.deleteMany({ where: { id: third.id } });
  await expectFault(third.id, 'deleted');
  await tables.auditEntry.create({ data: third });
  expect(await verify(app.authTuna)).toMatchObject({ ok: true });
});

test('a seal that was changed or removed is named, and so is a chain that lost its end when a seal was kept elsewhere (AU-4)', async () => {
  const kept: { number: number; mac: string }[] = [];
  const app = await startApp({ audit: { onSeal: ({ number, mac }) => void kept.push({ number, mac }) } });
  for (let n = 0; n < 4; n += 1) {
    await write(app, 2);
    await seal(app);
  }
  expect(kept.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  const tables = await insider(app);
  const seals = (await tables.auditSeal.findMany({ orderBy: { number: 'asc' } })) as unknown as Record<
    string,
    unknown
  >[];
  const change = (number: number, data: object) => tables.auditSeal.update({ where: { number }, data });
  const expectFault = async (firstBad: string, reason: string) =>
    expect(await verify(app.authTuna)).toMatchObject({ ok: false, firstBad, reason });
  const third = seals[2] ?? {};
  for (const [column, value] of Object.entries({
    mac: 'x',
    contents: 'a:b',
    count: 99,
    prunedMac: 'forged',
  })) {
    await change(3, { [column]: value });
    await expectFault('seal:3', 'seal_changed');
    await change(3, { [column]: third[column] });
  }
  await change(3, { kid: 'unknown' });
  await expectFault('seal:3', 'unknown_secret');
  await change(3, { kid: third.kid });
  await tables.auditSeal.deleteMany({ where: { number: 2 } });
  await expectFault('seal:2', 'seal_missing');
  await tables.auditSeal.create({ data: seals[1] });
  await tables.auditSeal.deleteMany({ where: { number: 1 } });
  await expectFault('seal:1', 'seal_missing');
  await tables.auditSeal.create({ data: seals[0] });

  await tables.auditEntry.deleteMany({ where: { at: { gt: third.to } } });
  await tables.auditSeal.deleteMany({ where: { number: 4 } });
  expect(await verify(app.authTuna)).toMatchObject({ ok: true }); // the database alone does not know better
  const last = kept[3] ?? { number: 0, mac: '' };
  expect(await app.authTuna.audit.verify({ seal: last })).toEqual({
    ok: false,
    firstBad: 'seal:4',
    reason: 'seal_missing',
  });
  expect(await app.authTuna.audit.verify({ seal: { number: 3, mac: 'another' } })).toMatchObject({
    reason: 'seal_changed',
  });
  expect(await app.authTuna.audit.verify({ seal: kept[2] ?? last })).toMatchObject({ ok: true });
});

test('seals made with an older secret still verify, and without it verify says so (AU-4)', async () => {
  const app = await startApp();
  await write(app, 2);
  await seal(app);
  const { database, clock } = app;
  const NEWER = 'Qk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gZ';
  const rotated = await startApp({ secrets: [NEWER, SECRET] }, { database, clock });
  await write(rotated, 2);
  await seal(rotated);
  expect(await verify(rotated.authTuna)).toMatchObject({ ok: true });
  const forgetful = await startApp({ secrets: [NEWER] }, { database, clock });
  expect(await verify(forgetful.authTuna)).toMatchObject({
    ok: false,
    firstBad: 'seal:1',
    reason: 'unknown_secret',
  });
});

test('writers and sealers on two instances leave one valid chain that holds every entry (AU-4)', async () => {
  const one = await startApp();
  const { database, clock } = one;
  const two = await startApp({}, { database, clock });
  const before = await verify(one.authTuna);
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(
      [one, two].flatMap(({ authTuna }) => [
        ...Array.from({ length: 10 }, () =>
          authTuna.audit.record({ type: 'document.published', actor: ADA }),
        ),
        authTuna.jobs.run('audit.seal').catch(() => {}), // one of two is told that the other is at it
      ]),
    );
    clock.advance({ seconds: 61 });
  }
  await one.authTuna.jobs.run('audit.seal');
  const after = await verify(two.authTuna);
  expect(before).toEqual({ ok: true, entries: 0 });
  expect(after.ok && after.entries).toBeGreaterThanOrEqual(100);
  expect(await own(await insider(one))).toHaveLength(100);
});

test('a sealer that was killed while it held the lease leaves a chain that another one continues (AU-4)', async () => {
  const app = await startApp();
  await write(app, 2);
  await seal(app);
  const tables = (await insider(app)) as unknown as { lease: Table };
  await tables.lease.update({
    where: { name: 'audit.seal' },
    data: { holder: 'killed', expiresAt: new Date(app.clock.now().getTime() + 50_000) },
  });
  await write(app, 2);
  await expect(app.authTuna.jobs.run('audit.seal')).rejects.toMatchObject({ code: 'conflict' });
  await seal(app);
  expect(await verify(app.authTuna)).toMatchObject({ ok: true });
});

test('more entries of one moment than a seal usually holds stay together (AU-4)', async () => {
  const app = await startApp();
  const tables = (await insider(app)) as unknown as {
    auditEntry: { createMany(args: object): Promise<unknown> };
  };
  const at = app.clock.now();
  const data = Array.from({ length: 2500 }, (_, n) => ({
    id: `id${n}`,
    at: new Date(at.getTime() + (n < 1200 ? 0 : n)),
    type: 'document.published',
    outcome: 'success',
  }));
  await tables.auditEntry.createMany({ data });
  app.clock.advance({ seconds: 60 });
  await seal(app);
  const verdict = await verify(app.authTuna);
  expect(verdict.ok && verdict.entries).toBeGreaterThanOrEqual(2500);
});

test('entries are removed after audit.retentionDays, and what is left still verifies (AU-4, PR-3)', async () => {
  const app = await startApp({ audit: { retentionDays: 30 } });
  await write(app, 3);
  await seal(app);
  app.clock.advance({ days: 20 });
  await write(app, 3);
  await seal(app);
  expect(await app.authTuna.jobs.run('audit.clean-up')).toBe('0 entries removed');
  app.clock.advance({ days: 11 });
  expect(await app.authTuna.jobs.run('audit.clean-up')).toMatch(/^[1-9]\d* entries removed$/);
  const tables = await insider(app);
  expect(await own(tables)).toHaveLength(3);
  expect(await verify(app.authTuna)).toMatchObject({ ok: true });
  expect((await app.authTuna.audit.list({ type: 'audit.pruned' })).items).toHaveLength(1);
  await write(app, 1);
  await seal(app);
  expect(await verify(app.authTuna)).toMatchObject({ ok: true });

  // An old entry that comes back, and a removal that only looks like age.
  await tables.auditEntry.create({
    data: { id: 'old', at: new Date(1000), type: 'x.y', outcome: 'success' },
  });
  expect(await verify(app.authTuna)).toEqual({ ok: false, firstBad: 'old', reason: 'inserted' });
  await tables.auditEntry.deleteMany({ where: { id: 'old' } });
  await tables.auditSeal.update({ where: { number: 2 }, data: { contents: '', prunedMac: 'forged' } });
  expect(await verify(app.authTuna)).toEqual({ ok: false, firstBad: 'seal:2', reason: 'seal_changed' });
});

test('the host records events of its own; malformed ones are refused and store nothing', async () => {
  const { authTuna } = await startApp();
  const heard: string[] = [];
  authTuna.on('*', ({ type }) => void heard.push(type));
  await authTuna.audit.record({
    type: 'document.published',
    actor: ADA,
    target: { type: 'document', id: '9' },
    scope: 'org:1',
    data: { title: 'Sardines' },
  });
  const [entry] = (await authTuna.audit.list({ type: 'document.published' })).items;
  expect(entry).toMatchObject({
    actorId: 'ada',
    targetType: 'document',
    targetId: '9',
    scope: 'org:1',
    outcome: 'success',
  });
  expect(heard).toEqual(['document.published']);
  const record = (input: object) =>
    authTuna.audit.record(input as Parameters<typeof authTuna.audit.record>[0]);
  for (const wrong of [
    { type: 'nonsense', actor: ADA },
    { type: 'Document.Published', actor: ADA },
    { type: `a.${'b'.repeat(100)}`, actor: ADA },
    { type: 'document.published' },
    { type: 'document.published', actor: ADA, outcome: 'perhaps' },
    { type: 'document.published', actor: ADA, target: { type: 'document' } },
    { type: 'document.published', actor: ADA, unknown: 1 },
    { type: 'document.published', actor: ADA, data: { list: Array(20).fill('x'.repeat(512)) } },
  ])
    await expect(record(wrong), JSON.stringify(wrong).slice(0, 80)).rejects.toMatchObject({
      code: 'invalid_input',
    });
  expect((await authTuna.audit.list({ type: 'document.published' })).items).toHaveLength(1);
});

test('the log is searched by address, username, IP address and id, and pages do not repeat or skip', async () => {
  const app = await startApp();
  const { audit, users } = app.authTuna;
  const ada = await users.create({ email: 'ada@example.com', username: 'ada' });
  for (let n = 0; n < 5; n += 1) {
    if (n % 2 === 0) app.clock.advance({ seconds: 1 });
    await audit.record({ type: 'document.published', actor: { ...ADA, userId: ada.id }, outcome: 'denied' });
    await audit.record({ type: 'document.published', actor: SYSTEM, target: { type: 'user', id: ada.id } });
  }
  const search = async (q: string) => (await audit.list({ q, type: 'document.published' })).items.length;
  expect(await search('ADA@example.com')).toBe(10);
  expect(await search('ada')).toBe(10);
  expect(await search(ada.id)).toBe(10);
  expect(await search('192.0.2.7')).toBe(5);
  const [newest] = (await audit.list({ q: 'ada' })).items;
  expect(await search(newest?.id ?? '')).toBe(1);
  for (const nothing of ['eve@example.com', 'eve', '192.0.2.8', '%', '_', "'; --"])
    expect([nothing, await search(nothing)]).toEqual([nothing, 0]);
  expect((await audit.list({ outcome: 'denied', type: 'document.published' })).items).toHaveLength(5);
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof audit.list>> = await audit.list({
      q: 'ada',
      type: 'document.published',
      limit: 3,
      ...(cursor !== null && { cursor }),
    });
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor !== null);
  expect(new Set(seen).size).toBe(10);
  expect(seen).toHaveLength(10);
  for (const wrong of [{ q: 'x'.repeat(65) }, { type: 5 }, { everything: true }, { outcome: 'perhaps' }])
    expect(() => audit.list(wrong as object), JSON.stringify(wrong)).toThrow();
});

test("an organization's view holds its own entries and those below it, and nobody else's (AU-5)", async () => {
  const { authTuna } = await startApp();
  const { audit, scopes } = authTuna;
  await scopes.register({ id: 'org:1' }, SYSTEM);
  await scopes.register({ id: 'org:10' }, SYSTEM);
  await scopes.register({ id: 'project:4', parent: 'org:1' }, SYSTEM);
  await scopes.register({ id: 'team:7', parent: 'project:4' }, SYSTEM);
  for (const scope of ['org:1', 'org:10', 'project:4', 'team:7', 'project:9', 'global'])
    await audit.record({ type: 'document.published', actor: ADA, scope });
  const within = async (scope: string) =>
    (await audit.list({ within: scope, type: 'document.published' })).items
      .map((entry) => entry.scope)
      .sort();
  expect(await within('org:1')).toEqual(['org:1', 'project:4', 'team:7']);
  expect(await within('project:4')).toEqual(['project:4', 'team:7']);
  expect(await within('org:10')).toEqual(['org:10']);
  expect(await within('org:2')).toEqual([]);
  expect((await audit.list({ within: 'org:1', scope: 'org:10' })).items).toEqual([]);
  for (const wrong of ['global', 'org', '%', 'org:1 OR'])
    await expect(audit.list({ within: wrong })).rejects.toMatchObject({ code: 'invalid_input' });
});

test('an export holds every entry once, the oldest first, whatever arrives meanwhile', async () => {
  const app = await startApp();
  const tables = (await insider(app)) as unknown as {
    auditEntry: { createMany(args: object): Promise<unknown> };
  };
  const at = app.clock.now().getTime();
  const data = Array.from({ length: 1203 }, (_, n) => ({
    id: `id${n}`,
    at: new Date(at + Math.floor(n / 7)),
    type: 'document.published',
    outcome: 'success',
  }));
  await tables.auditEntry.createMany({ data });
  const seen: { id: string; at: number }[] = [];
  for await (const entry of app.authTuna.audit.export({ type: 'document.published' })) {
    if (seen.length === 600) await app.authTuna.audit.record({ type: 'document.renamed', actor: ADA });
    seen.push({ id: entry.id, at: entry.at.getTime() });
  }
  expect(new Set(seen.map(({ id }) => id)).size).toBe(1203);
  expect(seen).toHaveLength(1203);
  expect(seen.map((entry) => entry.at)).toEqual(seen.map((entry) => entry.at).sort((a, b) => a - b));
});
