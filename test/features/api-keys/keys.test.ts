import { expect, test } from 'vitest';
import { type CreateKeyInput, SYSTEM } from '../../../src/index.js';
import { crc62, DAY } from '../../support/api-keys.js';
import { startApp, type TestInstance } from '../../support/app.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';
import { as, codeOf, codesOf, every, person } from '../../support/people.js';

const KEY = /^at_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/;

/** Without those of jobs, which run when they like. */
const ofRequests = (statements: readonly string[]) =>
  statements.filter((statement) => !/Lease|OutboxMessage|Audit/.test(statement));

async function keyOf(
  { authTuna }: Pick<TestInstance, 'authTuna'>,
  userId: string,
  input: Partial<CreateKeyInput> = {},
) {
  return authTuna.apiKeys.create({ userId, name: 'Script', ...input }, SYSTEM);
}

test('a key has the form that scanners look for, and its text is stored nowhere (AK-1, AK-2)', async () => {
  const app = await startApp();
  const { authTuna } = app;
  const ada = await person(app, 'ada');
  const { apiKey, key } = await authTuna.apiKeys.create({ userId: ada, name: ' Script ' }, as(ada));
  expect(key).toMatch(KEY);
  expect(key.endsWith(crc62(key.slice(0, -7)))).toBe(true);
  expect(apiKey).toMatchObject({
    userId: ada,
    name: 'Script',
    kind: 'secret',
    start: key.slice(0, 20),
    grants: null,
    allowedIps: [],
    lastUsedAt: null,
    revokedAt: null,
  });
  const listed = await authTuna.apiKeys.list(ada);
  const audit = await authTuna.audit.list({ type: 'api_key.created' });
  const secret = key.split('_')[3] as string;
  expect(JSON.stringify([listed, audit, app.logger.lines])).not.toContain(secret);
  expect(audit.items).toMatchObject([{ actorId: ada, targetType: 'api_key', targetId: apiKey.id }]);
  expect(await authTuna.apiKeys.verify(key)).toMatchObject({ id: apiKey.id, userId: ada });
  await authTuna.apiKeys.revoke(apiKey.id, as(ada));
  expect(await authTuna.apiKeys.verify(key)).toBeNull();
});

test('each kind says in its text what it is, and a test key is refused on https (AK-1)', async () => {
  const app = await startApp();
  const ada = await person(app, 'ada');
  const starts = await Promise.all(
    (['secret', 'publishable', 'master', 'test'] as const).map(
      async (kind) => (await keyOf(app, ada, { kind })).key.split('_')[1],
    ),
  );
  expect(starts).toEqual(['live', 'pub', 'master', 'test']);
  const { key } = await keyOf(app, ada, { kind: 'test' });
  const secure = await startApp(
    { baseUrl: 'https://app.example.com', signUp: { requireVerifiedEmail: false } },
    { database: app.database, clock: app.clock },
  );
  expect(await app.authTuna.apiKeys.verify(key)).not.toBeNull();
  expect(await secure.authTuna.apiKeys.verify(key)).toBeNull();
  expect(await codeOf(keyOf(secure, ada, { kind: 'test' }))).toBe('invalid_input');
});

test('a prefix of the host’s own stands in its keys', async () => {
  const app = await startApp({ apiKeys: { prefix: 'acme' } });
  const { key } = await keyOf(app, await person(app, 'ada'));
  expect(key).toMatch(/^acme_live_/);
  expect(await app.authTuna.apiKeys.verify(key)).not.toBeNull();
});

