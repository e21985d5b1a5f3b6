// A misspelled field is refused at every door: left out in silence, `expires` would grant for ever and `serach` find everybody.
//
// The managers are walked as they are at run time, so a new method stands in one of the lists below, or the first test names it. Each call is
// right but for one field `__unknown`, and leaves every row as it was.
import { expect, test } from 'vitest';
import { MODELS } from '../../src/db/client.js';
import { AuthTunaError, SYSTEM } from '../../src/index.js';
import { partsOf } from '../../src/parts.js';
import { PASSWORD, startApp, type TestInstance } from '../support/app.js';

/** Methods that take no object of fields, and those that only this library calls (marked `@internal`). */
const WITHOUT: Readonly<Record<string, string>> = {
  users: 'get find findByEmail findByUsername unsuspend delete erase restore prepare store row rowByLogin',
  // `check` takes whatever has an address and a username, such as a user.
  passwords: 'set verify check requireChange compare hash verifyHash replaceWrites stateOf stateWith',
  sessions: 'verify list revoke prepare prepareElevation prepareOnly revokeAllWrites requireLive end trim',
  permissions: 'get find delete',
  roles:
    'get find delete addPermission removePermission allowAssign disallowAssign assignmentsOf assignmentsOfTeam assignableBy assignFrom unassignFrom',
  scopes: 'move remove parentOf ancestorsOf changed',
  access: 'can hasRole require explain grantsOf standingOf holdersOf grantsOfActor requireAbove thoseBelow',
  audit: 'writes',
  // `add` takes a job of the host's own, which may have more.
  jobs: 'add start stop run status',
  mailer: 'deliver nudge retry close',
  account:
    'get consents giveConsent withdrawConsent passwordChangedAt changeUsername sessions endSession endOtherSessions exportData deletionAt requestDeletion cancelDeletion erase',
  apiKeys: 'verify revoke revokeLeaked listAll ofUser isOwn',
  auth: 'logout stepUpMethods requestEmailVerification linkOutcome inspectVerification confirmEmailChange undoEmailChange unlock inspectLink hasPassword userInfo',
  bearer: 'refresh revoke introspect grant jwks',
  handOver: '',
  mfa: 'status beginTotp pendingTotp confirmTotp disable regenerateRecoveryCodes verify factorsOfPending listTrustedDevices revokeTrustedDevice reset cancelReset cancelOwnReset',
  passkeys: 'list recoveryCodesLeft beginRegistration rename delete',
  passwordless: 'browserCode inspectLink requestCode',
  serviceAccounts: 'get delete',
  social: 'authorizationOrigins inspectSignUp list unlink tokens',
  sso: 'get list delete mappableRoles addDomain verifyDomain requireSso removeDomain discover',
  orgs: 'get find findBySlug findByName delete removeMember leave resendInvitation revokeInvitation revokeInvitationLink acceptInvitation peekInvitation peekInvitationLink joinable join requireAt',
  projects: 'get find delete',
  teams: 'get find delete',
  resources: 'get find delete',
  webhooks: 'get find delete replay close',
};

