import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, inject, onTestFinished, test } from 'vitest';
import { freshDatabase } from '../../support/database.js';

// The long form: DAY=long npx vitest run test/core/day.test.ts
const isLong = process.env.DAY === 'long';
const SETTINGS = isLong
  ? { hours: 24, stepsPerHour: 6, people: 30, guesses: 15 }
  : { hours: 24, stepsPerHour: 2, people: 4, guesses: 4 };
/** What 22 hours may add: caches of bounded size fill up, code is compiled anew. */
const MARGIN = (isLong ? 12 : 3) * 1024 * 1024;

test('after 24 hours of coming and going no more is in memory than after two, and nothing is left after close()', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const script = fileURLToPath(new URL('../../support/day-process.js', import.meta.url));
  const settings = JSON.stringify({ databaseUrl: database.url, ...SETTINGS });
  const child = spawn(process.execPath, ['--expose-gc', script, settings], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: Record<string, unknown>[] = [];
  let lastLineAt = 0;
  createInterface(child.stdout).on('line', (line) => {
    lines.push(JSON.parse(line));
    lastLineAt = performance.now();
  });
  const [code] = await once(child, 'exit');
  const exitedAfter = performance.now() - lastLineAt;
  expect(code).toBe(0);

  const memory = lines.filter((line) => 'heapUsed' in line) as unknown as {
    hour: number;
    live: number;
    heapUsed: number;
    external: number;
    rss: number;
  }[];
  const [load, end] = lines.slice(-2) as [
    { requests: number; statuses: Record<string, number>; rotations: number; lost: number; lastNote: string },
    {
      closedIn: number;
      timersBefore: number;
      before: { resources: string[]; listeners: object };
      after: { resources: string[]; listeners: object; timers: string[] };
    },
  ];
  const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  process.stdout.write(
    `[${inject('dialect')}] ${memory.map(({ hour, heapUsed, external, rss }) => `hour ${hour}: heap ${mebibytes(heapUsed)}, outside ${mebibytes(external)}, resident ${mebibytes(rss)} MiB`).join('; ')}\n` +
      `[${inject('dialect')}] ${load.requests} requests ${JSON.stringify(load.statuses)}, ${load.rotations} rotations, ${load.lost} lost; ${load.lastNote}; closed in ${end.closedIn.toFixed(0)} ms, process gone ${exitedAfter.toFixed(0)} ms later\n`,
  );

  const early = memory.find(({ hour }) => hour === 2);
  const late = memory.find(({ hour }) => hour === 24);
  if (early === undefined || late === undefined) throw new Error('the process said nothing of its memory');
  expect(late.live).toBe(early.live);
  expect(late.heapUsed + late.external - early.heapUsed - early.external).toBeLessThan(MARGIN);
  expect(load.lost).toBe(0);
  expect(load.rotations).toBeGreaterThan(SETTINGS.hours * SETTINGS.stepsPerHour);
  expect(load.statuses['503'] ?? 0).toBe(0);
  const held = (resources: string[]) => resources.filter((name) => name !== 'Timeout'); // timers are named below
  expect(held(end.after.resources)).toEqual(held(end.before.resources));
  expect(end.timersBefore).toBeGreaterThan(0);
  expect(end.after.timers).toEqual([]);
  expect(end.after.listeners).toEqual(end.before.listeners);
  expect(end.closedIn).toBeLessThan(5000);
  expect(exitedAfter).toBeLessThan(isLong ? 1000 : 5000); // the short form runs beside other work
}, 1_200_000);
