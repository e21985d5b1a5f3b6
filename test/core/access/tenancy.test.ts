import { expect, test } from 'vitest';
import { MODELS } from '../../../src/db/client.js';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { enrolTotp, json } from '../../support/factors.js';
import { inDatabase } from '../../support/sessions.js';

/** Two organizations with a team each; Ada administers one, Bob the other. */
async function twoTenants() {
  const changed: string[] = [];
  const app = await startApp(
    {},
    {
      routes(express, tuna) {
        const manage = (hide: boolean) =>
          tuna.requirePermission('team:manage', { scopeFrom: 'teamId', hide });
        express.post('/org/:orgId/team/:teamId', manage(false), (req, res) => {
          changed.push(String(req.params.teamId));
          res.json({});
        });
        express.post('/hidden/:orgId/team/:teamId', manage(true), (req, res) => {
          changed.push(String(req.params.teamId));
          res.json({});
        });
        express.get('/teams', tuna.requireUser(), async (req, res) => {
          const where = await tuna.access.whereFor(req.auth.user?.id ?? '', 'team:read', { team: 'id' });
          res.json({ where });
        });
      },
    },
  );
  const { authTuna } = app;
  const tenant = async (name: string) => {
    const person = await app.signedIn();
    await authTuna.scopes.register({ id: `team:of-${name}`, parent: `org:${name}` }, SYSTEM);
    await authTuna.roles.assign({ userId: person.user.id, role: 'org_admin', scope: `org:${name}` }, SYSTEM);
    return person;
  };
  return { app, changed, ada: await tenant('a'), bob: await tenant('b') };
}

test('the tree decides by the object, whatever organization stands in the address, the query or the body (RB-4)', async () => {
  const { app, changed, ada, bob } = await twoTenants();
  for (const path of [
    '/org/a/team/of-b',
    '/org/b/team/of-b',
    '/org/a/team/of-b?orgId=a',
    '/org/a/team/of-b?teamId=of-a',
    '/org/a/team/of-b?scope=org:a',
  ]) {
    for (const body of [
      undefined,
      { orgId: 'a' },
      { teamId: 'of-a' },
      { scope: 'team:of-a', parent: 'org:a' },
    ])
      expect((await ada.browser.post(path, body)).status, path).toBe(403);
  }
  expect(changed).toEqual([]);
  expect((await ada.browser.post('/org/a/team/of-a', { orgId: 'b' })).status).toBe(200);
  expect((await bob.browser.post('/org/b/team/of-b')).status).toBe(200);
  expect(changed).toEqual(['of-a', 'of-b']);

  // The parent is what the database says it is now, not what it was when somebody looked.
  await app.authTuna.scopes.move('team:of-b', 'org:a', SYSTEM);
  expect((await ada.browser.post('/org/a/team/of-b')).status).toBe(200);
  expect((await bob.browser.post('/org/b/team/of-b')).status).toBe(403);
});

test('what belongs to somebody else and what does not exist get the same bytes (RB-9)', async () => {
  const { app, ada, bob } = await twoTenants();
  const { user } = ada;
  const now = app.clock.now();
  const common = { userId: user.id, createdAt: now };
  await inDatabase(app, async (client) => {
    await client.passkey.create({
      data: {
        ...common,
        id: 'passkey-of-ada',
        credentialId: 'c',
        publicKey: 'p',
        userHandle: 'h',
        isBackupEligible: false,
        isBackedUp: false,
        aaguid: '',
        name: 'Key',
      },
    });
    await client.trustedDevice.create({
      data: {
        ...common,
        id: 'device-of-ada',
        secretHash: 's',
        epoch: 0,
        expiresAt: new Date(now.getTime() + 1e9),
      },
    });
  });
  const { items } = await json(ada.browser.get('/account/sessions'), 200);
  const bytesOf = async (method: string, path: string) => {
    const answer = await bob.browser.request(method, path);
    const headers = [...answer.headers].filter(([name]) => !['date', 'etag', 'keep-alive'].includes(name));
    return { status: answer.status, headers, body: await answer.text() };
  };
  for (const [method, path, foreign, unknown] of [
    ['POST', '/hidden/b/team/', 'of-a', 'of-c'],
    ['DELETE', '/account/sessions/', items[0].id, 'x'.repeat(items[0].id.length)],
    ['DELETE', '/auth/passkeys/', 'passkey-of-ada', 'passkey-of-eve'],
    ['PATCH', '/auth/passkeys/', 'passkey-of-ada', 'passkey-of-eve'],
    ['DELETE', '/auth/mfa/trusted-devices/', 'device-of-ada', 'device-of-eve'],
  ] as const) {
    const answer = await bytesOf(method, path + foreign);
    expect(answer, path).toEqual(await bytesOf(method, path + unknown));
    if (method !== 'PATCH') expect([path, answer.status]).toEqual([path, 404]);
  }
  await inDatabase(app, async (client) => {
    expect(await client.passkey.count({ where: { userId: user.id } })).toBe(1);
    expect(await client.trustedDevice.count({ where: { userId: user.id } })).toBe(1);
  });
  expect((await ada.browser.post('/me/x')).status).toBe(200);
  // A list is a condition for the database, in which nothing of the other tenant stands.
  expect(JSON.stringify(await json(bob.browser.get('/teams'), 200))).not.toContain('of-a');
  expect(JSON.stringify(await json(ada.browser.get('/teams'), 200))).toContain('of-a');
});

test('no answer holds a hash, a seed, a token or a column that only the library reads (RB-9)', async () => {
  const app = await startApp();
  const { browser, user } = await app.signedIn();
  await enrolTotp(app, browser);
  await json(browser.get('/me'), 200);
  const paths = [
    ...['/me', '/auth/user-info', '/account', '/account/sessions'],
    ...['/auth/mfa', '/auth/passkeys', '/auth/social'],
  ];
  const bodies: string[] = [];
  for (const path of paths) {
    const answer = await browser.get(path, { headers: { accept: 'application/json' } });
    expect([path, answer.status]).toEqual([path, 200]);
    bodies.push(await answer.text());
  }
  const keys = new Set(bodies.flatMap((body) => [...body.matchAll(/"(\w+)":/g)].map(([, key]) => key)));
  const internal = MODELS.flatMap(({ columns }) => columns).filter((column) =>
    /salt|hash|secret|sealed|epoch|generation|Key$|fingerprint|userHandle|lastStep|tokens|digest/i.test(
      column,
    ),
  );
  expect(internal.length).toBeGreaterThan(15);
  expect(internal.filter((column) => keys.has(column))).toEqual([]);

  // Nor under another name.
  const secrets = await inDatabase(app, async (client) => {
    const where = { where: { userId: user.id } };
    const [passwords, sessions, totps, codes] = await Promise.all([
      client.password.findMany(where),
      client.session.findMany(where),
      client.totp.findMany(where),
      client.recoveryCode.findMany(where),
    ]);
    return [
      ...passwords.map(({ hash }: { hash: string }) => hash),
      ...sessions.flatMap((row: { salt: string; previousSalt: string | null }) => [
        row.salt.split(':')[1],
        row.previousSalt?.split(':')[1],
      ]),
      ...totps.map(({ sealed }: { sealed: string }) => sealed),
      ...codes.map(({ hash }: { hash: string }) => hash),
    ].filter((secret): secret is string => secret !== undefined);
  });
  expect(secrets.length).toBeGreaterThan(10);
  const [, , signature = ''] = (browser.jar.get('at_sess') ?? '').split('.');
  for (const body of bodies) for (const secret of [...secrets, signature]) expect(body).not.toContain(secret);
});