test('text that is no key, a wrong checksum and an id that was never given out cost no query (AK-1)', async () => {
  const database = await freshDatabase();
  const { client, statements } = countingClient(database);
  const app = await startApp({ prisma: client }, { database });
  const { authTuna } = app;
  const ada = await person(app, 'ada');
  const { key } = await keyOf(app, ada);
  const [, , id = '', secret = ''] = key.split('_');
  const made = (otherId: string, otherSecret = secret) => {
    const body = `at_live_${otherId}_${otherSecret}`;
    return `${body}_${crc62(body)}`;
  };
  expect(await authTuna.apiKeys.verify(made('0000000aaaaa'))).toBeNull(); // asks once whether keys of former secrets exist
  const flipped = key.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a'));
  const before = statements.length;
  for (const text of [
    '',
    'at_live_',
    'x'.repeat(5000),
    flipped,
    key.slice(0, -1),
    `${key}0`,
    key.toUpperCase(),
  ])
    expect(await authTuna.apiKeys.verify(text)).toBeNull();
  for (let number = 0; number < 200; number += 1) {
    const stranger = `${String(number).padStart(7, '0')}${id.slice(7)}`;
    if (stranger === id) continue;
    expect(await authTuna.apiKeys.verify(made(stranger))).toBeNull();
  }
  expect(ofRequests(statements.slice(before))).toEqual([]);
  // Wrong secrets for a real id are looked up once a second, and the right one goes on.
  const guesses = Array.from({ length: 100 }, (_, number) =>
    made(id, secret.slice(0, -3) + String(number).padStart(3, '0')),
  );
  const asked = ofRequests(statements).length;
  expect(await authTuna.apiKeys.verify(guesses[0] as string)).toBeNull();
  const once = ofRequests(statements).length - asked;
  for (const guess of guesses) expect(await authTuna.apiKeys.verify(guess)).toBeNull();
  expect(ofRequests(statements).length - asked).toBe(once);
  expect(await authTuna.apiKeys.verify(key)).not.toBeNull();
  await client.$disconnect();
});

test('a key outlives the secret that was first in the list when it was made, and a flood of such ids is bounded', async () => {
  const app = await startApp();
  const ada = await person(app, 'ada');
  const { key } = await keyOf(app, ada);
  const { client, statements } = countingClient(app.database);
  const other = await startApp(
    { secrets: ['q8Jr2VfT6yLx0Hn4Wc9Kb7Md1Zs5Ga3E'], prisma: client },
    { database: app.database, clock: app.clock },
  );
  expect(await other.authTuna.apiKeys.verify(key)).toMatchObject({ userId: ada });
  const before = ofRequests(statements).length;
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, number) => {
      const body = `at_live_${String(number).padStart(12, '0')}_${'a'.repeat(43)}`;
      return codeOf(other.authTuna.apiKeys.verify(`${body}_${crc62(body)}`));
    }),
  );
  expect(answers.filter((code) => code === 'rate_limited').length).toBeGreaterThanOrEqual(175);
  expect(ofRequests(statements).length - before).toBeLessThan(25);
  other.clock.advance({ seconds: 1 });
  expect(await other.authTuna.apiKeys.verify(key)).toMatchObject({ userId: ada });
  await client.$disconnect();
});

test('only the owner makes keys, and a key makes none (AK-4, AK-7)', async () => {
  const app = await startApp();
  const { apiKeys } = app.authTuna;
  const ada = await person(app, 'ada');
  const bob = await person(app, 'bob');
  const admin = await person(app, 'admin', 'superadmin');
  const own = { userId: ada, name: 'Script' };
  const { apiKey } = await apiKeys.create(own, as(ada));
  const nobody = { userId: null, ip: null, userAgent: null };
  expect(
    await codesOf({
      ofAnother: apiKeys.create(own, as(admin)),
      byKey: apiKeys.create(own, { ...as(ada), apiKeyId: apiKey.id }),
      asAnother: apiKeys.create(own, { ...as(ada), impersonatorId: admin }),
    }),
  ).toEqual(every({ ofAnother: 0, byKey: 0, asAnother: 0 }, 'forbidden'));
  expect(
    await codesOf({
      stranger: apiKeys.create(own, nobody),
      unknown: apiKeys.create({ userId: 'nobody', name: 'x' }, SYSTEM),
      rotatedByAnother: apiKeys.rotate(apiKey.id, {}, as(admin)),
      revokedByAnother: apiKeys.revoke(apiKey.id, as(bob)),
    }),
  ).toEqual({
    stranger: 'unauthenticated',
    unknown: 'not_found',
    rotatedByAnother: 'not_found',
    revokedByAnother: 'not_found',
  });
  await apiKeys.revoke(apiKey.id, as(admin)); // holds apikeys:manage and outranks
  expect((await apiKeys.list(ada)).items).toMatchObject([{ id: apiKey.id }]);
});