// Long: one line for each method.
/** Every method that takes an object of fields: called once for each such object, with `odd` in it. */
function callsOf({ authTuna: a }: TestInstance, userId: string, orgId: string) {
  const odd = { __unknown: 1 } as never;
  const scope = `org:${orgId}`;
  const email = 'new@example.com';
  const password = PASSWORD;
  const name = 'New';
  const holder = { kind: 'sign_in', browser: 'b' } as const;
  const response = { id: 'x', rawId: 'x', type: 'public-key', response: {} } as never;
  const journey = { browser: 'b' };
  const app = { audience: 'https://files.example.com', nonce: '0123456789abcdef' };
  const by = { by: 'password' } as const;
  const more = <T extends object>(fields: T): T => ({ ...fields, __unknown: 1 });
  const calls: Record<string, Record<string, (() => unknown)[] | (() => unknown)>> = {
    users: {
      list: () => a.users.list(odd),
      create: () => a.users.create(more({ email })),
      ensure: () => a.users.ensure(more({ email })),
      import: [
        () => a.users.import([more({ email })], SYSTEM),
        () => a.users.import([{ email }], SYSTEM, odd),
      ],
      update: () => a.users.update(userId, odd),
      suspend: () => a.users.suspend(userId, 'spam', SYSTEM, odd),
    },
    passwords: {},
    sessions: {
      create: () => a.sessions.create(userId, ['pwd'], SYSTEM, odd),
      revokeAll: () => a.sessions.revokeAll(userId, SYSTEM, odd),
    },
    permissions: {
      create: () => a.permissions.create(more({ name: 'report:read' })),
      ensure: () => a.permissions.ensure(more({ name: 'users:read' })),
      list: () => a.permissions.list(odd),
      update: () => a.permissions.update('users:read', odd, SYSTEM),
    },
    roles: {
      create: () => a.roles.create(more({ name: 'editor' })),
      ensure: () => a.roles.ensure(more({ name: 'user' })),
      list: () => a.roles.list(odd),
      update: () => a.roles.update('user', odd, SYSTEM),
      assign: () => a.roles.assign(more({ userId, role: 'admin', scope: 'global' }), SYSTEM),
      unassign: () => a.roles.unassign(more({ userId, role: 'user', scope: 'global' }), SYSTEM),
      usersWith: () => a.roles.usersWith('user', 'global', odd),
    },
    scopes: {
      register: () => a.scopes.register(more({ id: 'project:1' }), SYSTEM),
      childrenOf: () => a.scopes.childrenOf('global', odd),
    },
    access: {
      canAll: () => a.access.canAll(userId, [more({ permission: 'users:read' })]),
      scopesWith: () => a.access.scopesWith(userId, 'users:read', odd),
      whereFor: [
        () => a.access.whereFor(userId, 'users:read', { project: more({ column: 'id', through: 'grants' }) }),
        () => a.access.whereFor(userId, 'users:read', { project: 'id' }, odd),
      ],
      usersWith: () => a.access.usersWith('users:read', 'global', odd),
    },
    audit: {
      record: () => a.audit.record(more({ type: 'report.read', actor: SYSTEM })),
      list: () => a.audit.list(odd),
      export: () => a.audit.export(odd)[Symbol.asyncIterator]().next(),
      verify: () => a.audit.verify(odd),
    },
    jobs: {},
    mailer: { deadLetters: () => a.mailer.deadLetters(odd) },
    account: {
      change: () => a.account.change(userId, odd, SYSTEM),
      history: () => a.account.history(userId, odd),
    },
    apiKeys: {
      create: () => a.apiKeys.create(more({ userId, name }), SYSTEM),
      list: () => a.apiKeys.list(userId, odd),
      rotate: () => a.apiKeys.rotate('x', odd, SYSTEM),
    },
    auth: {
      signUp: () => a.auth.signUp(more({ email, password }), SYSTEM),
      register: [
        () => a.auth.register(more({ email, password }), SYSTEM),
        () => a.auth.register({ email, password }, SYSTEM, more(by)),
        () => a.auth.register({ email, password }, SYSTEM, by, odd),
      ],
      login: [
        () => a.auth.login(more({ login: email, password }), SYSTEM),
        () => a.auth.login({ login: email, password }, SYSTEM, odd),
      ],
      stepUp: [
        () => a.auth.stepUp('x', more({ password }), SYSTEM),
        () => a.auth.stepUp('x', { password }, SYSTEM, odd),
      ],
      changePassword: () => a.auth.changePassword(userId, more({ newPassword: password }), SYSTEM),
      verifyEmail: () => a.auth.verifyEmail('x', SYSTEM, odd),
      verifyAndSignIn: [
        () => a.auth.verifyAndSignIn('x', SYSTEM, odd, {}),
        () => a.auth.verifyAndSignIn('x', SYSTEM, {}, odd),
      ],
      claimAccount: () => a.auth.claimAccount(more({ token: 'x', newPassword: password }), SYSTEM),
      requestPasswordReset: () => a.auth.requestPasswordReset(email, SYSTEM, odd),
      resetPassword: () => a.auth.resetPassword(more({ token: 'x', newPassword: password }), SYSTEM),
      requestEmailChange: () => a.auth.requestEmailChange(userId, more({ newEmail: email }), SYSTEM),
    },
    bearer: { issue: () => a.bearer.issue(userId, more({ amr: ['pwd'] }), SYSTEM) },
    handOver: {
      issue: () => a.handOver.issue(more(app), SYSTEM),
      accept: () => a.handOver.accept('x', more(app), SYSTEM),
    },
    mfa: { completeSignIn: () => a.mfa.completeSignIn('x', '123456', SYSTEM, odd) },
    passkeys: {
      // A response is what the browser made, and browsers add to it.
      finishRegistration: () => a.passkeys.finishRegistration(userId, response, SYSTEM, odd),
      beginSignUp: () => a.passkeys.beginSignUp(more({ email }), 'b'),
      finishSignUp: () => a.passkeys.finishSignUp(response, 'b', SYSTEM, odd),
      beginSignIn: () => a.passkeys.beginSignIn(more(holder)),
      finishSignIn: [
        () => a.passkeys.finishSignIn(response, more(holder), SYSTEM),
        () => a.passkeys.finishSignIn(response, holder, SYSTEM, odd),
      ],
    },
    passwordless: {
      requestLink: () => a.passwordless.requestLink(email, SYSTEM, 'b', odd),
      consumeLink: [
        () => a.passwordless.consumeLink(more({ token: 'x' }), SYSTEM),
        () => a.passwordless.consumeLink({ token: 'x' }, SYSTEM, odd),
      ],
      consumeCode: [
        () => a.passwordless.consumeCode(more({ email, code: '123456' }), SYSTEM),
        () => a.passwordless.consumeCode({ email, code: '123456' }, SYSTEM, odd),
      ],
    },
    serviceAccounts: {
      create: () => a.serviceAccounts.create(more({ orgId, name }), SYSTEM),
      list: () => a.serviceAccounts.list(odd, SYSTEM),
    },
    social: {
      beginSignIn: () => a.social.beginSignIn('google', more(journey)),
      beginLink: () => a.social.beginLink(userId, 'google', more(journey), SYSTEM),
      // What the provider sent may have more parameters, which RFC 6749 section 4.1.2 says to ignore.
      finishSignIn: () => a.social.finishSignIn('google', {}, more({ browser: null }), SYSTEM),
      completeSignUp: [
        () => a.social.completeSignUp(more({ token: 'x' }), { browser: null }, SYSTEM),
        () => a.social.completeSignUp({ token: 'x' }, more({ browser: null }), SYSTEM),
      ],
    },
    sso: {
      create: () =>
        a.sso.create(more({ scope, name, issuer: 'https://id.example.com', clientId: 'x' }), SYSTEM),
      update: () => a.sso.update('x', odd, SYSTEM),
      mapRole: () => a.sso.mapRole('x', more({ value: 'staff' }), SYSTEM),
    },
    orgs: {
      create: () => a.orgs.create(more({ name, ownerId: userId }), SYSTEM),
      list: () => a.orgs.list(odd),
      update: [() => a.orgs.update(orgId, odd, SYSTEM), () => a.orgs.update(orgId, { policy: odd }, SYSTEM)],
      transfer: () => a.orgs.transfer(orgId, more({ toUserId: userId }), SYSTEM),
      members: () => a.orgs.members(scope, odd),
      addMember: () => a.orgs.addMember(scope, more({ userId, role: 'org_member' }), SYSTEM),
      setRole: () => a.orgs.setRole(scope, more({ userId, role: 'org_member' }), SYSTEM),
      invite: () => a.orgs.invite(scope, more({ email, role: 'org_member' }), SYSTEM),
      listInvitations: () => a.orgs.listInvitations(scope, odd),
      createInvitationLink: () =>
        a.orgs.createInvitationLink(scope, more({ role: 'org_member', maxUses: 1 }), SYSTEM),
      listInvitationLinks: () => a.orgs.listInvitationLinks(scope, odd),
      signUp: [
        () => a.orgs.signUp(more({ token: 'x', password }), SYSTEM),
        () => a.orgs.signUp({ token: 'x', password }, SYSTEM, odd),
      ],
    },
    projects: {
      create: () => a.projects.create(more({ orgId, name }), SYSTEM),
      list: () => a.projects.list(more({ orgId })),
      update: () => a.projects.update('x', odd, SYSTEM),
      move: () => a.projects.move('x', more({ orgId }), SYSTEM),
    },
    teams: {
      create: () => a.teams.create(more({ parent: scope, name }), SYSTEM),
      list: () => a.teams.list(more({ parent: scope })),
      update: () => a.teams.update('x', odd, SYSTEM),
      move: () => a.teams.move('x', more({ parent: scope }), SYSTEM),
    },
    resources: {
      create: () => a.resources.create(more({ type: 'file', parent: scope }), SYSTEM),
      list: () => a.resources.list(odd),
      update: () => a.resources.update('x', odd, SYSTEM),
      move: () => a.resources.move('x', more({ parent: scope }), SYSTEM),
      transfer: () => a.resources.transfer('x', more({ toUserId: userId }), SYSTEM),
    },
    webhooks: {
      create: () => a.webhooks.create(more({ url: 'https://example.com/hook', events: '*' }), SYSTEM),
      list: () => a.webhooks.list(odd),
      update: () => a.webhooks.update('x', odd, SYSTEM),
      rotateSecret: () => a.webhooks.rotateSecret('x', odd, SYSTEM),
      deliveries: () => a.webhooks.deliveries('x', odd),
    },
  };
  return calls;
}

