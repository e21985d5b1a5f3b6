import type { Runtime } from '../runtime.js';

/** The prefix of `provider` for identities that come from an organization's own connection. */
export const SSO_PREFIX = 'sso-';

/**
 * Whether a user could still sign in without one of their passkeys or linked identities, so that a user does not remove their last way to sign in.
 *
 * A password, another passkey, or another identity counts, the last only at a provider that is still configured or an organization's own. A
 * mailbox does not: links by mail may be turned off, and forgetting a password is for those who had one.
 * @see docs/requirements.md PK-6, OA-9
 */
export async function hasOtherWayIn(
  { db, config }: Pick<Runtime, 'db' | 'config'>,
  userId: string,
  without: { passkeyId: string } | { socialAccountId: string },
): Promise<boolean> {
  const [passwords, passkeys, identities] = await Promise.all([
    db.password.count({ where: { userId } }),
    db.passkey.count({
      where: { userId, ...('passkeyId' in without && { id: { not: without.passkeyId } }) },
    }),
    db.socialAccount.findMany({
      where: { userId, ...('socialAccountId' in without && { id: { not: without.socialAccountId } }) },
      select: { provider: true },
    }),
  ]);
  const configured = new Set(config.social.providers.map(({ id }) => id));
  const usable = identities.filter(
    ({ provider }) => configured.has(provider) || provider.startsWith(SSO_PREFIX),
  );
  return passwords + passkeys + usable.length > 0;
}
