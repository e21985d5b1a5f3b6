import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import { json } from '../../support/factors.js';
import { startMailedApp, tokenIn } from '../../support/mailed-app.js';
import { as, codeOf, person } from '../../support/people.js';

test('a sign-up that is never confirmed goes after seven days, and its address and username are free again', async () => {
  const app = await startMailedApp();
  const { users } = app.authTuna;
  const signUp = (email: string, username: string) =>
    app.browser().post('/auth/signup', { email, username, password: PASSWORD });
  expect((await signUp('squatter@example.com', 'ada')).status).toBe(202);
  const squatter = await users.findByEmail('squatter@example.com');
  app.clock.advance({ days: 7, seconds: -60 });
  await app.authTuna.jobs.run('clean-up');
  expect(await users.findByUsername('ada')).not.toBeNull();
  expect((await signUp('ada@example.com', 'ada')).status).toBe(409);

  app.clock.advance({ minutes: 2 });
  expect(await app.authTuna.jobs.run('clean-up')).toContain('1 accounts that were never confirmed');
  expect(await users.findByEmail('squatter@example.com')).toBeNull();
  expect((await signUp('ada@example.com', 'ada')).status).toBe(202);
  const { items } = await app.authTuna.audit.list({ targetId: String(squatter?.id), type: 'user.deleted' });
  expect(items).toMatchObject([{ outcome: 'success', reason: 'never_confirmed' }]);
});

test('no account goes that was confirmed, used, made by somebody else, or has a passkey or a role of its own', async () => {
  const app = await startMailedApp();
  const { users, roles, jobs } = app.authTuna;
  const signUp = async (name: string) => {
    const email = `${name}@example.com`;
    expect((await app.browser().post('/auth/signup', { email, password: PASSWORD })).status).toBe(202);
    return email;
  };
  const confirmed = await signUp('confirmed');
  const token = tokenIn(await app.mailTo(confirmed), '/auth/verify-email');
  expect((await app.browser().post('/auth/verify-email', { token })).status).toBe(200);
  const proved = await signUp('proved');
  await users.update((await users.findByEmail(proved))?.id ?? '', { emailVerified: true }, SYSTEM);
  const suspended = await signUp('suspended');
  await users.suspend((await users.findByEmail(suspended))?.id ?? '', 'spam', SYSTEM);
  const promoted = await signUp('promoted');
  const admin = await users.create({ email: 'root@example.com', emailVerified: true });
  await roles.assign({ userId: admin.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  await roles.assign(
    { userId: (await users.findByEmail(promoted))?.id ?? '', role: 'moderator', scope: 'global' },
    { userId: admin.id, ip: null, userAgent: null },
  );
  await users.create({ email: 'imported@example.com', password: PASSWORD });
  const browser = app.browser();
  const options = await json(
    browser.post('/auth/passkeys/register/options', { email: 'key@example.com' }),
    200,
  );
  await json(browser.post('/auth/passkeys/register', new Authenticator(app.url).create(options)), 202);
  const alone = await signUp('alone');

  app.clock.advance({ days: 8 });
  expect(await jobs.run('clean-up')).toContain('1 accounts that were never confirmed');
  const left = (await users.list()).items.map(({ email }) => email.split('@')[0]).sort();
  expect(left).toEqual(['confirmed', 'imported', 'key', 'promoted', 'proved', 'root', 'suspended']);
  expect(await users.findByEmail(alone)).toBeNull();
  app.clock.advance({ days: 8 });
  expect(await jobs.run('clean-up')).not.toContain('never confirmed');
});

test('an unconfirmed account that was signed in to stays', async () => {
  const strict = await startMailedApp();
  const email = 'ada@example.com';
  await strict.browser().post('/auth/signup', { email, password: PASSWORD });
  const { database, clock } = strict;
  const lenient = await startMailedApp({ signUp: { requireVerifiedEmail: false } }, { database, clock });
  expect((await lenient.browser().post('/auth/login', { login: email, password: PASSWORD })).status).toBe(
    200,
  );
  clock.advance({ days: 8 });
  expect(await strict.authTuna.jobs.run('clean-up')).not.toContain('never confirmed');
  expect(await strict.authTuna.users.findByEmail(email)).not.toBeNull();
});

test('an unconfirmed account that is in use stays, and the last superadmin and owner are known all the while (RB-7)', async () => {
  const app = await startMailedApp();
  const { users, roles, orgs, sessions, apiKeys, scopes, jobs } = app.authTuna;
  const signUp = async (name: string) => {
    const email = `${name}@example.com`;
    expect((await app.browser().post('/auth/signup', { email, password: PASSWORD })).status).toBe(202);
    return (await users.findByEmail(email))?.id ?? '';
  };
  const root = await person(app, 'root', 'superadmin');
  const founder = await person(app, 'founder');
  const { id: orgId } = await orgs.create({ name: 'Org' }, as(founder));
  const scope = `org:${orgId}`;
  const superadmin = await signUp('superadmin');
  await roles.assign({ userId: superadmin, role: 'superadmin', scope: 'global' }, SYSTEM);
  const owner = await signUp('owner');
  await roles.assign({ userId: owner, role: 'org_owner', scope }, SYSTEM);
  const giver = await person(app, 'giver', 'admin');
  const moderator = await signUp('moderator');
  await roles.assign({ userId: moderator, role: 'moderator', scope: 'global' }, as(giver));
  await users.erase(giver, SYSTEM);
  await sessions.create(await signUp('session'), ['own'], SYSTEM);
  await apiKeys.create({ userId: await signUp('key'), name: 'x' }, SYSTEM);
  await scopes.register({ id: 'doc:1', ownerId: await signUp('scope') }, SYSTEM);
  await signUp('alone');

  app.clock.advance({ days: 7, minutes: 1 });
  expect(await jobs.run('clean-up')).toContain('1 accounts that were never confirmed');
  expect(await users.findByEmail('alone@example.com')).toBeNull();
  for (const name of ['superadmin', 'owner', 'moderator', 'session', 'key', 'scope'])
    expect([name, (await users.findByEmail(`${name}@example.com`)) !== null]).toEqual([name, true]);
  const take = (userId: string, role: string, at: string) =>
    codeOf(roles.unassign({ userId, role, scope: at }, SYSTEM));
  expect([
    await take(root, 'superadmin', 'global'),
    await take(superadmin, 'superadmin', 'global'),
    await take(founder, 'org_owner', scope),
    await take(owner, 'org_owner', scope),
  ]).toEqual(['done', 'conflict', 'done', 'conflict']);
});
