import { describe, expect, test } from 'vitest';
import { GUESSING, Throttle } from '../../../src/core/limits/throttle.js';
import { startRuntime } from '../../support/runtime.js';

describe('the throttle', () => {
  test('of 60 at one instant exactly 5 get through (LG-4, D12)', async () => {
    const { runtime } = await startRuntime();
    const throttle = new Throttle(runtime);
    const verdicts = await Promise.all(
      Array.from({ length: 60 }, () => throttle.attempt('login:ada', GUESSING)),
    );
    expect(verdicts.filter((verdict) => verdict.allowed)).toHaveLength(5);
  });

  test('of 60 at one instant in six processes exactly 5 get through (LG-4)', async () => {
    const { runtime, database, clock } = await startRuntime();
    const others = await Promise.all(
      Array.from({ length: 5 }, () => startRuntime({}, { database, clock }).then((other) => other.runtime)),
    );
    const throttles = [runtime, ...others].map((each) => new Throttle(each));
    const verdicts = await Promise.all(
      throttles.flatMap((throttle) =>
        Array.from({ length: 10 }, () => throttle.attempt('login:ada', GUESSING)),
      ),
    );
    expect(verdicts.filter((verdict) => verdict.allowed)).toHaveLength(5);
  });

  const LIMITED = { ...GUESSING, freeFailures: Number.POSITIVE_INFINITY, maxConsecutive: 8 };

  test('a try that counts under two keys counts under none of them when one refuses (LG-4, LG-5)', async () => {
    const { runtime } = await startRuntime();
    const throttle = new Throttle(runtime);
    const name = { key: 'login-name:ada', policy: GUESSING };
    const account = { key: 'login:ada', policy: LIMITED };
    for (let i = 0; i < 5; i += 1)
      expect((await throttle.attemptAll([name, account])).verdict).toMatchObject({ allowed: true });
    const waiting = await throttle.attemptAll([name, account]);
    expect(waiting).toMatchObject({ key: name.key, verdict: { allowed: false, isClosed: false } });
    for (let i = 0; i < 2; i += 1)
      expect(await throttle.attempt(account.key, LIMITED)).toMatchObject({ allowed: true, isLast: false });
    expect(await throttle.attempt(account.key, LIMITED)).toMatchObject({ allowed: true, isLast: true });
    const other = { key: 'login-name:lovelace', policy: GUESSING };
    const closed = await throttle.attemptAll([other, account]);
    expect(closed).toMatchObject({ key: account.key, verdict: { allowed: false, isClosed: true } });
    expect(await throttle.attempt(other.key, GUESSING)).toMatchObject({ allowed: true, tries: 1 });
  });

  test('of 60 at one instant at three names of one account, in four processes, no more get through than may (LG-4, LG-5)', async () => {
    const { runtime, database, clock } = await startRuntime();
    const others = await Promise.all(
      Array.from({ length: 3 }, () => startRuntime({}, { database, clock }).then((other) => other.runtime)),
    );
    const throttles = [runtime, ...others].map((each) => new Throttle(each));
    const passed = async () => {
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, i) =>
          (throttles[i % 4] as Throttle).attemptAll([
            { key: `login-name:ada${i % 3}`, policy: GUESSING },
            { key: 'login:ada', policy: LIMITED },
          ]),
        ),
      );
      return answers.filter(({ verdict }) => verdict.allowed).length;
    };
    expect(await passed()).toBe(8);
    await (throttles[0] as Throttle).clear('login:ada', ...[0, 1, 2].map((i) => `login-name:ada${i}`));
    clock.advance({ seconds: 1 }); // a wait is remembered that long
    expect(await passed()).toBe(8);
  });

  test('after five the wait is 1, 2, 4 … and at most 900 seconds, and a refused try does not lengthen it (LG-4)', async () => {
    const { runtime, clock } = await startRuntime();
    const throttle = new Throttle(runtime);
    for (let i = 0; i < 5; i += 1) await throttle.reserve('login:ada', GUESSING);
    const waits: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      const verdict = await throttle.attempt('login:ada', GUESSING);
      const again = await throttle.attempt('login:ada', GUESSING);
      expect(again).toEqual(verdict);
      if (verdict.allowed) throw new Error('not refused');
      waits.push(verdict.retryAfterSeconds);
      clock.advance({ seconds: verdict.retryAfterSeconds - 1, milliseconds: 999 });
      expect(await throttle.attempt('login:ada', GUESSING)).toMatchObject({ allowed: false });
      clock.advance({ milliseconds: 1 });
      await throttle.reserve('login:ada', GUESSING);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
  });

  test('a refusal says when to come back', async () => {
    const { runtime } = await startRuntime();
    const throttle = new Throttle(runtime);
    for (let i = 0; i < 5; i += 1) await throttle.reserve('login:ada', GUESSING);
    await expect(throttle.reserve('login:ada', GUESSING)).rejects.toMatchObject({
      code: 'rate_limited',
      details: { retryAfterSeconds: 1 },
    });
  });

  test('keys are counted apart and stored as keyed digests', async () => {
    const { runtime } = await startRuntime();
    const throttle = new Throttle(runtime);
    for (let i = 0; i < 5; i += 1) await throttle.reserve('login:ada', GUESSING);
    await throttle.reserve('login:grace', GUESSING);
    const rows = await runtime.db.throttle.findMany();
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows)).not.toMatch(/ada|grace|login/);
  });

  test('a success forgets', async () => {
    const { runtime } = await startRuntime();
    const throttle = new Throttle(runtime);
    for (let i = 0; i < 5; i += 1) await throttle.reserve('login:ada', GUESSING);
    expect(await throttle.attempt('login:ada', GUESSING)).toMatchObject({ allowed: false });
    await throttle.clear('login:ada');
    for (let i = 0; i < 5; i += 1) await throttle.reserve('login:ada', GUESSING);
  });

  test('a day without a failure starts the delays again', async () => {
    const { runtime, clock } = await startRuntime();
    const throttle = new Throttle(runtime);
    for (let i = 0; i < 5; i += 1) await throttle.reserve('login:ada', GUESSING);
    clock.advance({ hours: 24, milliseconds: 1 });
    for (let i = 0; i < 5; i += 1) await throttle.reserve('login:ada', GUESSING);
    expect(await throttle.attempt('login:ada', GUESSING)).toMatchObject({ allowed: false });
  });

  test('after a hundred without a success nothing passes, however long the pauses, until it is cleared (LG-5)', async () => {
    const { runtime, clock } = await startRuntime();
    const throttle = new Throttle(runtime);
    for (let i = 0; i < 100; i += 1) {
      await throttle.reserve('login:ada', GUESSING);
      clock.advance({ hours: 25 });
    }
    expect(await throttle.attempt('login:ada', GUESSING)).toEqual({
      allowed: false,
      retryAfterSeconds: 900,
      isClosed: true,
    });
    clock.advance({ days: 30 });
    expect(await throttle.attempt('login:ada', GUESSING)).toMatchObject({ isClosed: true });
    await throttle.clear('login:ada');
    await throttle.reserve('login:ada', GUESSING);
  });

  test('a wait that is running is answered from memory, and another process may end it within a second', async () => {
    const { runtime, database, clock } = await startRuntime();
    const throttle = new Throttle(runtime);
    for (let i = 0; i < 12; i += 1) {
      await throttle.reserve('login:ada', GUESSING);
      clock.advance({ seconds: 2 ** Math.max(0, i - 4) });
    }
    await throttle.reserve('login:ada', GUESSING);
    expect(await throttle.attempt('login:ada', GUESSING)).toMatchObject({ allowed: false });
    const other = await startRuntime({}, { database, clock });
    await new Throttle(other.runtime).clear('login:ada');
    expect(await throttle.attempt('login:ada', GUESSING)).toMatchObject({ allowed: false });
    clock.advance({ seconds: 1 });
    await throttle.reserve('login:ada', GUESSING);
  });
});
