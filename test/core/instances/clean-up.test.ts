import { expect, onTestFinished, test } from 'vitest';
import type { AuthTunaOptions } from '../../../src/config/options.js';
import { assignmentSweep } from '../../../src/core/access/sweep.js';
import { cleanUp } from '../../../src/core/instances/clean-up.js';
import { rateWindowSweep, throttleSweep } from '../../../src/core/limits/sweep.js';
import type { Runtime } from '../../../src/core/runtime.js';
import { sessionSweep } from '../../../src/core/sessions/sweep.js';
import type { Sweep } from '../../../src/core/sweep.js';
import { tokenSweep } from '../../../src/core/tokens/sweep.js';
import { type DelegateLike, guardDb } from '../../../src/db/client.js';
import { trustedBrowserSweep, unconfirmedAppSweep } from '../../../src/features/mfa/sweep.js';
import { sentMailSweep } from '../../../src/mail/sweep.js';
import { countingClient } from '../../support/counting-client.js';
import { fullScansOf } from '../../support/plans.js';
import { startRuntime } from '../../support/runtime.js';

const SWEEPS = [
  sessionSweep,
  tokenSweep,
  throttleSweep,
  rateWindowSweep,
  assignmentSweep,
  trustedBrowserSweep,
  unconfirmedAppSweep,
  sentMailSweep,
] as const satisfies ((runtime: Runtime) => Sweep)[];

const HOUR = 3600;
const DAY = 24 * HOUR;
type Fields = Readonly<Record<string, unknown>>;

/**
 * For each sweep: the table, a row that no condition matches, and for each condition the rows on either side of its limit. Times are in
 * seconds from the run of the clean-up.
 */
