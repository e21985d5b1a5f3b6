// Shows that events reach a receiver signed and once, that no failure or crash loses one, and that no receiver harms anybody.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Webhook } from 'standardwebhooks';
import { expect, onTestFinished, test } from 'vitest';
import { reseal } from '../../../src/core/changes/reseal.js';
import { SYSTEM } from '../../../src/index.js';
import { partsOf } from '../../../src/parts.js';
import { SECRET, startApp, type TestInstance } from '../../support/app.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { as } from '../../support/people.js';
import { type Received, startReceiver } from '../../support/receiver.js';

const deliver = (app: TestInstance) => app.authTuna.jobs.run('webhooks.deliver');

/** The body, if the signature is right. The package reads the clock of the machine, so the age of a delivery is not judged. */
function verified(
  secret: string,
  { headers, body }: Received,
): { type: string; data: Record<string, unknown> } {
  const signer = new Webhook(secret);
  const at = new Date(Number(headers['webhook-timestamp']) * 1000);
  const expected = signer.sign(headers['webhook-id'] ?? '', at, body);
  expect((headers['webhook-signature'] ?? '').split(' ')).toContain(expected);
  return JSON.parse(body);
}

test('a receiver gets the events that it asked for, signed, with what the audit log has and no secret', async () => {
  const app = await startApp();
  const receiver = await startReceiver();
  const { webhooks } = app.authTuna;
  const { webhook, secret } = await webhooks.create(
    { url: receiver.url, events: ['user.created', 'document.published'] },
    SYSTEM,
  );
  const password = 'correct horse battery staple';
  const ada = await app.authTuna.users.create({ email: 'ada@example.com', password }, SYSTEM);
  await app.authTuna.audit.record({
    type: 'document.published',
    actor: { userId: ada.id, ip: '192.0.2.7', userAgent: 'Firefox' },
    target: { type: 'document', id: '9' },
    scope: 'org:acme',
    data: { title: 'Sardines' },
  });
  await app.authTuna.roles.assign({ userId: ada.id, role: 'moderator', scope: 'global' }, SYSTEM);
  await deliver(app);
  const bodies = receiver.received.map((each) => verified(secret, each));
  expect(bodies.map(({ type }) => type).sort()).toEqual(['document.published', 'user.created']);
  const { items } = await app.authTuna.audit.list({ type: 'document.published' });
  expect(bodies.find(({ type }) => type === 'document.published')).toEqual({
    type: 'document.published',
    timestamp: app.clock.now().toISOString(),
    data: {
      id: items[0]?.id,
      outcome: 'success',
      reason: null,
      actorId: ada.id,
      impersonatorId: null,
      target: { type: 'document', id: '9' },
      scope: 'org:acme',
      data: { title: 'Sardines' },
    },
  });
  expect(JSON.stringify(receiver.received)).not.toMatch(/correct horse|192\.0\.2\.7|Firefox/);
  expect((await webhooks.deliveries(webhook.id)).items).toMatchObject([
    { status: 'delivered', lastStatus: 204 },
    { status: 'delivered', lastStatus: 204 },
  ]);
  expect(JSON.stringify(await webhooks.list())).not.toContain(secret.slice(6));
  await deliver(app);
  expect(receiver.received).toHaveLength(2);
});

test('a delivery is tried again by its schedule under one id, given up after three days, and replayed', async () => {
  const app = await startApp();
  const receiver = await startReceiver();
  receiver.answer = (res) => void res.writeHead(503).end();
  const { webhooks, audit } = app.authTuna;
  const { webhook } = await webhooks.create({ url: receiver.url, events: ['document.published'] }, SYSTEM);
  await audit.record({ type: 'document.published', actor: SYSTEM });
  await deliver(app);
  for (const [index, seconds] of [5, 300, 1800, 7200, 18_000, ...Array<number>(6).fill(36_000)].entries()) {
    app.clock.advance({ seconds: seconds - 1 });
    await deliver(app);
    const before = receiver.received.length;
    app.clock.advance({ seconds: 1 });
    await deliver(app);
    expect([index, before, receiver.received.length]).toEqual([index, index + 1, index + 2]);
  }
  const [dead] = (await webhooks.deliveries(webhook.id, { status: 'dead' })).items;
  expect(dead).toMatchObject({ lastStatus: 503, lastError: 'the answer was 503', status: 'dead' });
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([dead?.id]));
  receiver.answer = (res) => void res.writeHead(200).end('thanks');
  await webhooks.replay(dead?.id ?? '', SYSTEM);
  await deliver(app);
  expect((await webhooks.deliveries(webhook.id)).items).toMatchObject([
    { status: 'delivered', lastError: null },
  ]);
  expect(await webhooks.get(webhook.id)).toMatchObject({ failingSince: null, disabledAt: null });
  app.clock.advance({ days: 8 });
  await app.authTuna.jobs.run('clean-up');
  expect((await webhooks.deliveries(webhook.id)).items).toEqual([]);
});

