import type { ErrorRequestHandler } from 'express';
import { currentUser } from '../../http/caller/attach.js';
import type { HttpKit } from '../../http/kit.js';
import type { FeaturePages, RouteGuard } from '../../http/route.js';
import type { PasskeyManager } from './manager.js';

/** What changes credentials asks for a fresh proof; a passkey may be the factor that somebody must set up. */
export const RECENT: RouteGuard = { allow: 'must_enroll', recent: 'login' };

/** The form of the passkeys router: routes show it again when a post is refused. */
export interface PasskeyForms {
  list: readonly ErrorRequestHandler[];
}

export function passkeyPages(
  passkeys: PasskeyManager,
  http: HttpKit,
): { pages: FeaturePages; forms: PasskeyForms } {
  const { views, config, mounts } = http;
  const list = views.form('passkeys/list', async (req) => ({
    mounted: mounts.pages,
    isSecondFactor: config.passkeys.secondFactor,
    passkeys: (await passkeys.list(currentUser(req).id)).map((passkey) => ({
      ...passkey,
      isSynced: passkey.isBackedUp,
    })),
  }));
  return {
    pages: {
      mounted: 'passkeys',
      signInMethods: { passkeys: true },
      formAt: () => `${config.paths.auth}/passkeys/manage`,
      routes: [{ path: '/manage', guard: RECENT, show: [list.show] }],
    },
    forms: { list: [list.problem] },
  };
}
