// Shows that people are told of impersonation where the host wants it, and that nobody acts as a program.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { startMailedApp } from '../../support/mailed-app.js';

test('with impersonation.notify the person is mailed that it began, and not by whom; without it no mail leaves (AD-5)', async () => {
  for (const notify of [true, false]) {
    const app = await startMailedApp({ impersonation: { notify } });
    const { user: root, browser } = await app.signedIn('root@example.com');
    await app.authTuna.roles.assign({ userId: root.id, role: 'superadmin', scope: 'global' }, SYSTEM);
    await browser.post('/auth/login', { login: root.email, password: PASSWORD });
    const { user } = await app.signedIn('ada@example.com');
    await app.authTuna.mailer.deliver();
    const path = `/admin/users/${user.id}/impersonate`;
    expect((await browser.stolen().post(path, { reason: 'ticket 4711' })).status).toBe(200);
    await app.authTuna.mailer.deliver();
    const mail = app.mailbox.latestTo(user.email);
    expect([notify, mail?.subject]).toEqual([notify, notify ? 'Support is using your account' : undefined]);
    const text = `${mail?.text} ${mail?.html}`;
    for (const part of ['root@example.com', root.id, '127.0.0.1', 'ticket 4711', 'Firefox'])
      expect([part, text.includes(part)]).toEqual([part, false]);

    const { id: orgId } = await app.authTuna.orgs.create({ name: 'Acme', ownerId: root.id }, SYSTEM);
    const program = await app.authTuna.serviceAccounts.create({ orgId, name: 'ci' }, SYSTEM);
    const answer = await browser.post(`/admin/users/${program.id}/impersonate`, { reason: 'x' });
    expect(answer.status).toBe(409);
  }
});