test('five days of failures, or an answer 410, disable a webhook with a mail to its maker and an audit entry', async () => {
  const app = await startMailedApp();
  const receiver = await startReceiver();
  receiver.answer = (res) => void res.writeHead(500).end();
  const { webhooks, audit, roles, users } = app.authTuna;
  const boss = await users.create({ email: 'boss@example.com', emailVerified: true }, SYSTEM);
  await roles.assign({ userId: boss.id, role: 'admin', scope: 'global' }, SYSTEM);
  const events = ['document.published'];
  const { webhook: failing } = await webhooks.create({ url: receiver.url, events }, as(boss.id));
  for (let day = 0; day < 6; day += 1) {
    await audit.record({ type: 'document.published', actor: SYSTEM });
    await deliver(app);
    expect((await webhooks.get(failing.id)).disabledAt === null).toBe(day < 5);
    app.clock.advance({ days: 1 });
  }
  expect(await webhooks.get(failing.id)).toMatchObject({ disabledReason: 'failing' });
  const sent = await app.mailTo(boss.email);
  expect(sent.text).toContain('127.0.0.1');
  expect(sent.text).not.toContain('/hooks');
  expect((await audit.list({ type: 'webhook.disabled' })).items).toMatchObject([
    { targetId: failing.id, reason: 'failing' },
  ]);

  const before = receiver.received.length;
  await audit.record({ type: 'document.published', actor: SYSTEM });
  app.clock.advance({ days: 1 });
  await deliver(app);
  expect(receiver.received).toHaveLength(before);

  receiver.answer = (res) => void res.writeHead(410).end();
  const { webhook: gone } = await webhooks.create({ url: receiver.url, events }, as(boss.id));
  await audit.record({ type: 'document.published', actor: SYSTEM });
  await deliver(app);
  expect(await webhooks.get(gone.id)).toMatchObject({ disabledReason: 'gone' });
  expect((await webhooks.deliveries(gone.id)).items).toMatchObject([{ status: 'dead', attempts: 1 }]);
});

test('a receiver that hangs, redirects or answers without end delays no other receiver and harms nobody', async () => {
  const app = await startApp();
  const [hanging, redirecting, endless, good] = [
    await startReceiver(),
    await startReceiver(),
    await startReceiver(),
    await startReceiver(),
  ];
  hanging.answer = () => {};
  redirecting.answer = (res) =>
    void res.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
  endless.answer = (res) => {
    let isOpen = true;
    res.on('close', () => {
      isOpen = false;
    });
    const more = () => {
      while (isOpen && res.write(Buffer.alloc(65_536)));
      if (isOpen) res.once('drain', more);
    };
    more();
  };
  const { webhooks, audit } = app.authTuna;
  const ids: string[] = [];
  for (const { url } of [hanging, redirecting, endless, good])
    ids.push((await webhooks.create({ url, events: ['document.published'] }, SYSTEM)).webhook.id);
  await audit.record({ type: 'document.published', actor: SYSTEM });
  await deliver(app);
  const outcomes = await Promise.all(
    ids.map(async (id) =>
      (await webhooks.deliveries(id)).items.map(({ status, lastError }) => [status, lastError]),
    ),
  );
  expect(outcomes).toEqual([
    [['waiting', 'no answer came in time']],
    [['waiting', 'unexpected redirect']],
    [['waiting', expect.stringMatching(/more than 1048576 bytes/)]],
    [['delivered', null]],
  ]);
}, 30_000);

test('a killed sender repeats a delivery under its id and never loses one', async () => {
  const app = await startApp();
  const receiver = await startReceiver();
  receiver.answer = (res) => void res.writeHead(503).end();
  const { webhooks, audit } = app.authTuna;
  const { webhook } = await webhooks.create({ url: receiver.url, events: ['document.published'] }, SYSTEM);
  for (const n of [1, 2]) await audit.record({ type: 'document.published', actor: SYSTEM, data: { n } });
  await deliver(app);
  let child: ChildProcess | undefined;
  receiver.received.length = 0;
  receiver.answer = () => void child?.kill('SIGKILL');
  const settings = {
    baseUrl: 'http://localhost:3000',
    secret: SECRET,
    database: app.database.url,
    now: new Date(app.clock.now().getTime() + 6000),
  };
  const script = fileURLToPath(new URL('../../support/webhook-process.js', import.meta.url));
  child = fork(script, [JSON.stringify(settings)], { stdio: 'inherit' });
  onTestFinished(() => void child?.kill('SIGKILL'));
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
  expect(receiver.received).toHaveLength(1);

  receiver.answer = (res) => void res.writeHead(204).end();
  app.clock.advance({ seconds: 6 });
  await deliver(app); // the one that the dead process held waits for its lock
  expect(receiver.received).toHaveLength(2);
  app.clock.advance({ minutes: 2 });
  await deliver(app);
  const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
  expect([ids.length, new Set(ids).size]).toEqual([3, 2]);
  expect((await webhooks.deliveries(webhook.id, { status: 'delivered' })).items).toHaveLength(2);
}, 60_000);

