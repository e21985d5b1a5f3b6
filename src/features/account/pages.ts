import type { ErrorRequestHandler, Request, Response } from 'express';
import type { User } from '../../auth.js';
import { authOf, currentUser } from '../../http/caller/attach.js';
import type { HttpKit } from '../../http/kit.js';
import type { FormView } from '../../http/pages/views.js';
import type { FeaturePages } from '../../http/route.js';
import type { AccountManager } from './manager.js';
import type { WaysIn } from './ways-in.js';

/** The form of the account router: routes show it again when a post is refused. */
export interface AccountForms {
  security: readonly ErrorRequestHandler[];
  data: readonly ErrorRequestHandler[];
}

export function accountPages<U extends User>(
  account: AccountManager<U>,
  waysIn: WaysIn,
  http: HttpKit,
): { pages: FeaturePages; forms: AccountForms } {
  const security = securityPage(account, waysIn, http);
  const { deletionGraceDays: graceDays, consents: purposes } = http.config.privacy;
  const data = http.views.form('account/data', async (req: Request) => {
    const { id } = currentUser(req);
    const [deletionAt, consents] = await Promise.all([account.deletionAt(id), account.consents(id)]);
    return {
      mounted: http.mounts.pages,
      deletionAt,
      graceDays,
      consents: consents.map(({ purpose, version, required, givenAt, givenVersion }) => ({
        purpose,
        label: purposes[purpose]?.label ?? purpose,
        url: purposes[purpose]?.url ?? null,
        required,
        givenAt,
        isOld: givenVersion !== null && givenVersion !== version,
      })),
    };
  });
  return {
    pages: {
      mounted: 'account',
      formAt: () => http.accountPage(),
      routes: [
        { path: '/security', guard: {}, show: [security.show] },
        { path: '/data', guard: {}, show: [data.show] },
      ],
    },
    forms: { security: [security.problem], data: [data.problem] },
  };
}

/** How the user signs in and where they are signed in, with links to what is mounted. */
function securityPage<U extends User>(
  account: AccountManager<U>,
  { mfa, passkeys, social }: WaysIn,
  { views, mounts, config }: HttpKit,
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
    const providers = mounts.pages.social ? unlinked : [];
    if (providers.length > 0) views.allowFormsTo(res, await social.authorizationOrigins());
    return {
      mounted: mounts.pages,
      email: user.email,
      emailVerified: user.emailVerifiedAt !== null,
      hasPassword: passwordChangedAt !== null,
      passwordChangedAt,
      totp,
      recoveryCodesLeft,
      passkeyCount: ownPasskeys.length,
      isPasskeyAsked: ownPasskeys.length > 0 && config.passkeys.secondFactor,
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
