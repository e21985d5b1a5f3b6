import { expect, onTestFinished, test } from 'vitest';
import { PASSWORD, startApp } from '../../support/app.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';

const ADA = 'ada@example.com';
const WRONG = 'no such password at all';

/** An instance with Ada's account, and how many statements a sign-in is; what ends a transaction is one of them. */
async function start() {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const { client, statements } = countingClient(database);
  onTestFinished(() => client.$disconnect());
  const { noted, calls } = noting(client.throttle);
  const prisma = new Proxy(client as object, {
    get: (target, name) => {
      const value = name === 'throttle' ? noted : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as typeof client;
  const app = await startApp({ prisma }, { database });
  await app.authTuna.jobs.stop(); // what they ask is not counted
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  const signIn = async (login: string, password: string, browser = app.browser()) => {
    statements.length = 0;
    calls.length = 0;
    const { status } = await browser.post('/auth/login', { login, password });
    return { status, statements: [...statements], counting: calls.join(' ') };
  };
  return { ...app, signIn };
}

/** What is asked of a model, also what the database refuses: that is no statement to Prisma. */
function noting(model: object) {
  const calls: string[] = [];
  const noted = new Proxy(model, {
    get: (delegate, method) => {
      const call = Reflect.get(delegate, method);
      if (typeof call !== 'function') return call;
      return (...args: unknown[]) => {
        calls.push(String(method));
        return call.apply(delegate, args);
      };
    },
  });
  return { noted, calls };
}

// A statement is a third of a millisecond of the one thread that does everything but the hashing.
test('a sign-in is no more than fifteen statements (DB-4)', async () => {
  const { signIn } = await start();
  const first = await signIn(ADA, PASSWORD);
  expect(first.status).toBe(200);
  expect(first.statements.length).toBeLessThanOrEqual(15); // nothing is known yet of its network
  const next = await signIn(ADA, PASSWORD);
  expect(next.status).toBe(200);
  expect(next.statements.length).toBeLessThanOrEqual(14);
});

test('a sign-in from a known device is twelve statements, fewer than one from an unknown device (DB-4, LG-6)', async () => {
  const { signIn, browser } = await start();
  const known = browser();
  await signIn(ADA, PASSWORD, known);
  await known.post('/auth/logout');
  const strange = await signIn(ADA, PASSWORD);
  const again = await signIn(ADA, PASSWORD, known);
  expect([strange.status, again.status]).toEqual([200, 200]);
  expect(again.statements.length).toBeLessThanOrEqual(12);
  expect(again.statements.length).toBeLessThan(strange.statements.length);
});

test('a refused sign-in is no more than seven, for a name that somebody has and for one that nobody has (LG-1, LG-2)', async () => {
  const { signIn } = await start();
  await signIn('warm-up@example.com', WRONG);
  const counts = async (login: string) => {
    const found = [];
    for (let i = 0; i < 7; i += 1) {
      const { status, statements, counting } = await signIn(login, WRONG);
      found.push([status, statements.length, counting] as const);
    }
    return found;
  };
  const known = await counts(ADA);
  expect(await counts('nobody@example.com')).toEqual(known);
  expect(known.map(([status]) => status)).toEqual([401, 401, 401, 401, 401, 429, 429]);
  expect(known.map(([, , counting]) => counting)).toEqual([
    'createMany',
    ...Array(4).fill('findMany updateMany updateMany'),
    'findMany',
    '', // remembered
  ]);
  for (const [, count] of known) expect(count).toBeLessThanOrEqual(7);
});