/** The methods of every manager, by its name. */
function managersOf(authTuna: object): Record<string, string[]> {
  const managers = Object.entries(authTuna).filter(
    ([name, value]) => typeof value === 'object' && name !== 'routers',
  );
  return Object.fromEntries(
    managers.map(([name, manager]) => {
      const members = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(manager)));
      const own = Object.entries(manager as object).map(([key, value]) => [key, { value }] as const);
      return [
        name,
        [...members, ...own]
          .filter(([key, { value }]) => typeof value === 'function' && key !== 'constructor')
          .map(([key]) => key)
          .sort(),
      ];
    }),
  );
}

/** Every row of every table. */
async function rowsOf({ authTuna }: TestInstance): Promise<Record<string, string>> {
  const client = partsOf(authTuna)?.client as unknown as Record<string, { findMany(): Promise<unknown> }>;
  const rows = MODELS.map(async ({ model }) => [model, JSON.stringify(await client[model]?.findMany())]);
  return Object.fromEntries(await Promise.all(rows));
}

/** The code of a refusal, and the last part of each field with the rule that it breaks. */
async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return 'was done';
  } catch (error) {
    if (!(error instanceof AuthTunaError)) throw error;
    const { code, details } = error;
    return [code, ...(details.errors ?? []).map(({ field, rule }) => `${field.split('.').at(-1)} ${rule}`)];
  }
}

