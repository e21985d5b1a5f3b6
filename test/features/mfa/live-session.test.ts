import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';

test('a session that has ended begins no second factor, although the request was let in before (SS-8)', async () => {
  const { authTuna } = await startApp();
  const user = await authTuna.users.create({ email: 'ada@example.com', emailVerified: true }, SYSTEM);
  const actorOf = async () => {
    const { session } = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM);
    return { userId: user.id, ip: null, userAgent: null, sessionId: session.id };
  };
  const live = await actorOf();
  const begin = [
    (actor: typeof live) => authTuna.mfa.beginTotp(user.id, actor),
    (actor: typeof live) => authTuna.passkeys.beginRegistration(user.id, actor),
  ];
  for (const start of begin) {
    await start(live);
    const ended = await actorOf();
    await authTuna.sessions.revoke(ended.sessionId, SYSTEM);
    await expect(start(ended)).rejects.toMatchObject({ code: 'session_revoked' });
    await expect(start({ ...live, sessionId: 'none' })).rejects.toMatchObject({ code: 'session_revoked' });
  }
  await authTuna.sessions.revokeAll(user.id, SYSTEM);
  for (const start of begin) await expect(start(live)).rejects.toMatchObject({ code: 'session_revoked' });
});
