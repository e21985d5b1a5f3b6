import type { Request, Response } from 'express';
import type { User } from '../../auth.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import type { HttpKit } from '../../http/kit.js';
import type { FormView } from '../../http/pages/views.js';
import type { MfaManager } from '../mfa/manager.js';
import type { PasskeyManager } from '../passkeys/manager.js';
import type { SocialManager } from '../social/manager.js';
import type { AccountManager } from './manager.js';

/** What other features know about how somebody signs in. */
export interface WaysIn {
  mfa: Pick<MfaManager, 'status'>;
  passkeys: Pick<PasskeyManager, 'list'>;
  social: Pick<SocialManager, 'list' | 'providers' | 'authorizationOrigins'>;
}

/** How the user signs in and where they are signed in, with links to what is mounted. */
export function securityPage<U extends User>(
  account: AccountManager<U>,
  { mfa, passkeys, social }: WaysIn,
  { views, mounted }: HttpKit,
): FormView {
  return views.form('account/security', async (req: Request, res: Response) => {
    const user = currentUser(req);
    const [passwordChangedAt, { totp, recoveryCodesLeft }, ownPasskeys, linked, sessions] = await Promise.all(
      [
        account.passwordChangedAt(user.id),
        mfa.status(user.id),
        passkeys.list(user.id),
        social.list(user.id),
        account.sessions(user.id, authOf(req).session?.id ?? null),
      ],
    );
    const unlinked = social.providers.filter(({ id }) => !linked.some(({ provider }) => provider === id));
    const providers = mounted.social ? unlinked : [];
    if (providers.length > 0) views.allowFormsTo(res, await social.authorizationOrigins());
    return {
      mounted,
      email: user.email,
      emailVerified: user.emailVerifiedAt !== null,
      hasPassword: passwordChangedAt !== null,
      passwordChangedAt,
      totp,
      recoveryCodesLeft,
      passkeyCount: ownPasskeys.length,
      linkedAccounts: linked.map(({ provider, providerName, email }) => ({
        id: provider,
        name: providerName,
        email,
      })),
      providers,
      sessions: sessions.map(({ id, device, ip, country, lastSeenAt, isCurrent }) => ({
        id,
        device,
        ip,
        location: country,
        lastActiveAt: lastSeenAt,
        isCurrent,
      })),
    };
  });
}
