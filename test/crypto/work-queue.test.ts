import { expect, onTestFinished, test, vi } from 'vitest';
import { WorkQueue } from '../../src/crypto/work-queue.js';

/** Work that ends when it is told to. */
function task() {
  let end = () => {};
  const done = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { work: () => done, end };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('beyond its places a lane refuses at once, before any work, and the other lane does not notice (DO-1)', async () => {
  const queue = new WorkQueue(1);
  const running = task();
  const all = [
    ...Array.from({ length: 1 + 1024 }, () => queue.inLane('stranger', running.work)),
    ...Array.from({ length: 256 }, () => queue.inLane('known', running.work)),
  ];
  let hasBegun = false;
  const begin = async () => {
    hasBegun = true;
  };
  const refusal = { code: 'unavailable', details: { retryAfterSeconds: 2 } };
  await expect(queue.inLane('stranger', begin)).rejects.toMatchObject(refusal);
  await expect(queue.inLane('known', begin)).rejects.toMatchObject(refusal);
  expect(hasBegun).toBe(false);
  running.end();
  await Promise.all(all);
  await queue.inLane('stranger', begin);
  expect(hasBegun).toBe(true);
});

test('people who are known come first, and every fourth turn is a stranger’s (LG-6)', async () => {
  const queue = new WorkQueue(1);
  const running = task();
  const first = queue.inLane('stranger', running.work);
  const order: string[] = [];
  const waiting = [
    ...Array.from({ length: 6 }, (_, index) => ['stranger', index] as const),
    ...Array.from({ length: 6 }, (_, index) => ['known', index] as const),
  ].map(([lane, index]) => queue.inLane(lane, async () => void order.push(`${lane} ${index}`)));
  await settled();
  running.end();
  await Promise.all([first, ...waiting]);
  expect(order.slice(0, 8)).toEqual([
    'known 0',
    'known 1',
    'known 2',
    'stranger 0',
    'known 3',
    'known 4',
    'known 5',
    'stranger 1',
  ]);
  expect(order).toHaveLength(12);
});

test('work that fails gives its turn to the next', async () => {
  const queue = new WorkQueue(1);
  const failing = queue.inLane('known', async () => {
    throw new Error('failed');
  });
  const next = queue.inLane('known', async () => 'done');
  await expect(failing).rejects.toThrow('failed');
  expect(await next).toBe('done');
});

test('newcomers come after everybody, but for every eighth turn (LG-6)', async () => {
  const queue = new WorkQueue(1);
  const running = task();
  const first = queue.inLane('newcomer', running.work);
  const order: string[] = [];
  const waiting = (['newcomer', 'stranger', 'known'] as const).flatMap((lane) =>
    Array.from({ length: 10 }, () => queue.inLane(lane, async () => void order.push(lane))),
  );
  await settled();
  running.end();
  await Promise.all([first, ...waiting]);
  const known = ['known', 'known', 'known'];
  expect(order.slice(0, 9)).toEqual([...known, 'stranger', ...known, 'newcomer', 'known']);
  expect(order.slice(-6)).toEqual(Array(6).fill('newcomer'));
});

test('a crowd that came at once is refused over three seconds, not at once (DO-1)', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const queue = new WorkQueue(1);
  const running = task();
  const first = queue.inLane('stranger', running.work);
  const refusedAt: number[] = [];
  const began = Date.now();
  for (let number = 0; number < 1000; number += 1)
    queue.inLane('stranger', running.work).catch(() => refusedAt.push(Date.now() - began));
  await vi.advanceTimersByTimeAsync(1499);
  expect(refusedAt).toEqual([]);
  await vi.advanceTimersByTimeAsync(3002);
  expect(refusedAt).toHaveLength(1000);
  for (let second = 1.5; second < 4.5; second += 0.5) {
    const inHalfASecond = refusedAt.filter((at) => at >= second * 1000 && at < second * 1000 + 500);
    expect(inHalfASecond.length).toBeGreaterThan(100);
  }
  running.end();
  await first;
});
