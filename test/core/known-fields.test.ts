// A misspelt field of a manager call is refused: left out in silence it would find everybody, or end the one session that was meant to stay.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD, startApp } from '../support/app.js';

test('manager calls refuse a field that they do not have', async () => {
  const app = await startApp();
  const { user } = await app.signedIn();
  const { authTuna } = app;
  const org = await authTuna.orgs.create({ name: 'Acme' }, SYSTEM);
  const scope = `org:${org.id}`;
  const calls: Record<string, () => Promise<unknown>> = {
    'users.list': () => authTuna.users.list({ serach: 'ada' } as never),
    'roles.list': () => authTuna.roles.list({ owner: scope } as never),
    'sessions.revokeAll': () => authTuna.sessions.revokeAll(user.id, SYSTEM, { expect: 'x' } as never),
    'auth.login': () =>
      authTuna.auth.login({ login: user.email, password: PASSWORD, remember: true } as never, SYSTEM),
    'auth.changePassword': () =>
      authTuna.auth.changePassword(
        user.id,
        { currentPassword: PASSWORD, newPassword: `${PASSWORD}!`, keepSession: 'x' } as never,
        SYSTEM,
      ),
    'auth.resetPassword': () =>
      authTuna.auth.resetPassword({ token: 'x', newPassword: PASSWORD, password: 'x' } as never, SYSTEM),
    'auth.requestEmailChange': () =>
      authTuna.auth.requestEmailChange(user.id, { newEmail: 'a@example.com', email: 'x' } as never, SYSTEM),
    'orgs.list': () => authTuna.orgs.list({ userID: user.id } as never),
    'orgs.members': () => authTuna.orgs.members(scope, { role: 'org_admin' } as never),
    'orgs.listInvitations': () => authTuna.orgs.listInvitations(scope, { open: true } as never),
    'projects.list': () => authTuna.projects.list({ orgId: org.id, readable: user.id } as never),
    'teams.list': () => authTuna.teams.list({ parent: scope, readable: user.id } as never),
    'resources.list': () => authTuna.resources.list({ kind: 'file' } as never),
  };
  for (const [name, call] of Object.entries(calls))
    await expect(call(), name).rejects.toMatchObject({
      code: 'invalid_input',
      details: { errors: [{ rule: 'unknown_field' }] },
    });
  expect(await authTuna.passwords.verify(user.id, PASSWORD)).toBe(true); // nothing was changed
  expect(await authTuna.sessions.list(user.id)).toHaveLength(1);
});
