// Joining an organization by the domain of one's address: who may, and that a removal is not undone by it.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { openDatabase } from '../../support/database.js';
import { as, codeOf, person } from '../../support/people.js';

/** Acme, whose connection has proved acme.example, lets people of that domain join. */
async function acme() {
  const app = await startApp();
  const { authTuna, clock } = app;
  const owner = await person(app, 'owner');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner));
  const { client, close } = await openDatabase(app.database);
  const now = clock.now();
  const proved = { domain: 'acme.example', verifiedDomain: 'acme.example', verifiedAt: now };
  await client.ssoConnection.create({
    data: {
      id: 'acme',
      scope: `org:${org.id}`,
      name: 'Acme',
      issuer: 'https://idp.example',
      clientId: 'c',
      createdAt: now,
      updatedAt: now,
      domains: { create: { ...proved, challenge: 'x', createdAt: now } },
    },
  });
  await close();
  const allow = (joinByDomain: boolean) =>
    authTuna.orgs.update(org.id, { policy: { joinByDomain } }, as(owner));
  const someone = async (email: string, emailVerified = true) =>
    (await authTuna.users.create({ email, emailVerified }, SYSTEM)).id;
  const join = (userId: string) => codeOf(authTuna.orgs.join(org.id, as(userId)));
  return { ...app, owner, org, scope: `org:${org.id}`, allow, someone, join };
}

test('people with a verified address of a proved domain join where the policy says so, and nobody else (IN-1)', async () => {
  const { authTuna, org, scope, allow, someone, join } = await acme();
  const mia = await someone('mia@acme.example');
  expect(await join(mia)).toBe('not_found');
  await allow(true);
  expect((await authTuna.orgs.joinable(mia)).items.map(({ id }) => id)).toEqual([org.id]);
  for (const other of [
    await someone('eve@sub.acme.example'),
    await someone('eve@acme.example.test'),
    await someone('unproved@acme.example', false),
  ])
    expect(await join(other)).toBe('not_found');
  expect(await Promise.all([join(mia), join(mia)])).toEqual(['done', 'done']);
  expect(await authTuna.access.hasRole(mia, 'org_member', scope)).toBe(true);
  expect((await authTuna.orgs.members(scope)).items).toHaveLength(2);
});

test('somebody who was removed is not let in by the domain again, somebody who left is (IN-2)', async () => {
  const { authTuna, owner, scope, allow, someone, join } = await acme();
  await allow(true);
  const [mia, kai] = [await someone('mia@acme.example'), await someone('kai@acme.example')];
  for (const id of [mia, kai]) expect(await join(id)).toBe('done');
  // A refused removal is none.
  expect(await codeOf(authTuna.orgs.removeMember(scope, kai, as(mia)))).toBe('forbidden');
  await authTuna.orgs.removeMember(scope, mia, as(owner));
  await authTuna.orgs.leave(scope, as(kai));
  expect([await join(mia), await join(kai)]).toEqual(['not_found', 'done']);
  expect((await authTuna.orgs.joinable(mia)).items).toEqual([]);
  expect(await authTuna.access.can(mia, 'org:read', scope)).toBe(false);
});
