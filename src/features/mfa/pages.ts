import { type ErrorRequestHandler, Router } from 'express';
import { AuthTunaError } from '../../errors.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import { handle } from '../../http/errors.js';
import type { HttpKit } from '../../http/kit.js';
import type { MfaManager } from './manager.js';

/** Under this name a browser keeps the token of the link that stops a removal of factors. */
export const CANCEL_RESET = 'cancel_factor_reset';

/** The pages of the mfa router, and what shows its forms again. */
export interface MfaPages {
  readonly router: Router;
  readonly setup: ErrorRequestHandler;
  readonly challenge: ErrorRequestHandler;
  readonly manage: ErrorRequestHandler;
}

export function mfaPages(mfa: MfaManager, http: HttpKit): MfaPages {
  const { views, config } = http;
  const path = `${config.paths.auth}/mfa`;
  views.sendTo('enrollment_required', `${path}/setup`);
  const texts = { invalid_credentials: 'invalid_code' };

  const begin = views.form('mfa/begin', () => ({}));
  // Shown again after a wrong code, with the seed that was scanned already.
  const setup = views.form('mfa/setup', (req) => mfa.pendingTotp(currentUser(req).id, authOf(req).actor), {
    texts,
  });
  const challenge = views.form(
    'mfa/challenge',
    async (req) => {
      const pending = http.pendingToken(req);
      if (pending === null) throw new AuthTunaError('invalid_token');
      return { factors: await mfa.factorsOfPending(pending) };
    },
    { texts },
  );
  const manage = views.form('mfa/manage', async (req) => ({
    mounted: http.mounted,
    ...(await mfa.status(currentUser(req).id)),
  }));
  const cancelReset = views.form('mfa/cancel-reset', (req) => {
    if (views.kept(req, CANCEL_RESET) === null) throw new AuthTunaError('invalid_token');
    return {};
  });

  const router = Router();
  const enrolling = http.guards.requireUser({ mustEnroll: 'allowed', credentials: ['session'] });
  router.get(
    '/setup',
    enrolling,
    http.stepUp.requireRecentLogin(),
    handle(async (req, res, next) => {
      const { totp } = await mfa.status(currentUser(req).id);
      if (totp) return views.redirect(res, views.returnTo(req) ?? http.accountPage());
      return begin.show(req, res, next);
    }),
  );
  router.get(
    '/challenge',
    handle(async (req, res, next) => {
      const pending = http.pendingToken(req);
      const isOver = pending === null || (await isInvalid(mfa.factorsOfPending(pending)));
      if (isOver)
        return views.redirect(res, views.withReturnTo(`${config.paths.auth}/login`, views.returnTo(req)));
      return challenge.show(req, res, next);
    }),
  );
  router.get('/manage', enrolling, manage.show);
  router.get('/reset/cancel', views.takeLink(CANCEL_RESET, `${path}/reset/cancel`), cancelReset.show);
  return { router, setup: setup.problem, challenge: challenge.problem, manage: manage.problem };
}

async function isInvalid(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return false;
  } catch (error) {
    if (error instanceof AuthTunaError && error.code === 'invalid_token') return true;
    throw error;
  }
}
