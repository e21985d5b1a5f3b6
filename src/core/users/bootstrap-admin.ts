import { SYSTEM } from '../../actor.js';
import type { User } from '../../auth.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { SuperadminGuard } from '../access/superadmins.js';
import type { Core } from '../core.js';
import type { MailedLinks } from '../tokens/mailed-links.js';

const LINK_SECONDS = 86_400; // an operator reads mail once a day

/**
 * Makes the configured address the first superadmin while there is none, and sends it a link to set a password; without mail the link is
 * printed, once. Of several instances that start together one does it.
 */
export async function bootstrapAdmin<U extends User>(
  core: Core<U>,
  links: MailedLinks,
  options: { printLink: boolean },
): Promise<void> {
  const { db, config } = core;
  const email = config.bootstrapAdminEmail;
  if (email === undefined) return;
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const counter = await db.counter.findUnique({ where: { name: 'superadmin' } });
  const role = (await core.roleStore.current()).find('superadmin');
  if (counter === null || counter.value > 0 || role === null) return;

  const { id } = await core.users.ensure({ email }, SYSTEM);
  const user = await core.users.row(id);
  if (user === null) return;
  const { writes, link, expiresInSeconds } = await links.issue('reset_password', user, {
    lifetimeSeconds: LINK_SECONDS,
  });
  try {
    await core.ledger.commit({
      writes: [
        db.roleAssignment.create({
          data: {
            userId: id,
            roleId: role.id,
            scope: 'global',
            assignedById: null,
            assignedAt: core.now(),
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
          data: { name: user.username, link, expiresInSeconds },
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
