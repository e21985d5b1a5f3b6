// Random sequences of what members may do with invitations, links, teams, custom roles and ownership never give them more than was theirs to give.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Actor, AuthTunaError, SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { startApp } from '../../support/app.js';
import { as } from '../../support/people.js';
import { pick } from '../../support/world.js';

// The long form: RUNS=10000
const RUNS = Number(process.env.RUNS ?? 25);
const UNLIMITED = { limit: 1_000_000_000, windowSeconds: 60 };

/** What nobody of the group holds at the start or may hand on: it stays with owners, strangers and administrators. */
const AT_ORG = ['org:delete', 'roles:manage', 'roles:assign', 'apikeys:manage'];
const ELSEWHERE = [
  'org:read',
  'org:manage',
  'project:read',
  'project:manage',
  'team:manage',
  'resource:manage',
];
const EVERYWHERE = [
  'users:manage',
  'admin:access',
  'roles:assign',
  'org:manage',
  'project:read',
  'team:read',
];

/** Roles to give, by the type of the scope; some of them nobody of the group may give. */
const ROLES: Record<string, readonly string[]> = {
  org: ['org_member', 'org_member', 'org_admin', 'org_owner', 'keeper', 'recruiter', 'mine', 'admin'],
  project: ['project_member', 'project_admin', 'project_member', 'mine', 'keeper'],
  team: ['team_member', 'team_lead', 'team_member', 'mine'],
};

const step = fc.tuple(fc.nat(15), fc.nat(9999), fc.nat(9999), fc.nat(9999));

