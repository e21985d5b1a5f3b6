import { SYSTEM } from '../../actor.js';
import type { User } from '../../auth.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { SuperadminGuard } from '../access/superadmins.js';
import type { Core } from '../core.js';
import type { MailedLinks } from '../tokens/mailed-links.js';
import type { AddressOwnership } from './address-ownership.js';

const LINK_SECONDS = 86_400; // an operator reads mail once a day

/**
 * Makes the configured address the first superadmin while there is none, and sends it a link to set a password; without mail the link is
 * printed, once. Of several instances that start together one does it.
 *
 * An account whose address was never proved may have been made by a stranger. Everything that was put on it is removed.
 */
export async function bootstrapAdmin<U extends User>(
  core: Core<U> & { links: MailedLinks; ownership: AddressOwnership },
  options: { printLink: boolean },
): Promise<void> {
  const { db, config, links, ownership } = core;
  const email = config.bootstrapAdminEmail;
  if (email === undefined) return;
  const superadmins = new SuperadminGuard(core);
  const seen = await superadmins.observe();
  const counter = await db.counter.findUnique({ where: { name: 'superadmin' } });
  const role = (await core.roleStore.current()).find('superadmin');
  if (counter === null || counter.value > 0 || role === null) return;

  const existed = (await core.users.findByEmail(email)) !== null;
  const { id } = await core.users.ensure({ email }, SYSTEM);
  const user = await core.users.row(id);
  if (user === null) return;
  const isUnproved = user.emailVerifiedAt === null;
  const { writes, link, expiresInSeconds } = await links.issue('reset_password', user, {
    lifetimeSeconds: LINK_SECONDS,
    ...(isUnproved && { state: core.passwords.stateWith(user.email, null) }),
  });
  try {
    await core.ledger.commit({
      writes: [
        ...(isUnproved ? ownership.wipe(user, { reason: 'bootstrap' }) : []),
        // Misses when the address was proved, or given up, meanwhile: the next start looks again.
        db.user.update({
          where: { id, email: user.email, emailVerifiedAt: user.emailVerifiedAt, deletedAt: null },
          data: { updatedAt: core.now() },
        }),
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
  if (isUnproved && existed)
    config.logger.warn(
      'The bootstrap address had an account whose address was never proved. Its password, sessions and other ways in were removed.',
    );
  // To the terminal and not to the log, which outlives the moment.
  if (options.printLink)
    console.log(`${user.email} is the first superadmin. Set a password within a day:\n  ${link}`);
}