const CASES: readonly {
  name: string;
  options?: Partial<AuthTunaOptions>;
  sweep: (runtime: Runtime) => Sweep;
  table:
    | 'session'
    | 'oneTimeToken'
    | 'throttle'
    | 'rateWindow'
    | 'roleAssignment'
    | 'trustedDevice'
    | 'totp'
    | 'outboxMessage';
  lives: (id: string, at: (seconds: number) => Date) => Fields;
  stay: Readonly<Record<string, (at: (seconds: number) => Date) => Fields>>;
  go: Readonly<Record<string, (at: (seconds: number) => Date) => Fields>>;
}[] = [
  {
    name: 'sessions',
    sweep: sessionSweep,
    table: 'session',
    lives: (id, at) => session(id, at),
    stay: {
      'absolute limit passed 23 hours ago': (at) => ({ absoluteExpiresAt: at(-23 * HOUR) }),
      'revoked 23 hours ago': (at) => ({ revokedAt: at(-23 * HOUR) }),
      'idled out 23 hours ago': (at) => ({ lastSeenAt: at(-24 * HOUR) }),
      'remembered, unused for 7 days': (at) => ({
        idleSeconds: 7 * DAY,
        lastSeenAt: at(-7 * DAY - 23 * HOUR),
      }),
      'of a longer limit than is configured': (at) => ({ idleSeconds: 60 * DAY, lastSeenAt: at(-60 * DAY) }),
    },
    go: {
      'absolute limit passed': (at) => ({ absoluteExpiresAt: at(-25 * HOUR) }),
      revoked: (at) => ({ revokedAt: at(-25 * HOUR) }),
      'idled out': (at) => ({ lastSeenAt: at(-26 * HOUR) }),
      'remembered, idled out': (at) => ({ idleSeconds: 7 * DAY, lastSeenAt: at(-8 * DAY - HOUR) }),
      'idled out of a longer limit than is configured': (at) => ({
        idleSeconds: 60 * DAY,
        lastSeenAt: at(-62 * DAY),
      }),
    },
  },
  {
    name: 'sessions whose lifetime counts from their creation',
    options: { session: { lifetimeFrom: 'creation' } },
    sweep: sessionSweep,
    table: 'session',
    lives: (id, at) => session(id, at),
    stay: { 'made 24 hours ago': (at) => ({ createdAt: at(-24 * HOUR), lastSeenAt: at(-40 * HOUR) }) },
    go: { 'made 26 hours ago': (at) => ({ createdAt: at(-26 * HOUR), lastSeenAt: at(0) }) },
  },
  {
    name: 'one-time tokens',
    sweep: tokenSweep,
    table: 'oneTimeToken',
    lives: (id, at) => ({
      id,
      purpose: 'test',
      subject: id,
      secretHash: id,
      createdAt: at(-9 * DAY),
      expiresAt: at(DAY),
    }),
    stay: {
      'expired 23 hours ago': (at) => ({ expiresAt: at(-23 * HOUR) }),
      'used 23 hours ago': (at) => ({ usedAt: at(-23 * HOUR) }),
    },
    go: { expired: (at) => ({ expiresAt: at(-25 * HOUR) }), used: (at) => ({ usedAt: at(-25 * HOUR) }) },
  },
  {
    name: 'throttle counters',
    sweep: throttleSweep,
    table: 'throttle',
    lives: (key, at) => ({ key, failures: 3, consecutive: 0, blockedUntil: at(-10), seenAt: at(-10) }),
    stay: {
      'seen 6 days ago': (at) => ({ seenAt: at(-6 * DAY) }),
      'with a wait that is running': (at) => ({ seenAt: at(-400 * DAY), blockedUntil: at(60) }),
      'on its way to the limit': (at) => ({ seenAt: at(-365 * DAY), consecutive: 1 }),
    },
    go: {
      'seen 8 days ago': (at) => ({ seenAt: at(-8 * DAY) }),
      'consecutive failures of more than a year ago': (at) => ({ seenAt: at(-367 * DAY), consecutive: 99 }),
    },
  },
  {
    name: 'rate windows',
    sweep: rateWindowSweep,
    table: 'rateWindow',
    lives: (key, at) => ({ key, state: '[]', expiresAt: at(60) }),
    stay: {},
    go: { expired: (at) => ({ expiresAt: at(-60) }) },
  },
  {
    name: 'assignments',
    sweep: assignmentSweep,
    table: 'roleAssignment',
    lives: (scope, at) => ({ userId: 'ada', roleId: 'tester', scope, assignedAt: at(-9 * DAY) }),
    stay: {
      'expired 23 hours ago': (at) => ({ expiresAt: at(-23 * HOUR) }),
      'that end tomorrow': (at) => ({ expiresAt: at(DAY) }),
    },
    go: { expired: (at) => ({ expiresAt: at(-25 * HOUR) }) },
  },
  {
    name: 'trusted browsers',
    sweep: trustedBrowserSweep,
    table: 'trustedDevice',
    lives: (id, at) => ({
      id,
      userId: 'ada',
      secretHash: id,
      epoch: 0,
      createdAt: at(-9 * DAY),
      expiresAt: at(DAY),
    }),
    stay: { 'expired 23 hours ago': (at) => ({ expiresAt: at(-23 * HOUR) }) },
    go: { expired: (at) => ({ expiresAt: at(-25 * HOUR) }) },
  },
  {
    name: 'authenticator apps',
    sweep: unconfirmedAppSweep,
    table: 'totp',
    lives: (id, at) => ({ id, userId: id, sealed: 'x', createdAt: at(-10), confirmedAt: at(-10) }),
    stay: {
      'confirmed long ago': (at) => ({ createdAt: at(-99 * DAY), confirmedAt: at(-99 * DAY) }),
      'begun 23 hours ago': (at) => ({ createdAt: at(-23 * HOUR), confirmedAt: null }),
    },
    go: { 'never confirmed': (at) => ({ createdAt: at(-25 * HOUR), confirmedAt: null }) },
  },
  {
    name: 'mails',
    sweep: sentMailSweep,
    table: 'outboxMessage',
    lives: (id, at) => ({
      id,
      template: 'welcome',
      recipient: id,
      sealed: '',
      createdAt: at(-99 * DAY),
      availableAt: at(-99 * DAY),
    }),
    stay: {
      'sent 6 days ago': (at) => ({ sentAt: at(-6 * DAY) }),
      'given up long ago': (at) => ({ deadAt: at(-90 * DAY) }),
    },
    go: { 'sent 8 days ago': (at) => ({ sentAt: at(-8 * DAY) }) },
  },
];

function session(id: string, at: (seconds: number) => Date): Fields {
  return {
    id,
    userId: 'ada',
    epoch: 0,
    salt: 'x',
    rotatedAt: at(-10),
    createdAt: at(-10),
    lastSeenAt: at(-10),
    absoluteExpiresAt: at(DAY),
    idleSeconds: HOUR,
    authenticatedAt: at(-10),
    amr: 'pwd',
  };
}

/** What rows of the cases refer to: users of these ids, and a role. */
async function store({ db, now }: Runtime, userIds: readonly string[]) {
  const times = { createdAt: now(), updatedAt: now() };
  await db.user.createMany({ data: userIds.map((id) => ({ id, email: `${id}@example.com`, ...times })) });
  await db.role.create({ data: { id: 'tester', name: 'tester', ...times } });
}

