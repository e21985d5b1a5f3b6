import { describe, expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { enrolTotp } from '../../support/factors.js';

/** An app whose route asks `req.auth` and managers instead of a guard. */
async function startUnguarded(mfa: object = {}) {
  let orgId = '';
  const app = await startApp(
    { mfa },
    {
      routes: (server, authTuna) => {
        server.post('/unguarded', async (req, res) => {
          const { auth } = req;
          const refused = (work: Promise<unknown>) =>
            work.then(
              () => null,
              ({ code }) => code,
            );
          const copy = { ...auth.actor };
          res.json({
            can: await auth.can('users:manage'),
            hasRole: await auth.hasRole('admin'),
            require: await refused(auth.require('users:manage')),
            create: await refused(authTuna.users.create({ email: `x${Date.now()}@example.com` }, auth.actor)),
            assign: await refused(
              authTuna.roles.assign({ userId: req.query.of as string, role: 'user', scope: 'global' }, copy),
            ),
            update: await refused(authTuna.users.update(auth.user?.id ?? '', { username: null }, auth.actor)),
            revoke: await refused(authTuna.sessions.revokeAll(req.query.of as string, auth.actor)),
            key: await refused(
              authTuna.apiKeys.create({ userId: auth.user?.id ?? '', name: 'x' }, auth.actor),
            ),
            handOver: await refused(
              authTuna.handOver.issue(
                { audience: 'https://files.example.com', nonce: 'nonce-of-the-browser-1' },
                copy,
              ),
            ),
            org: await refused(authTuna.orgs.create({ name: 'Acme' }, auth.actor)),
            renamed: await refused(authTuna.orgs.update(orgId, { name: 'Acme' }, auth.actor)),
            joined: await refused(authTuna.orgs.join(orgId, auth.actor)),
          });
        });
      },
    },
  );
  const { user, browser } = await app.signedIn('admin@example.com');
  const other = await app.authTuna.users.create({ email: 'other@example.com' });
  await app.authTuna.roles.assign({ userId: user.id, role: 'admin', scope: 'global' }, SYSTEM);
  orgId = (await app.authTuna.orgs.create({ name: 'Acme', ownerId: user.id }, SYSTEM)).id;
  const ask = async () => (await browser.post(`/unguarded?of=${other.id}`, {})).json();
  return { app, user, browser, ask };
}

const refusedAs = (code: string) => ({
  can: false,
  hasRole: false,
  require: code,
  create: code,
  assign: code,
  update: code,
  revoke: code,
  key: code,
  handOver: code,
  org: code,
  renamed: code,
  joined: code,
});
const ALLOWED = {
  can: true,
  hasRole: true,
  require: null,
  create: null,
  assign: null,
  update: null,
  revoke: null,
  key: null,
  handOver: null,
  org: null,
  renamed: null,
  joined: 'not_found',
};

describe('what a guard refuses to a user who must do something first, req.auth and managers refuse too', () => {
  test('a new password must be chosen (RB-1)', async () => {
    const { app, user, ask } = await startUnguarded();
    expect(await ask()).toEqual(ALLOWED);
    await app.authTuna.passwords.requireChange(user.id, SYSTEM);
    expect(await ask()).toEqual(refusedAs('password_change_required'));
  });

  test('a second factor must be set up (RB-1, MB-1)', async () => {
    const { app, browser, ask } = await startUnguarded({ requiredForRoles: ['admin'] });
    expect(await ask()).toEqual(refusedAs('enrollment_required'));
    await enrolTotp(app, browser);
    expect(await ask()).toEqual(ALLOWED);
  });

  test('a function of the host that says who needs a factor may ask what the user holds', async () => {
    const { ask } = await startUnguarded({
      policy: async (_user: object, auth: { can(permission: string): Promise<boolean> }) =>
        (await auth.can('users:manage')) ? 'required' : 'optional',
    });
    expect(await ask()).toEqual(refusedAs('enrollment_required'));
  });
});

test('no field of a request holds what a database cannot keep: a zero byte, or half of a surrogate pair', async () => {
  const app = await startApp({ signUp: { requireVerifiedEmail: false } });
  const { browser } = await app.signedIn();
  const odd = ['zero\0byte in a long one', 'half \ud800 a pair, long', 'half \udc00 a pair, long'];
  for (const text of odd) {
    const bodies = [
      [app.browser(), '/auth/signup', { email: 'new@example.com', password: text }],
      [
        app.browser(),
        '/auth/signup',
        { email: 'new@example.com', username: text, password: 'a long password 9' },
      ],
      [app.browser(), '/auth/login', { login: text, password: 'a long password 9' }],
      [app.browser(), '/auth/login', { login: 'ada@example.com', password: text }],
      [browser, '/auth/step-up', { password: text }],
    ] as const;
    for (const [by, path, body] of bodies) {
      const answer = await by.post(path, body);
      expect(answer.status, `${path} ${JSON.stringify(body)}`).toBe(422);
      expect(await answer.json()).toMatchObject({ code: 'invalid_input' });
    }
    await expect(
      app.authTuna.users.create({ email: 'new@example.com', password: text }),
    ).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(app.authTuna.roles.create({ name: 'odd', description: text }, SYSTEM)).rejects.toMatchObject(
      { code: 'invalid_input' },
    );
  }
  expect(await app.authTuna.users.findByEmail('new@example.com')).toBeNull();
});
