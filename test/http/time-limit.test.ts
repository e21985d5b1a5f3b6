// A request has a time limit of its own: a database whose every answer is just in time must not keep people waiting for the sum.
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { PrismaClient } from '../../src/db/generated/sqlite/client.js';
import { PASSWORD, startApp } from '../support/app.js';
import { countingClient } from '../support/counting-client.js';
import { freshDatabase } from '../support/database.js';

test('however many slow statements a route needs, it answers 503 in time and says why in the log (DB-1)', async () => {
  const database = await freshDatabase();
  const client = countingClient(database).client as unknown as PrismaClient;
  let delayMs = 0;
  const slow = client.$extends({
    query: {
      async $allOperations({ args, query }) {
        await setTimeout(delayMs);
        return query(args);
      },
    },
  });
  onTestFinished(async () => {
    await client.$disconnect();
    await database.drop();
  });
  const app = await startApp({ prisma: slow as never }, { database });
  const { user, browser } = await app.signedIn();
  delayMs = 1700; // a statement may take 2 s
  const answer = await app.browser().post('/auth/login', { login: user.email, password: PASSWORD });
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toBe('2');
  expect(app.logger.lines.at(-1)).toMatchObject({ level: 'error', facts: { reason: 'too_slow' } });
  delayMs = 0;
  expect((await browser.post('/me/x', {})).status).toBe(200);
});
