import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { codeOf, person } from '../../support/people.js';

/** A host that passes the actor of its requests on to managers, as docs/access.md says. */
async function hostOfManagers() {
  let org = '';
  const app = await startApp(
    { privacy: { consents: { news: { version: '1', label: 'News by mail' } } } },
    {
      routes: (express, tuna) =>
        void express.post(
          '/act/:what/:id',
          tuna.requireUser({ credentials: ['session', 'api_key', 'access_token'] }),
          async (req, res) => {
            const id = String(req.params.id);
            const { actor } = req.auth;
            const acts: Record<string, () => Promise<unknown>> = {
              assign: () => tuna.roles.assign({ userId: id, role: 'admin', scope: 'global' }, actor),
              suspend: () => tuna.users.suspend(id, 'why', actor),
              rename: () => tuna.orgs.update(org, { name: 'Other' }, actor),
              found: () => tuna.orgs.create({ name: 'Acme' }, actor),
              key: () => tuna.apiKeys.create({ userId: actor.userId ?? '', name: 'Second' }, actor),
              handOver: () =>
                tuna.handOver.issue({ audience: 'https://other.example', nonce: 'n'.repeat(32) }, actor),
              consent: () => tuna.account.giveConsent(actor.userId ?? '', 'news', actor),
              factor: () => tuna.mfa.beginTotp(actor.userId ?? '', actor),
              leave: () => tuna.account.requestDeletion(actor.userId ?? '', actor),
            };
            res.json(await codeOf(acts[String(req.params.what)]?.() ?? Promise.resolve()));
          },
        ),
    },
  );
  const boss = await person(app, 'boss', 'superadmin');
  org = (await app.authTuna.orgs.create({ name: 'Org', ownerId: boss }, SYSTEM)).id;
  const target = await person(app, 'target');
  const asked = async (headers: Record<string, string>, what: string) =>
    (await (await app.browser().post(`/act/${what}/${target}`, {}, { headers })).json()) as string;
  return { ...app, boss, target, asked };
}

const OF_PEOPLE = ['consent', 'factor', 'leave'];
const ACTS = ['assign', 'suspend', 'rename', 'found', 'key', 'handOver', ...OF_PEOPLE];

test('the actor of a limited key or token can do by managers what the credential can do, and no more (AK-3, D2)', async () => {
  const { authTuna, boss, asked } = await hostOfManagers();
  const { key } = await authTuna.apiKeys.create({ userId: boss, name: 'Nothing', grants: [] }, SYSTEM);
  const { access_token: scoped } = await authTuna.bearer.issue(
    boss,
    { amr: ['pwd'], scope: 'project:read' },
    SYSTEM,
  );
  for (const credential of [key, scoped])
    for (const act of ACTS)
      expect([act, await asked({ authorization: `Bearer ${credential}` }, act)]).toEqual([act, 'forbidden']);
  const { key: whole } = await authTuna.apiKeys.create({ userId: boss, name: 'All' }, SYSTEM);
  const { access_token: full } = await authTuna.bearer.issue(boss, { amr: ['pwd'] }, SYSTEM);
  expect(await asked({ authorization: `Bearer ${whole}` }, 'assign')).toBe('done');
  expect(await asked({ authorization: `Bearer ${full}` }, 'suspend')).toBe('done');
  // A key is no person, however much it may do.
  for (const act of OF_PEOPLE)
    expect([act, await asked({ authorization: `Bearer ${whole}` }, act)]).toEqual([act, 'forbidden']);
  // Neither makes a credential that outlives it.
  for (const credential of [whole, full])
    for (const act of ['key', 'handOver'])
      expect(await asked({ authorization: `Bearer ${credential}` }, act)).toBe('forbidden');
});

test('a key that is made while the password is reset by mail does not survive the reset (SS-11, D23)', async () => {
  const app = await startMailedApp();
  const { authTuna } = app;
  for (let round = 0; round < 3; round += 1) {
    const { user, browser } = await app.signedIn(`victim${round}@example.com`);
    await app.browser().post('/auth/forgot-password', { email: user.email });
    const { text } = await app.mailTo(user.email);
    const token = decodeURIComponent(/[?&]token=([\w.%-]+)/.exec(text)?.[1] ?? '');
    const making = Array.from({ length: 12 }, (_, n) => browser.post('/auth/api-keys', { name: `k${n}` }));
    const reset = app.browser().post('/auth/reset-password', { token, newPassword: `${PASSWORD} anew` });
    await Promise.all(making);
    expect((await reset).status).toBe(200);
    const keys = (await authTuna.apiKeys.list(user.id)).items;
    expect(keys.filter(({ revokedAt }) => revokedAt === null)).toEqual([]);
  }
});

test('the actor of a session that has ended makes no key (SS-11)', async () => {
  const app = await startApp();
  const { user } = await app.signedIn();
  const [session] = await app.authTuna.sessions.list(user.id);
  const actor = { userId: user.id, ip: null, userAgent: null, sessionId: session?.id ?? '' };
  await app.authTuna.sessions.revokeAll(user.id, SYSTEM);
  const input = { userId: user.id, name: 'Late' };
  expect(await codeOf(app.authTuna.apiKeys.create(input, actor))).toBe('session_revoked');
});

test('a publishable key, which everybody may read, is not ended by a finder', async () => {
  const app = await startApp();
  const { authTuna } = app;
  const ada = await person(app, 'ada');
  const { key } = await authTuna.apiKeys.create({ userId: ada, name: 'Page', kind: 'publishable' }, SYSTEM);
  const found = await app.browser().post('/auth/api-keys/revoke-leaked', { key });
  expect(await found.json()).toEqual({ revoked: false });
});