test('every manager method refuses a field that it does not have, names it, and changes nothing (DO-2)', async () => {
  const instance = await startApp({ passwordless: { magicLink: true, emailCode: true } });
  const { user } = await instance.signedIn();
  const org = await instance.authTuna.orgs.create({ name: 'Acme', ownerId: user.id }, SYSTEM);
  const calls = callsOf(instance, user.id, org.id);
  const declared = Object.entries(calls).map(([manager, methods]) => [
    manager,
    [...Object.keys(methods), ...(WITHOUT[manager]?.split(' ') ?? [])].filter((name) => name !== '').sort(),
  ]);
  expect(managersOf(instance.authTuna)).toEqual(Object.fromEntries(declared));

  await instance.authTuna.jobs.stop();
  const before = await rowsOf(instance);
  const answers: Record<string, unknown> = {};
  for (const [manager, methods] of Object.entries(calls))
    for (const [method, given] of Object.entries(methods))
      for (const [index, call] of [given].flat().entries())
        answers[`${manager}.${method} ${index}`] = await refusalOf(call);
  const refused = ['invalid_input', '__unknown unknown_field'];
  expect(answers).toEqual(Object.fromEntries(Object.keys(answers).map((name) => [name, refused])));
  expect(await rowsOf(instance)).toEqual(before);
});
