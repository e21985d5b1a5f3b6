import { type ErrorRequestHandler, type NextFunction, type Request, type Response, Router } from 'express';
import type { User } from '../../auth.js';
import { canonicalEmail } from '../../core/identifiers.js';
import { AuthTunaError } from '../../errors.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import type { HttpKit } from '../../http/kit.js';
import type { FormView } from '../../http/pages/views.js';
import type { MessageName } from '../../templates/template-data.js';
import type { AuthManager, LinkPurpose } from './manager.js';

/** Messages that a form is sent on to, and where they lead. */
const DONE = {
  email_verified: '/login',
  reset_requested: null,
  password_changed: '/login',
  email_change_requested: null,
  email_changed: null,
  email_change_undone: '/forgot-password',
  account_unlocked: '/login',
} as const satisfies Record<MessageName, string | null>;
export type DoneMessage = keyof typeof DONE;

/** The name under which a browser keeps the address that it was told to look for mail at. */
export const WAITING = 'waiting';

/** The forms of the auth router, for its POST routes to show again, and the routes that show them. */
export interface AuthPages {
  readonly router: Router;
  readonly login: readonly ErrorRequestHandler[];
  readonly signUp: readonly ErrorRequestHandler[];
  readonly forgotPassword: readonly ErrorRequestHandler[];
  readonly resetPassword: readonly ErrorRequestHandler[];
  readonly verifyEmail: readonly ErrorRequestHandler[];
  readonly resend: readonly ErrorRequestHandler[];
  readonly changePassword: readonly ErrorRequestHandler[];
  readonly changeEmail: readonly ErrorRequestHandler[];
}

export function authPages<U extends User>(auth: AuthManager<U>, http: HttpKit): AuthPages {
  const { views, config, signInMethods } = http;
  const at = (path: string) => config.paths.auth + path;
  const minPasswordLength = config.password.minLength;
  views.sendTo('unauthenticated', at('/login'));
  views.sendTo('password_change_required', at('/change-password'));

  /** What the opened link is about. */
  const linked = (req: Request, purpose: LinkPurpose) => {
    const token = views.kept(req, purpose);
    if (token === null) throw new AuthTunaError('invalid_token');
    return auth.inspectLink(token, purpose);
  };
  const waitingFor = (req: Request) => canonicalEmail(views.kept(req, WAITING) ?? '');

  const login = views.form(
    'auth/login',
    async () => ({
      methods: {
        ...signInMethods,
        organizations: await signInMethods.organizations(),
        rememberMe: config.session.rememberMe,
        signUp: config.signUp.enabled,
      },
    }),
    { texts: { invalid_credentials: 'invalid_login' }, cures: ['forbidden'] },
  );
  const signUp = views.form(
    'auth/signup',
    () => ({
      username: config.signUp.username,
      minPasswordLength,
      providers: signInMethods.providers,
    }),
    { cures: ['forbidden'] },
  );
  const forgotPassword = views.form('auth/forgot-password', () => ({}), {
    cures: ['invalid_token', 'forbidden'],
  });
  const resetPassword = views.form('auth/reset-password', async (req) => {
    const { email } = await linked(req, 'reset_password');
    return { email, minPasswordLength };
  });
  const waiting = views.form(
    'auth/verify-email',
    (req) => ({ state: 'waiting' as const, email: waitingFor(req) }),
    {
      cures: ['invalid_token'],
    },
  );
  const verifyEmail = views.form('auth/verify-email', async (req) => {
    const token = views.kept(req, 'verify_email');
    if (token === null) throw new AuthTunaError('invalid_token');
    const subject = await auth.inspectVerification(token, authOf(req).actor, views.knownBrowserId(req));
    return { state: 'confirm' as const, ...subject, minPasswordLength };
  });
  const confirmEmailChange = views.form('auth/confirm-email-change', async (req) => {
    const { newEmail } = await linked(req, 'change_email');
    return { newEmail: newEmail ?? '' };
  });
  const undoEmailChange = views.form('auth/undo-email-change', async (req) => {
    const { email } = await linked(req, 'undo_email_change');
    return { oldEmail: email };
  });
  const unlock = views.form('auth/unlock', async (req) => {
    const { email } = await linked(req, 'unlock');
    return { email };
  });
  const changePassword = views.form('auth/change-password', (req) => ({
    forced: currentUser(req).mustChangePassword === true,
    minPasswordLength,
  }));

  const changeEmail = views.form(
    'auth/change-email',
    (req) => ({
      email: currentUser(req).email,
      accountUrl: http.mounted.account ? http.accountPage() : null,
    }),
    { cures: ['forbidden'] },
  );

  const router = Router();
  const signedIn = http.guards.requireUser({ mustChangePassword: 'allowed', credentials: ['session'] });
  const opened = (path: string, purpose: LinkPurpose, view: FormView, ...dead: ErrorRequestHandler[]) =>
    router.get(path, views.takeLink(purpose, at(path)), view.show, ...dead);
  router.get('/login', login.show);
  if (config.signUp.enabled) router.get('/signup', signUp.show);
  router.get('/forgot-password', forgotPassword.show);
  router.get('/change-password', signedIn, changePassword.show);
  router.get('/change-email', signedIn, http.stepUp.requireRecentLogin(), changeEmail.show);
  opened('/reset-password', 'reset_password', resetPassword, forgotPassword.problem);
  opened('/change-email/confirm', 'change_email', confirmEmailChange);
  opened('/change-email/undo', 'undo_email_change', undoEmailChange);
  opened('/unlock', 'unlock', unlock);
  router.get(
    '/verify-email',
    views.takeLink('verify_email', at('/verify-email')),
    (req: Request, res: Response, next: NextFunction) =>
      views.kept(req, 'verify_email') === null
        ? waiting.show(req, res, next)
        : verifyEmail.show(req, res, next),
    waiting.problem,
  );
  router.get('/done/:message', (req, res, next) => {
    const { message } = req.params;
    if (!isDone(message)) return next(new AuthTunaError('not_found'));
    const path = DONE[message];
    views.page(req, res, 'message', { message, continueUrl: path === null ? null : at(path) });
  });

  return {
    router,
    login: [unverified(http), login.problem],
    signUp: [signUp.problem],
    forgotPassword: [forgotPassword.problem],
    resetPassword: [resetPassword.problem, forgotPassword.problem],
    verifyEmail: [verifyEmail.problem, waiting.problem],
    resend: [waiting.problem],
    changePassword: [changePassword.problem],
    changeEmail: [staleProof(http, at('/change-email')), changeEmail.problem],
  };
}

/** After the right password of an unconfirmed address: the page that sends the link again. */
function unverified({ views, config }: HttpKit): ErrorRequestHandler {
  return (error, req, res, next) => {
    const isUnverified = error instanceof AuthTunaError && error.code === 'email_not_verified';
    if (!isUnverified || !views.wantsPage(req)) return next(error);
    views.keep(res, WAITING, String((req.body as { login?: unknown }).login ?? ''));
    views.redirect(res, `${config.paths.auth}/verify-email`);
  };
}

/** A form that was open for longer than a proof is fresh: back to its page, which leads through the step-up. */
function staleProof({ views }: HttpKit, path: string): ErrorRequestHandler {
  return (error, req, res, next) => {
    const isStale =
      error instanceof AuthTunaError &&
      (error.code === 'recent_login_required' || error.code === 'second_factor_required');
    if (!isStale || !views.wantsPage(req)) return next(error);
    views.redirect(res, path);
  };
}

function isDone(message: unknown): message is DoneMessage {
  return typeof message === 'string' && Object.hasOwn(DONE, message);
}
