import { expect, test, vi } from 'vitest';
import { type Actor, SYSTEM } from '../../../src/index.js';
import { BOB, startAcme } from '../../support/acme.js';

type Acme = Awaited<ReturnType<typeof startAcme>>;

async function rolesOf({ authTuna }: Acme, email: string): Promise<string[]> {
  const user = await authTuna.users.findByEmail(email);
  return (await authTuna.roles.assignmentsOf(user?.id ?? ''))
    .filter(({ scope }) => scope === 'org:acme')
    .map(({ role }) => role)
    .sort();
}

/** Another owner of Acme, who has signed in at its provider once. */
async function peerOwner(acme: Acme): Promise<{ id: string; actor: Actor }> {
  await acme.signIn({ ...BOB, groups: [] });
  const bob = await acme.authTuna.users.findByEmail('bob@acme.example');
  const id = bob?.id ?? '';
  await acme.authTuna.roles.assign({ userId: id, role: 'org_owner', scope: 'org:acme' }, SYSTEM);
  return { id, actor: { userId: id, ip: null, userAgent: null } };
}

test('a mapping takes nothing from a peer of the person who set it up (RB-4)', async () => {
  const acme = await startAcme();
  const { authTuna, connections, connection, actor, logger } = acme;
  const peer = await peerOwner(acme);
  await expect(
    authTuna.roles.unassign({ userId: peer.id, role: 'org_owner', scope: 'org:acme' }, actor),
  ).rejects.toMatchObject({ code: 'forbidden' });
  await connections.update(connection.id, { roleMapping: { 'has-this-nobody': 'org_owner' } }, actor);
  expect((await acme.signIn(BOB)).answer.status).toBe(303);
  expect(await rolesOf(acme, 'bob@acme.example')).toEqual(['org_owner']);
  expect(logger.lines.some(({ message }) => message.startsWith('A mapped role was not moved'))).toBe(true);
  const { items } = await authTuna.audit.list({ type: 'role.unassigned' });
  const denied = items.find(({ outcome }) => outcome === 'denied');
  expect(denied).toMatchObject({ actorId: actor.userId });
});

test.each(['demoted', 'suspended', 'deleted'])(
  'a mapping stops when the person who set it up is %s, which the log and the audit log say (RB-4)',
  async (how) => {
    const acme = await startAcme();
    const { authTuna, connections, connection, actor, owner, logger } = acme;
    await peerOwner(acme);
    await connections.update(connection.id, { roleMapping: { staff: 'org_admin' } }, actor);
    if (how === 'demoted')
      await authTuna.roles.unassign({ userId: owner.id, role: 'org_owner', scope: 'org:acme' }, SYSTEM);
    if (how === 'suspended') await authTuna.users.suspend(owner.id, 'left', SYSTEM);
    if (how === 'deleted') await authTuna.users.delete(owner.id, SYSTEM);
    const carol = { sub: 'carol-1', email: 'carol@acme.example', email_verified: true, groups: ['staff'] };
    expect((await acme.signIn(carol)).answer.status).toBe(303);
    expect(await rolesOf(acme, carol.email)).toEqual([]);
    expect(logger.lines.some(({ message }) => message.startsWith('A mapped role was not moved'))).toBe(true);
    const { items } = await authTuna.audit.list({ type: 'role.assigned' });
    const denied = items.find(({ outcome }) => outcome === 'denied');
    expect(denied).toMatchObject({ scope: 'org:acme', actorId: owner.id });
  },
);

test('a role that was deleted and made anew by its name is not handed out by an old mapping (RB-4)', async () => {
  const acme = await startAcme();
  const { authTuna, connections, connection, actor } = acme;
  const reviewer = { name: 'reviewer', at: ['org'], level: 5, ownedBy: 'org:acme' };
  await authTuna.roles.create(reviewer, SYSTEM);
  await connections.update(connection.id, { roleMapping: { staff: 'reviewer' } }, actor);
  expect((await connections.get(connection.id, actor)).roleMapping).toEqual({ staff: 'reviewer' });
  await authTuna.roles.delete('reviewer', SYSTEM, 'org:acme');
  await authTuna.roles.create({ ...reviewer, permissions: ['org:manage'] }, SYSTEM);
  await acme.signIn(BOB);
  expect(await rolesOf(acme, 'bob@acme.example')).toEqual([]);
  expect((await connections.get(connection.id, actor)).roleMapping).toEqual({});
});