const signal = new AbortController().signal;

/** The same delegate for every table; a union of the generated ones cannot be called. */
function tableOf({ db }: Runtime, name: (typeof CASES)[number]['table']): DelegateLike<unknown> {
  return db[name] as unknown as DelegateLike<unknown>;
}

test.each(CASES)('the sweep of $name removes what has ended, and nothing else (D20)', async (entry) => {
  const { runtime } = await startRuntime(entry.options);
  const at = (seconds: number) => new Date(runtime.now().getTime() + seconds * 1000);
  const rowsOf = (states: typeof entry.go) =>
    Object.entries(states).map(([state, fields]) => ({ id: state.replaceAll(' ', '-'), fields: fields(at) }));
  const staying = rowsOf({ 'alive or without an end': () => ({}), ...entry.stay });
  const going = rowsOf(entry.go);
  await store(runtime, ['ada', ...[...staying, ...going].map(({ id }) => id)]);
  const table = tableOf(runtime, entry.table);
  await table.createMany({
    data: [...staying, ...going].map(({ id, fields }) => ({ ...entry.lives(id, at), ...fields })),
  });
  const sweep = entry.sweep(runtime);
  expect(await cleanUp(runtime, [sweep]).run(signal)).toBe(`removed ${going.length} ${sweep.removes}`);
  const left: { id?: string; key?: string; scope?: string }[] = await table.findMany({});
  expect(left.map(({ id, key, scope }) => id ?? key ?? scope).sort()).toEqual(
    staying.map(({ id }) => id).sort(),
  );
});

/** A runtime whose statements are noted, over a database with a row for each way in which rows of the library end. */
async function withEndedRows(options: Partial<AuthTunaOptions>) {
  const { runtime, database } = await startRuntime(options);
  const at = (seconds: number) => new Date(runtime.now().getTime() + seconds * 1000);
  const ended = CASES.flatMap(({ table, lives, go }, index) =>
    Object.values(go).map((fields, i) => {
      const id = `row-${index}-${i}`;
      return { table, id, data: { ...lives(id, at), ...fields(at) } };
    }),
  );
  await store(runtime, ['ada', ...ended.map(({ id }) => id)]);
  for (const { table, data } of ended) await tableOf(runtime, table).create({ data });
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const noted = { ...runtime, db: guardDb(client) };
  return { runtime: noted, database, statements, sweeps: SWEEPS.map((sweep) => sweep(noted)) };
}

test.each([{}, { session: { lifetimeFrom: 'creation' } } as const])(
  'every statement of the clean-up finds its rows by an index and is bounded, with %j (DO-7)',
  async (options) => {
    const { runtime, database, statements, sweeps } = await withEndedRows(options);
    await runtime.db.throttle.create({
      data: {
        key: 'surplus',
        failures: 1,
        consecutive: 1,
        blockedUntil: runtime.now(),
        seenAt: runtime.now(),
      },
    });
    statements.length = 0;
    await cleanUp(runtime, [...sweeps, throttleSweep(runtime, { maxRows: -9 })]).run(signal);
    const reads = [...new Set(statements)].filter((sql) => /\bFROM\b/.test(sql) && !/COUNT\(/.test(sql));
    // One for each condition: three of sessions, two of tokens, and one of each other table.
    expect(new Set(reads.filter((sql) => sql.startsWith('DELETE'))).size).toBeGreaterThanOrEqual(11);
    expect(reads.filter((sql) => !/\bLIMIT\b|\bIN \([?$]/.test(sql))).toEqual([]);
    for (const sql of reads) expect([sql, await fullScansOf(database, sql)]).toEqual([sql, []]);
  },
);

test('the clean-up stops when its process does', async () => {
  const { runtime, sweeps } = await withEndedRows({});
  expect(await cleanUp(runtime, sweeps).run(AbortSignal.abort())).toBe('removed nothing');
});

test('a sweep that fails leaves the others their rows, and the job says that it failed', async () => {
  const { runtime } = await startRuntime();
  let hasRun = false;
  const broken: Sweep = { removes: 'things', run: () => Promise.reject(new Error('no such table')) };
  const good: Sweep = {
    removes: 'things',
    async run() {
      hasRun = true;
      return 1;
    },
  };
  await expect(cleanUp(runtime, [broken, good]).run(signal)).rejects.toThrow('no such table');
  expect(hasRun).toBe(true);
});