test('what is out of bounds is refused and nothing is stored (AK-6, AK-7)', async () => {
  const app = await startApp();
  const { apiKeys } = app.authTuna;
  const ada = await person(app, 'ada');
  const wrong: Record<string, object> = {
    tooLong: { expiresInSeconds: 367 * DAY },
    negative: { expiresInSeconds: -1 },
    fraction: { expiresInSeconds: 60.5 },
    kind: { kind: 'other' },
    name: { name: 'two\nlines' },
    noName: { name: '   ' },
    unknown: { permissions: ['*'] },
    address: { allowedIps: ['300.1.1.1'] },
    masterWithGrants: { kind: 'master', grants: [{ role: 'user', scope: 'global' }] },
    publicWithGrants: { kind: 'publishable', grants: [] },
    limit: { rateLimit: { limit: 0, windowSeconds: 1 } },
  };
  const calls = Object.fromEntries(
    Object.entries(wrong).map(([what, input]) => [what, keyOf(app, ada, input as Partial<CreateKeyInput>)]),
  );
  expect(await codesOf(calls)).toEqual(every(wrong, 'invalid_input'));
  expect((await apiKeys.list(ada)).items).toEqual([]);
  const { apiKey } = await keyOf(app, ada);
  expect(apiKey.expiresAt?.getTime()).toBe(app.clock.now().getTime() + 90 * DAY * 1000);
});

test('of 30 keys that are made at once 25 are, and of eight master keys five (AK-6)', async () => {
  const app = await startApp();
  const ada = await person(app, 'ada');
  const bob = await person(app, 'bob');
  const answers = await Promise.all(Array.from({ length: 30 }, () => codeOf(keyOf(app, ada))));
  expect(answers.filter((code) => code === 'done')).toHaveLength(25);
  expect(answers.filter((code) => code === 'conflict')).toHaveLength(5);
  const masters = await Promise.all(
    Array.from({ length: 8 }, () => codeOf(keyOf(app, bob, { kind: 'master' }))),
  );
  expect(masters.filter((code) => code === 'done')).toHaveLength(5);
  // A key that has ended makes room.
  const [first] = (await app.authTuna.apiKeys.list(ada)).items;
  await app.authTuna.apiKeys.revoke(first?.id as string, as(ada));
  expect(await codeOf(keyOf(app, ada))).toBe('done');
  expect(await codeOf(keyOf(app, ada))).toBe('conflict');
  app.clock.advance({ seconds: 91 * DAY });
  expect(await codeOf(keyOf(app, ada))).toBe('done');
});

test('a replaced key works until the overlap ends, and its successor from the first moment', async () => {
  const app = await startApp();
  const { apiKeys } = app.authTuna;
  const ada = await person(app, 'ada');
  const { apiKey, key } = await keyOf(app, ada, { expiresInSeconds: 10 * DAY });
  app.clock.advance({ seconds: 5 * DAY });
  const next = await apiKeys.rotate(apiKey.id, { overlapSeconds: 3600 }, as(ada));
  expect(next.apiKey).toMatchObject({ id: apiKey.id, start: apiKey.start, name: apiKey.name });
  expect(next.apiKey.expiresAt?.getTime()).toBe(app.clock.now().getTime() + 10 * DAY * 1000);
  expect(next.key).not.toBe(key);
  app.clock.advance({ seconds: 3599 });
  expect(await apiKeys.verify(key)).not.toBeNull();
  expect(await apiKeys.verify(next.key)).not.toBeNull();
  app.clock.advance({ seconds: 1 });
  expect(await apiKeys.verify(key)).toBeNull();
  expect(await apiKeys.verify(next.key)).not.toBeNull();
  const last = await apiKeys.rotate(apiKey.id, { overlapSeconds: 0 }, as(ada));
  expect(await apiKeys.verify(next.key)).toBeNull();
  expect(await apiKeys.verify(last.key)).not.toBeNull();
  await apiKeys.revoke(apiKey.id, as(ada));
  expect(await codeOf(apiKeys.rotate(apiKey.id, {}, as(ada)))).toBe('conflict');
  expect(await codeOf(apiKeys.rotate('nothing', {}, as(ada)))).toBe('not_found');
});

