import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { SHIPPED_PERMISSIONS, SHIPPED_ROLES } from '../../src/core/access/shipped.js';
import { emptyDatabase, openDatabase } from '../support/database.js';

test('four processes that become ready at once on an empty database leave one of everything', async () => {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const script = fileURLToPath(new URL('../support/ready-process.js', import.meta.url));
  const children = Array.from({ length: 4 }, () =>
    fork(script, [database.url], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
  );
  const answers = () =>
    Promise.all(
      children.map(async (child) => {
        const [answer] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
        return answer as unknown;
      }),
    );
  expect(await answers()).toEqual(children.map(() => 'loaded'));
  const ready = answers();
  for (const child of children) child.send('go');
  for (const roles of (await ready) as string[][])
    expect([...roles].sort()).toEqual(Object.keys(SHIPPED_ROLES).sort());
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  type Table = { findMany(args: object): Promise<{ name: string; value: number }[]> };
  const names = async (table: unknown) =>
    (await (table as Table).findMany({ select: { name: true } })).map(({ name }) => name).sort();
  const { client } = connection;
  expect(await names(client.role)).toEqual(Object.keys(SHIPPED_ROLES).sort());
  expect(await names(client.permission)).toEqual(Object.keys(SHIPPED_PERMISSIONS).sort());
  // One of them made the roles, at once, and no other followed.
  const counters = await (client.counter as unknown as Table).findMany({});
  expect(counters.find(({ name }) => name === 'roles_version')?.value).toBe(1);
}, 120_000);