test('who removes a connection takes the roles that it gave from people below them only (RB-4)', async () => {
  const acme = await startAcme();
  const { authTuna, connections, connection, actor } = acme;
  await connections.update(
    connection.id,
    { roleMapping: { staff: 'org_owner', leads: 'org_member' } },
    actor,
  );
  await acme.signIn(BOB);
  expect(await rolesOf(acme, 'bob@acme.example')).toEqual(['org_member', 'org_owner']);
  await connections.delete(connection.id, actor);
  expect(await rolesOf(acme, 'bob@acme.example')).toEqual(['org_member', 'org_owner']);
  const admin = await authTuna.users.findByEmail('owner@acme.example');
  expect(await authTuna.access.hasRole(admin?.id ?? '', 'org_owner', 'org:acme')).toBe(true);
});

test('a domain whose record is gone is proved no more: its owners hear of it, and nobody enters by it for the first time', async () => {
  const acme = await startAcme();
  const { authTuna, connections, connection, actor, records, owner } = acme;
  await connections.requireSso(connection.id, 'acme.example', true, actor);
  records.clear();
  expect((await acme.enter(BOB)).answer.status).not.toBe(303);
  expect(await authTuna.users.findByEmail('bob@acme.example')).toBeNull();
  const [domain] = (await connections.get(connection.id, actor)).domains;
  expect(domain).toMatchObject({ verifiedAt: null, required: false });
  const { items } = await authTuna.audit.list({ type: 'sso_domain.lapsed' });
  expect(items).toMatchObject([
    { scope: 'org:acme', reason: 'record_gone', data: { domain: 'acme.example' } },
  ]);
  await vi.waitFor(async () => {
    await authTuna.mailer.deliver();
    expect(acme.mailbox.latestTo(owner.email)?.subject).toContain('acme.example');
  });
});

test('every day the records are looked up; no answer from DNS is no lapse for a week, and one after it', async () => {
  const acme = await startAcme();
  const { authTuna, connections, connection, actor, records } = acme;
  const verified = async () => (await connections.get(connection.id, actor)).domains[0]?.verifiedAt !== null;
  acme.clock.advance({ days: 1 });
  expect(await authTuna.jobs.run('sso.domains')).toBe('looked at 1 domains, 0 of which are proved no more');
  acme.dns.isDown = true;
  for (let day = 0; day < 6; day += 1) {
    acme.clock.advance({ days: 1 });
    await authTuna.jobs.run('sso.domains');
    expect(await verified(), `day ${day}`).toBe(true);
  }
  acme.dns.isDown = false;
  await authTuna.jobs.run('sso.domains');
  acme.dns.isDown = true;
  acme.clock.advance({ days: 8 });
  await authTuna.jobs.run('sso.domains');
  expect(await verified()).toBe(false);
  expect((await authTuna.audit.list({ type: 'sso_domain.lapsed' })).items[0]?.reason).toBe('no_answer');

  acme.dns.isDown = false;
  await acme.prove();
  expect(await verified()).toBe(true);
  records.clear();
  await authTuna.jobs.run('sso.domains');
  expect(await verified()).toBe(false);
});

test('a connection of another organization and one that nobody has answer alike (RB-9)', async () => {
  const { authTuna, connections, connection } = await startAcme();
  const mallory = await authTuna.users.create({ email: 'mallory@evil.test', emailVerified: true });
  const stranger: Actor = { userId: mallory.id, ip: null, userAgent: null };
  const refusalOf = (id: string) =>
    connections.get(id, stranger).then(
      () => null,
      ({ code, message }) => ({ code, message }),
    );
  expect(await refusalOf(connection.id)).toEqual(await refusalOf('nobody-has-this'));
  expect(await refusalOf(connection.id)).toMatchObject({ code: 'not_found' });
});

test('a mapping with a name that an object keeps for itself is refused, and so are texts that no database keeps', async () => {
  const { connections, connection, actor } = await startAcme();
  const odd: object[] = [
    { roleMapping: JSON.parse('{ "__proto__": "org_member" }') },
    { roleMapping: { 'zero\0byte': 'org_member' } },
    { name: 'half \ud800 a pair' },
    { clientSecret: 'zero\0byte' },
    { clientSecret: 'half \udfff a pair' },
  ];
  for (const change of odd)
    await expect(
      connections.update(connection.id, change, actor),
      JSON.stringify(change),
    ).rejects.toMatchObject({ code: 'invalid_input' });
});
