import { expect, test } from 'vitest';
import { cleanUp } from '../../../src/core/instances/clean-up.js';
import { throttleSweep } from '../../../src/core/limits/sweep.js';
import { GUESSING, Throttle } from '../../../src/core/limits/throttle.js';
import { openDatabase } from '../../support/database.js';
import { startRuntime } from '../../support/runtime.js';

const FLOOD = 1_200;

/** Rows as guesses at that many names leave them. */
async function flood({ runtime, database }: Awaited<ReturnType<typeof startRuntime>>, from: number) {
  const { client, close } = await openDatabase(database);
  const now = runtime.now();
  await client.throttle.createMany({
    data: Array.from({ length: FLOOD }, (_, i) => ({
      key: `flood ${from + i}`,
      failures: 1,
      consecutive: 1,
      blockedUntil: now,
      seenAt: now,
    })),
  });
  await close();
}

test('a flood of names does not grow the table of guesses beyond its bound (LG-8, DO-7)', async () => {
  const started = await startRuntime();
  const { runtime, clock } = started;
  const job = cleanUp(runtime, [throttleSweep(runtime, { maxRows: 500 })]);
  for (let hour = 0; hour < 3; hour += 1) {
    await flood(started, hour * FLOOD);
    clock.advance({ hours: 1 });
    expect(await job.run(new AbortController().signal)).toMatch(/[1-9]\d* throttle counters/);
    expect(await runtime.db.throttle.count({})).toBe(500);
  }
});

test('a flood of names washes away neither a count that is half way to the hundred nor a wait (LG-5, LG-8)', async () => {
  const started = await startRuntime();
  const { runtime, clock } = started;
  const throttle = new Throttle(runtime);
  const guess = () => throttle.attempt('login:ada', GUESSING);
  for (let i = 0; i < 50; i += 1) {
    expect((await guess()).allowed).toBe(true);
    clock.advance({ seconds: 901 });
  }
  expect((await guess()).allowed).toBe(true);
  await flood(started, 0);
  await cleanUp(runtime, [throttleSweep(runtime, { maxRows: 100 })]).run(new AbortController().signal);
  expect(await runtime.db.throttle.count({})).toBe(100);
  expect((await guess()).allowed).toBe(false);
  for (let i = 51; i < 100; i += 1) {
    clock.advance({ seconds: 901 });
    expect((await guess()).allowed).toBe(true);
  }
  clock.advance({ seconds: 901 });
  expect(await guess()).toMatchObject({ allowed: false, isClosed: true });
});

test('the clean-up of counters stops with the process', async () => {
  const started = await startRuntime();
  const { runtime } = started;
  await flood(started, 0);
  await cleanUp(runtime, [throttleSweep(runtime, { maxRows: 100 })]).run(AbortSignal.abort());
  expect(await runtime.db.throttle.count({})).toBe(FLOOD);
});
