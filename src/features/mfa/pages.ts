import type { ErrorRequestHandler } from 'express';
import { typedCode } from '../../core/typed.js';
import { AuthTunaError } from '../../errors.js';
import { authOf, currentUser } from '../../http/caller/attach.js';
import { handle } from '../../http/errors.js';
import type { HttpKit } from '../../http/kit.js';
import { signedInElsewhere } from '../../http/pages/lead-on.js';
import type { FormView } from '../../http/pages/views.js';
import type { FeaturePages, RouteGuard } from '../../http/route.js';
import type { MfaManager } from './manager.js';

const APP_CODE_LENGTH = 6; // RFC 6238; a recovery code has 18 characters

/** Under this name a browser keeps the token of the link that stops a removal of factors. */
export const CANCEL_RESET = 'cancel_factor_reset';

/** People who must set up a factor do it here. */
export const ENROLLING: RouteGuard = { allow: 'must_enroll' };

/** The forms of the mfa router: routes show them again when a post is refused. */
export interface MfaForms {
  setup: readonly ErrorRequestHandler[];
  challenge: readonly ErrorRequestHandler[];
  manage: readonly ErrorRequestHandler[];
}

export function mfaPages(mfa: MfaManager, http: HttpKit): { pages: FeaturePages; forms: MfaForms } {
  const { views, config } = http;
  const path = `${config.paths.auth}/mfa`;
  const { begin, setup, challenge, manage, cancelReset } = mfaForms(mfa, http);
  return {
    pages: {
      mounted: 'mfa',
      cures: { enrollment_required: `${path}/setup` },
      formAt: () => `${path}/manage`,
      routes: [
        {
          path: '/setup',
          guard: { ...ENROLLING, recent: 'login' },
          show: [beginOrLeave(mfa, http, begin, setup)],
        },
        { path: '/challenge', show: [challengeOrSignIn(mfa, http, challenge)] },
        { path: '/manage', guard: ENROLLING, show: [manage.show] },
        {
          path: '/reset/cancel',
          show: [views.takeLink(CANCEL_RESET, `${path}/reset/cancel`), cancelReset.show],
        },
      ],
    },
    forms: {
      setup: [setup.problem, setupIsOver(http, path)],
      challenge: [signedInElsewhere(http), challenge.problem, signInIsOver(http)],
      manage: [manage.problem],
    },
  };
}

function mfaForms(mfa: MfaManager, http: HttpKit) {
  const { views } = http;
  const texts = { invalid_credentials: 'invalid_code' };
  return {
    begin: views.form('mfa/begin', () => ({ passkeys: http.mounts.pages.passkeys })),
    // Shown again after a wrong code, with the seed that was scanned already.
    setup: views.form('mfa/setup', (req) => mfa.pendingTotp(currentUser(req).id, authOf(req).actor), {
      texts,
    }),
    challenge: views.form(
      'mfa/challenge',
      async (req) => {
        const pending = http.pendingToken(req);
        if (pending === null) throw new AuthTunaError('invalid_token');
        return { factors: await mfa.factorsOfPending(pending), triesRecovery: isLong(req.body) };
      },
      { texts },
    ),
    manage: views.form('mfa/manage', async (req) => ({
      mounted: http.mounts.pages,
      ...(await mfa.status(currentUser(req).id)),
    })),
    cancelReset: views.form('mfa/cancel-reset', (req) => {
      views.keptLink(req, CANCEL_RESET);
      return {};
    }),
  };
}

/** Whether the code of a refused form was longer than those of an app: the form for recovery codes stays open. */
function isLong(body: unknown): boolean {
  const { code } = (body ?? {}) as { code?: unknown };
  return typeof code === 'string' && typedCode(code).length > APP_CODE_LENGTH;
}

/**
 * The page of a setup that has begun, with the key that was scanned already: it survives a reload and a look into the app. A user who has an
 * app already has nothing to do here.
 */
function beginOrLeave(mfa: MfaManager, http: HttpKit, begin: FormView, setup: FormView) {
  const { views } = http;
  return handle(async (req, res, next) => {
    const user = currentUser(req);
    const { totp } = await mfa.status(user.id);
    if (totp) return views.redirect(res, views.returnTo(req) ?? http.accountPage());
    const isOver = await isInvalid(mfa.pendingTotp(user.id, authOf(req).actor));
    return (isOver ? begin : setup).show(req, res, next);
  });
}

/** A setup that took too long begins again. */
function setupIsOver({ views }: HttpKit, path: string): ErrorRequestHandler {
  return (error, req, res, next) => {
    if (!isDead(error) || !views.wantsPage(req)) return next(error);
    views.notice(res, 'setup_expired');
    views.redirect(res, views.withReturnTo(`${path}/setup`, views.returnTo(req)));
  };
}

/** A sign-in whose second step took too long begins again, and leads to the same place. */
function signInIsOver({ views, config }: HttpKit): ErrorRequestHandler {
  return (error, req, res, next) => {
    if (!isDead(error) || !views.wantsPage(req)) return next(error);
    // A cookie that lasts longer is gone as well, so it was not the time.
    views.notice(res, views.knownBrowserId(req) === null ? 'sign_in_lost' : 'sign_in_expired');
    views.redirect(res, views.withReturnTo(`${config.paths.auth}/login`, views.returnTo(req)));
  };
}

function isDead(error: unknown): boolean {
  return error instanceof AuthTunaError && error.code === 'invalid_token';
}

/** A sign-in that no longer waits begins again. */
function challengeOrSignIn(mfa: MfaManager, http: HttpKit, challenge: FormView) {
  const { views, config } = http;
  return handle(async (req, res, next) => {
    const pending = http.pendingToken(req);
    const isOver = pending === null || (await isInvalid(mfa.factorsOfPending(pending)));
    if (isOver) {
      if (pending !== null && authOf(req).session === null) views.notice(res, 'sign_in_expired');
      return views.redirect(res, views.withReturnTo(`${config.paths.auth}/login`, views.returnTo(req)));
    }
    return challenge.show(req, res, next);
  });
}

async function isInvalid(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return false;
  } catch (error) {
    if (isDead(error)) return true;
    throw error;
  }
}