test('of racing rotations one wins', async () => {
  const app = await startApp();
  const { apiKeys } = app.authTuna;
  const ada = await person(app, 'ada');
  const { apiKey } = await keyOf(app, ada);
  const keys: string[] = [];
  const answers = await Promise.all(
    Array.from({ length: 8 }, () =>
      codeOf(apiKeys.rotate(apiKey.id, { overlapSeconds: 0 }, as(ada)).then(({ key }) => keys.push(key))),
    ),
  );
  const works = await Promise.all(keys.map((key) => apiKeys.verify(key)));
  expect(works.filter((found) => found !== null)).toHaveLength(1);
  expect(answers.every((code) => code === 'done' || code === 'conflict')).toBe(true);
});

test('a grant is a role that the owner holds, and goes with it in the same write for good (AK-3)', async () => {
  const app = await startApp();
  const { apiKeys, roles } = app.authTuna;
  const ada = await person(app, 'ada');
  await roles.create({ name: 'reader', permissions: ['doc:read'] });
  await roles.assign({ userId: ada, role: 'reader', scope: 'project:1' }, SYSTEM);
  const grants = [{ role: 'reader', scope: 'project:1' }];
  expect(
    await codesOf({
      elsewhere: keyOf(app, ada, { grants: [{ role: 'reader', scope: 'project:2' }] }),
      unheld: keyOf(app, ada, { grants: [{ role: 'admin', scope: 'global' }] }),
      unknown: keyOf(app, ada, { grants: [{ role: 'nothing', scope: 'global' }] }),
    }),
  ).toEqual(every({ elsewhere: 0, unheld: 0, unknown: 0 }, 'forbidden'));
  const { apiKey, key } = await keyOf(app, ada, { grants });
  expect(apiKey.grants).toEqual(grants);
  await roles.unassign({ userId: ada, role: 'reader', scope: 'project:1' }, SYSTEM);
  expect(await apiKeys.verify(key)).toMatchObject({ grants: [] });
  await roles.assign({ userId: ada, role: 'reader', scope: 'project:1' }, SYSTEM);
  expect(await apiKeys.verify(key)).toMatchObject({ grants: [] });
});

test('a key is dead while its owner is suspended or deleted, and ends with a reset password (SS-11)', async () => {
  const app = await startApp();
  const { authTuna } = app;
  const ada = await person(app, 'ada');
  const { key, apiKey } = await keyOf(app, ada);
  await authTuna.users.suspend(ada, 'test', SYSTEM);
  expect(await authTuna.apiKeys.verify(key)).toBeNull();
  expect(await codeOf(keyOf(app, ada))).toBe('account_suspended');
  await authTuna.users.unsuspend(ada, 'test', SYSTEM);
  expect(await authTuna.apiKeys.verify(key)).not.toBeNull();
  app.clock.advance({ seconds: 91 * DAY });
  expect(await authTuna.apiKeys.verify(key)).toBeNull();
  expect(await codeOf(authTuna.apiKeys.rotate(apiKey.id, {}, as(ada)))).toBe('conflict');
});

test('anybody who has a key may end it, and learns nothing else (AK-5)', async () => {
  const app = await startApp();
  const ada = await person(app, 'ada');
  const { key, apiKey } = await keyOf(app, ada);
  const browser = app.browser();
  const report = async (text: string) =>
    (await browser.post('/auth/api-keys/revoke-leaked', { key: text })).json();
  const other = key.endsWith('x') ? 'y' : 'x';
  expect(await report(key.slice(0, -1) + other)).toEqual({ revoked: false });
  expect(await report(key)).toEqual({ revoked: true });
  expect(await report(key)).toEqual({ revoked: false });
  expect(await app.authTuna.apiKeys.verify(key)).toBeNull();
  const { items } = await app.authTuna.audit.list({ type: 'api_key.revoked' });
  expect(items).toMatchObject([{ reason: 'leaked', actorId: null, targetId: apiKey.id }]);
  expect((await browser.post('/auth/api-keys/revoke-leaked', { key, extra: 1 })).status).toBe(422);
});
