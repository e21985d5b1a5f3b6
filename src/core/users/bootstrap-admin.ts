import { SYSTEM } from '../../actor.js';
import type { User } from '../../auth.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import type { RoleStore } from '../access/role-store.js';
import { SuperadminGuard } from '../access/superadmins.js';
import type { Ledger } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';
import type { OneTimeTokens } from '../tokens/one-time-tokens.js';
import type { PasswordManager } from './passwords.js';
import type { UserManager } from './users.js';

const LINK_SECONDS = 86_400; // an operator reads mail once a day

/**
 * Makes the configured address the first superadmin while there is none, and sends it a link to set a password; without mail the link is
 * printed, once. Of several instances that start together one does it.
 */
export async function bootstrapAdmin<U extends User>(
  runtime: Runtime,
  managers: {
    ledger: Ledger;
    roles: RoleStore;
    users: UserManager<U>;
    passwords: PasswordManager;
    tokens: OneTimeTokens;
  },
  options: { printLink: boolean },
): Promise<void> {
  const { db, config } = runtime;
  const email = config.bootstrapAdminEmail;
  if (email === undefined) return;
  const superadmins = new SuperadminGuard(runtime);
  const seen = await superadmins.observe();
  const counter = await db.counter.findUnique({ where: { name: 'superadmin' } });
  const role = (await managers.roles.current()).find('superadmin');
  if (counter === null || counter.value > 0 || role === null) return;

  const { id } = await managers.users.ensure({ email }, SYSTEM);
  const user = await managers.users.row(id);
  if (user === null) return;
  const dependsOn = await managers.passwords.stateOf(id);
  const { token, writes } = managers.tokens.issue({
    purpose: 'reset_password',
    subject: id,
    lifetimeSeconds: LINK_SECONDS,
    ...(dependsOn !== null && { dependsOn }),
  });
  const link = managers.tokens.link('/reset-password', token);
  try {
    await managers.ledger.commit({
      writes: [
        db.roleAssignment.create({
          data: {
            userId: id,
            roleId: role.id,
            scope: 'global',
            assignedById: null,
            assignedAt: runtime.now(),
          },
        }),
        ...superadmins.added(user, seen),
        ...writes,
      ],
      facts: [
        {
          type: 'role.assigned',
          actor: SYSTEM,
          target: { type: 'user', id },
          scope: 'global',
          reason: 'bootstrap',
          data: { role: 'superadmin' },
        },
      ],
      mails: [
        {
          template: 'password-reset',
          to: user.email,
          data: { name: user.username, link, expiresInSeconds: LINK_SECONDS },
        },
      ],
      invalidates: [`user:${id}`],
    });
  } catch (error) {
    if (isUniqueViolation(error) || isMissing(error)) return; // another instance was first
    throw error;
  }
  // To the terminal and not to the log, which outlives the moment.
  if (options.printLink)
    console.log(`${user.email} is the first superadmin. Set a password within a day:\n  ${link}`);
}
