// A hand-over moves a signed-in person from one app to another, once, within a minute, in the one browser.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { remote } from '../../../src/remote/index.js';
import { startApp, TestLogger } from '../../support/app.js';
import { codeOf, codesOf, every, person } from '../../support/people.js';

const FILES = { audience: 'https://files.example.com', nonce: 'nonce-of-the-browser-1' };
const NOBODY = { userId: null, ip: null, userAgent: null };

async function handedOver() {
  const app = await startApp();
  const { user } = await app.signedIn('ada@example.com');
  const [session] = await app.authTuna.sessions.list(user.id);
  const actor = { userId: user.id, sessionId: session?.id ?? '', ip: null, userAgent: null };
  const issue = async (input = FILES) => (await app.authTuna.handOver.issue(input, actor)).token;
  const accept = (token: string, input = FILES) => app.authTuna.handOver.accept(token, input, NOBODY);
  return { ...app, user, actor, issue, accept };
}

test('a hand-over is accepted once, by the app and in the browser that it is for, within a minute', async () => {
  const { authTuna, user, clock, issue, accept, actor } = await handedOver();
  const token = await issue();
  const others = {
    app: accept(token, { ...FILES, audience: 'https://evil.example.com' }),
    browser: accept(token, { ...FILES, nonce: 'nonce-of-the-browser-2' }),
    text: accept('nothing'),
    altered: accept(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`),
  };
  expect(await codesOf(others)).toEqual(every(others, 'invalid_token'));
  const racing = await Promise.all(Array.from({ length: 10 }, () => codeOf(accept(token))));
  expect(racing.filter((code) => code === 'done')).toHaveLength(1);
  expect(await accept(await issue())).toMatchObject({
    user: { id: user.id },
    amr: ['pwd'],
    assuranceLevel: 1,
  });
  const late = await issue();
  clock.advance({ seconds: 61 });
  expect(await codeOf(accept(late))).toBe('invalid_token');
  const entries = await authTuna.audit.list({ type: 'hand_over.accepted' });
  expect(entries.items).toMatchObject([
    { actorId: user.id, data: { audience: FILES.audience } },
    { actorId: user.id },
  ]);
  const refused = {
    system: authTuna.handOver.issue(FILES, SYSTEM),
    key: authTuna.handOver.issue(FILES, { userId: user.id, apiKeyId: 'key', ip: null, userAgent: null }),
    impersonated: authTuna.handOver.issue(FILES, { ...actor, impersonatorId: 'admin' }),
  };
  expect(await codesOf(refused)).toEqual(every(refused, 'forbidden'));
  const path = { ...FILES, audience: 'https://files.example.com/path' };
  expect(await codeOf(authTuna.handOver.issue(path, actor))).toBe('invalid_input');
});

test('a hand-over ends with the session that it comes from, and with its user', async () => {
  const { authTuna, user, issue, accept } = await handedOver();
  const first = await issue();
  const second = await issue();
  await authTuna.users.suspend(user.id, 'test', SYSTEM);
  expect(await codeOf(accept(first))).toBe('invalid_token');
  await authTuna.users.unsuspend(user.id, 'test', SYSTEM);
  await authTuna.sessions.revokeAll(user.id, SYSTEM);
  expect(await codeOf(accept(second))).toBe('invalid_token');
});

test('a server without the database accepts a hand-over through authtuna/remote', async () => {
  const app = await handedOver();
  const { authTuna, user, issue } = app;
  await authTuna.roles.create({ name: 'gateway', permissions: ['tokens:introspect'] });
  const { key } = await authTuna.apiKeys.create(
    { userId: await person(app, 'gateway', 'gateway'), name: 'Files' },
    SYSTEM,
  );
  const files = remote({ url: app.url, key, clock: app.clock, logger: new TestLogger() });
  const token = await issue();
  expect(await codeOf(files.acceptHandOver(token, { ...FILES, nonce: 'nonce-of-another-one' }))).toBe(
    'invalid_token',
  );
  const found = await files.acceptHandOver(token, FILES);
  expect(found).toMatchObject({ user: { id: user.id }, amr: ['pwd'] });
  expect(found.authenticatedAt).toBeInstanceOf(Date);
  expect(await codeOf(files.acceptHandOver(token, FILES))).toBe('invalid_token');
});