test('no sequence of permitted changes with invitations, links, teams and custom roles gives a group what none of it could give (I-4, RB-5, IN-2)', async () => {
  const mailbox = new TestMailbox();
  const app = await startApp({
    mail: { from: 'a@example.com', transport: mailbox },
    rateLimits: { mailAddress: UNLIMITED, mailNetwork: UNLIMITED, mailPurpose: UNLIMITED },
  });
  const { authTuna, clock } = app;
  const { orgs, projects, teams, resources, roles, access } = authTuna;
  let number = 0;
  const someone = async () => {
    number += 1;
    const email = `p${number}@example.com`;
    const { id } = await authTuna.users.create({ email, emailVerified: true });
    return { id, email };
  };
  const owner = await someone();
  const stranger = await someone();
  const other = await orgs.create({ name: 'Other', ownerId: stranger.id }, SYSTEM);
  const hidden = await projects.create({ orgId: other.id, name: 'Hidden' }, SYSTEM);
  let permitted = 0;

  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 20 }), async (sequence) => {
      clock.advance({ days: 1 }); // fifty more invitations
      const org = await orgs.create({ name: 'Acme', ownerId: owner.id }, SYSTEM);
      const at = `org:${org.id}`;
      const project = await projects.create({ orgId: org.id, name: 'Sardine' }, SYSTEM);
      const team = await teams.create({ parent: at, name: 'Blue' }, SYSTEM);
      const group = await Promise.all(Array.from({ length: 5 }, someone));
      const [admin, recruiter, lead, member] = group.map(({ id }) => id) as [string, string, string, string];
      await roles.create(
        {
          name: 'recruiter',
          ownedBy: at,
          level: 25,
          permissions: ['org:read', 'org:members:invite', 'org:members:remove'],
        },
        SYSTEM,
      );
      await roles.create(
        { name: 'keeper', ownedBy: at, level: 35, permissions: ['org:*', 'roles:assign'] },
        SYSTEM,
      );
      await roles.assign({ userId: admin, role: 'org_admin', scope: at }, SYSTEM);
      await roles.assign({ userId: recruiter, role: 'recruiter', scope: at }, SYSTEM);
      await roles.assign({ userId: lead, role: 'team_lead', scope: `team:${team.id}` }, SYSTEM);
      await roles.assign({ userId: member, role: 'org_member', scope: at }, SYSTEM);
      await roles.assign({ team: team.id, role: 'project_admin', scope: `project:${project.id}` }, SYSTEM);

      const scopes = [
        at,
        `project:${project.id}`,
        `team:${team.id}`,
        `org:${other.id}`,
        `project:${hidden.id}`,
      ];
      const teamIds = [team.id];
      const tokens: string[] = [];
      for (const [kind, a, b, c] of sequence) {
        const actor: Actor = as(a % 3 > 0 ? admin : pick(group, a).id);
        const target = pick(group, b);
        // Mostly what could be permitted: refusals prove little.
        const scope = b % 4 > 0 ? pick(scopes.slice(0, 3), c) : pick(scopes, b + c);
        const role = pick(ROLES[scope.slice(0, scope.indexOf(':'))] ?? ['owner'], a + b);
        const changes = [
          () => roles.assign({ userId: target.id, role, scope }, actor),
          () => orgs.addMember(scope, { userId: target.id, role }, actor),
          () => orgs.setRole(scope, { userId: target.id, role }, actor),
          () => orgs.removeMember(scope, target.id, actor),
          () => orgs.transfer(org.id, { toUserId: target.id }, actor),
          async () => {
            await orgs.invite(scope, { email: target.email, role }, actor);
            await authTuna.mailer.deliver();
            const [, token = ''] = /[?&]token=([\w.%-]+)/.exec(mailbox.mails.at(-1)?.text ?? '') ?? [];
            tokens.push(decodeURIComponent(token));
          },
          async () => {
            tokens.push((await orgs.createInvitationLink(scope, { role, maxUses: 3 }, actor)).token);
          },
          () => orgs.acceptInvitation(pick(['x', ...tokens], b), actor),
          async () => {
            const made = await teams.create({ parent: scope, name: 'Red' }, actor);
            teamIds.push(made.id);
            scopes.push(`team:${made.id}`);
          },
          () => roles.assign({ team: pick(teamIds, b), role, scope }, actor),
          () => teams.move(pick(teamIds, b), { parent: scope }, actor),
          async () => {
            scopes.push(
              `project:${(await projects.create({ orgId: pick([org.id, other.id], b), name: 'New' }, actor)).id}`,
            );
          },
          async () => {
            const made = await resources.create(
              { type: 'document', parent: scope, ownerId: target.id },
              actor,
            );
            scopes.push(`document:${made.id}`);
          },
          () =>
            roles.create(
              {
                name: 'mine',
                ownedBy: scope,
                level: c % 40,
                permissions: [pick([...AT_ORG, 'org:read'], a)],
              },
              actor,
            ),
          () => roles.addPermission(role, pick([...AT_ORG, 'project:*'], a), actor, at),
          () => projects.move(project.id, { orgId: pick([org.id, other.id], c) }, actor),
        ];
        try {
          await (changes[kind] as () => Promise<unknown>)();
          permitted += 1;
        } catch (error) {
          if (!(error instanceof AuthTunaError)) throw error;
          const known = [
            'forbidden',
            'conflict',
            'not_found',
            'invalid_input',
            'invalid_token',
            'rate_limited',
          ];
          expect(known, error.message).toContain(error.code);
        }
      }
      const beyond = [
        ...AT_ORG.map((permission) => ({ permission, scope: at })),
        ...ELSEWHERE.flatMap((permission) =>
          [`org:${other.id}`, `project:${hidden.id}`].map((scope) => ({ permission, scope })),
        ),
        ...EVERYWHERE.map((permission) => ({ permission, scope: 'global' })),
      ];
      for (const { id } of group) {
        const answers = await access.canAll(id, beyond);
        expect(beyond.filter((_, index) => answers[index])).toEqual([]);
      }
      expect(await access.hasRole(owner.id, 'org_owner', at)).toBe(true);
      await orgs.delete(org.id, SYSTEM);
    }),
    { numRuns: RUNS },
  );
  expect(permitted).toBeGreaterThan(RUNS * 2);
  process.stdout.write(`${RUNS} sequences: ${permitted} changes were permitted\n`);
}, 36_000_000);