test('a replaced secret signs as well until its overlap ends, and secrets are sealed and sealed again', async () => {
  const app = await startApp();
  const receiver = await startReceiver();
  const { webhooks, audit } = app.authTuna;
  const { webhook, secret: first } = await webhooks.create({ url: receiver.url, events: '*' }, SYSTEM);
  const { secret: second } = await webhooks.rotateSecret(webhook.id, { overlapSeconds: 3600 }, SYSTEM);
  await deliver(app);
  const last = () => receiver.received.at(-1) as Received;
  for (const secret of [first, second]) verified(secret, last());
  app.clock.advance({ seconds: 3601 });
  await audit.record({ type: 'document.published', actor: SYSTEM });
  await deliver(app);
  verified(second, last());
  expect((last().headers['webhook-signature'] ?? '').split(' ')).toHaveLength(1);

  const newest = 'Ab3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gB';
  const rotated = await startApp({ secrets: [newest, SECRET] }, { database: app.database, clock: app.clock });
  const parts = partsOf(rotated.authTuna);
  if (parts === null) throw new Error('an instance has no parts');
  const { sealed } = await reseal(parts.core, parts.sealed);
  expect(sealed).toMatchObject({ 'webhook secrets': 1, 'replaced webhook secrets': 1 });
  const row = await parts.core.db.webhook.findUnique({ where: { id: webhook.id } });
  expect(JSON.stringify(row)).not.toContain(second.slice(6));
});

test('an event is not lost when its change fails, and is stored with it on every instance that knows the webhook', async () => {
  const app = await startApp();
  const receiver = await startReceiver();
  const other = await startApp({}, { database: app.database, clock: app.clock });
  await other.authTuna.audit.record({ type: 'document.published', actor: SYSTEM });
  const { webhooks } = app.authTuna;
  const { webhook } = await webhooks.create(
    { url: receiver.url, events: ['document.published', 'user.created'] },
    SYSTEM,
  );
  app.clock.advance({ seconds: 10 });
  await other.authTuna.audit.record({ type: 'document.published', actor: SYSTEM });
  await app.authTuna.users.create({ email: 'ada@example.com' }, SYSTEM);
  await expect(app.authTuna.users.create({ email: 'ada@example.com' }, SYSTEM)).rejects.toMatchObject({
    code: 'conflict',
  });
  expect((await webhooks.deliveries(webhook.id)).items.map(({ type }) => type).sort()).toEqual([
    'document.published',
    'user.created',
  ]);
  await webhooks.delete(webhook.id, SYSTEM);
  await app.authTuna.audit.record({ type: 'document.published', actor: SYSTEM });
  await expect(webhooks.deliveries(webhook.id)).rejects.toMatchObject({ code: 'not_found' });
});

test('only those with webhooks:manage change a webhook, and addresses, names and unknown fields are checked', async () => {
  const app = await startApp();
  const { webhooks, users, roles } = app.authTuna;
  const moderator = await users.create({ email: 'mo@example.com' }, SYSTEM);
  await roles.assign({ userId: moderator.id, role: 'moderator', scope: 'global' }, SYSTEM);
  const { webhook } = await webhooks.create({ url: 'https://hooks.example/x', events: '*' }, SYSTEM);
  const actor = as(moderator.id);
  const input = { url: 'https://hooks.example/x', events: '*' } as const;
  for (const refused of [
    () => webhooks.create(input, actor),
    () => webhooks.update(webhook.id, { events: '*' }, actor),
    () => webhooks.rotateSecret(webhook.id, {}, actor),
    () => webhooks.replay('x', actor),
    () => webhooks.delete(webhook.id, actor),
  ])
    await expect(refused()).rejects.toMatchObject({ code: 'forbidden' });
  const production = await startApp(
    { baseUrl: 'https://app.example', mail: { from: 'a@app.example', transport: { send: async () => {} } } },
    { database: app.database, clock: app.clock },
  );
  for (const change of [
    { url: 'http://hooks.example/' },
    { url: 'http://127.0.0.1:1/' },
    { url: 'https://10.0.0.1/' },
    { url: 'https://169.254.169.254/' },
    { url: 'https://user:secret@hooks.example/' },
    { url: 'https://hooks.example/#part' },
    { events: ['user created'] },
    { events: [] },
    { other: 1 },
  ])
    await expect(
      production.authTuna.webhooks.update(webhook.id, change as never, SYSTEM),
    ).rejects.toMatchObject({ code: 'invalid_input' });
  expect(await webhooks.get(webhook.id)).toMatchObject({ url: 'https://hooks.example/x', events: '*' });
});
