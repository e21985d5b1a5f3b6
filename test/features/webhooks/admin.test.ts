// Shows that webhooks are managed at /admin by routes and by forms, by nobody without the right, and that a secret is shown once.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { startReceiver } from '../../support/receiver.js';

async function signedInAs(app: TestInstance, role: string) {
  const { user, browser } = await app.signedIn(`${role}@example.com`);
  await app.authTuna.roles.assign({ userId: user.id, role, scope: 'global' }, SYSTEM);
  await browser.post('/auth/login', { login: user.email, password: PASSWORD });
  return browser;
}

test('webhooks are created, read, changed, replayed and deleted over HTTP, and no answer but the first has the secret', async () => {
  const app = await startApp();
  const receiver = await startReceiver();
  const admin = await signedInAs(app, 'admin');
  const moderator = await signedInAs(app, 'moderator');
  const input = { url: receiver.url, events: ['document.published'] };
  const created = await admin.post('/admin/webhooks', input);
  expect([created.status, created.headers.get('cache-control')]).toEqual([201, 'no-store']);
  const { webhook, secret } = (await created.json()) as { webhook: { id: string }; secret: string };
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const path = `/admin/webhooks/${webhook.id}`;
  await app.authTuna.audit.record({ type: 'document.published', actor: SYSTEM });
  await app.authTuna.jobs.run('webhooks.deliver');
  const { items } = (await (await admin.get(`${path}/deliveries?status=delivered`)).json()) as {
    items: { id: string; type: string; body: string }[];
  };
  expect(items).toMatchObject([{ type: 'document.published', status: 'delivered', lastStatus: 204 }]);
  expect(JSON.parse(items[0]?.body ?? '')).toMatchObject({ type: 'document.published' });
  const answers = [
    await (await admin.get('/admin/webhooks')).text(),
    await (await admin.get(path)).text(),
    await (await admin.patch(path, { events: '*' })).text(),
  ];
  expect(answers.every((text) => text.includes(webhook.id) && !text.includes(secret))).toBe(true);

  const replay = `${path}/deliveries/${items[0]?.id}/replay`;
  const refused = {
    list: (await moderator.get('/admin/webhooks')).status,
    one: (await moderator.get(path)).status,
    create: (await moderator.post('/admin/webhooks', input)).status,
    change: (await moderator.patch(path, { enabled: false })).status,
    rotate: (await moderator.post(`${path}/rotate-secret`)).status,
    deliveries: (await moderator.get(`${path}/deliveries`)).status,
    replay: (await moderator.post(replay)).status,
    delete: (await moderator.delete(path)).status,
  };
  expect(new Set(Object.values(refused))).toEqual(new Set([403]));
  expect((await admin.patch(path, { other: 1 })).status).toBe(422);
  expect((await admin.get(`${path}/deliveries?status=x`)).status).toBe(422);
  expect((await admin.get('/admin/webhooks/unknown')).status).toBe(404);

  const rotated = (await (await admin.post(`${path}/rotate-secret`, { overlapSeconds: 60 })).json()) as {
    webhook: { previousSecretUntil: string };
    secret: string;
  };
  expect(rotated.secret).not.toBe(secret);
  expect(new Date(rotated.webhook.previousSecretUntil).getTime()).toBe(app.clock.now().getTime() + 60_000);
  expect((await admin.post(replay)).status).toBe(204);
  await app.authTuna.jobs.run('webhooks.deliver');
  expect(receiver.received.filter(({ headers }) => headers['webhook-id'] === items[0]?.id)).toHaveLength(2);
  app.clock.advance({ minutes: 11 });
  expect((await admin.delete(path)).status).toBe(401);
  await admin.post('/auth/login', { login: 'admin@example.com', password: PASSWORD });
  expect((await admin.delete(path)).status).toBe(204);
  expect((await admin.get(path)).status).toBe(404);
});

test('by form, without a script: a webhook is created, changed, disabled, enabled, given a new secret and deleted', async () => {
  const app = await startApp();
  const visitor = new PageVisitor(await signedInAs(app, 'superadmin'));
  const list = await visitor.open('/admin/webhooks');
  const csrfToken = / name="csrfToken" value="([^"]+)"/.exec(list.html)?.[1] ?? '';
  const create = async (url: string, events: string) => {
    const answer = await visitor.postFields('/admin/webhooks', { csrfToken, url, events });
    return [answer.status, await answer.text()] as const;
  };
  expect(await create('ftp://hooks.example/', '*')).toEqual([
    422,
    expect.stringContaining('value="ftp://hooks.example/"'),
  ]);
  const [, created] = await create('http://localhost:9/hooks', 'user.created, user.deleted');
  expect(created).toMatch(/whsec_/);
  const [webhook] = (await app.authTuna.webhooks.list()).items;
  expect(webhook).toMatchObject({ events: ['user.created', 'user.deleted'] });
  const path = `/admin/webhooks/${webhook?.id}`;
  expect((await visitor.open(path)).html).not.toMatch(/whsec_/);
  const post = async (verb: string, fields: Record<string, string> = {}) => {
    const answer = await visitor.postFields(`${path}/${verb}`, { csrfToken, ...fields });
    return [answer.status, answer.headers.get('location')];
  };
  expect(await post('update', { url: 'http://localhost:9/other', events: '*' })).toEqual([
    303,
    `${path}?done=updated`,
  ]);
  expect(await post('disable')).toEqual([303, `${path}?done=updated`]);
  expect(await app.authTuna.webhooks.get(webhook?.id ?? '')).toMatchObject({
    url: 'http://localhost:9/other',
    events: '*',
    disabledReason: 'by_admin',
  });
  expect(await post('enable')).toEqual([303, `${path}?done=updated`]);
  expect(await post('rotate-secret')).toEqual([200, null]);
  expect(await post('delete')).toEqual([303, '/admin/webhooks?done=deleted']);
  expect((await app.authTuna.webhooks.list()).items).toEqual([]);
});
