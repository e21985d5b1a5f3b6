import type { ErrorRequestHandler, NextFunction, Request, RequestHandler, Response } from 'express';
import type { User } from '../../auth.js';
import { canonicalEmail } from '../../core/identifiers.js';
import type { LinkPurpose } from '../../core/tokens/mailed-links.js';
import { AuthTunaError } from '../../errors.js';
import { lastWay, type SignInWay } from '../../http/answer/last-way.js';
import { authOf, currentUser } from '../../http/caller/attach.js';
import { holderOf } from '../../http/caller/holder.js';
import type { HttpKit } from '../../http/kit.js';
import { leadOn, signedInElsewhere } from '../../http/pages/lead-on.js';
import { ownFields } from '../../http/pages/own-fields.js';
import type { FormView, Views } from '../../http/pages/views.js';
import { keepWaiting, WAITING } from '../../http/pages/waiting.js';
import type { FeaturePages, PageRoute, RouteGuard } from '../../http/route.js';
import type { MessageName, ProviderButton } from '../../templates/template-data.js';
import type { AuthManager } from './manager.js';

/** Messages that a form is sent on to, and the pages they lead to. */
const DONE = {
  email_verified: '/login',
  reset_requested: null,
  password_changed: '/login',
  email_change_requested: null,
  email_changed: null,
  email_change_undone: '/forgot-password',
  account_unlocked: '/login',
  email_confirmed_already: '/login',
  link_overtaken: null,
} as const satisfies Record<MessageName, string | null>;
export type DoneMessage = keyof typeof DONE;

const SIGNED_IN: RouteGuard = { allow: 'must_change_password' };

/** The forms of the auth router: routes show them again when a post is refused. */
export interface AuthForms {
  login: readonly ErrorRequestHandler[];
  signUp: readonly ErrorRequestHandler[];
  forgotPassword: readonly ErrorRequestHandler[];
  resetPassword: readonly ErrorRequestHandler[];
  verifyEmail: readonly ErrorRequestHandler[];
  confirmEmailChange: readonly ErrorRequestHandler[];
  resend: readonly ErrorRequestHandler[];
  changePassword: readonly ErrorRequestHandler[];
  changeEmail: readonly ErrorRequestHandler[];
  stepUp: readonly ErrorRequestHandler[];
}

// Long: a table of pages, one entry each.
export function authPages<U extends User>(
  auth: AuthManager<U>,
  http: HttpKit,
): { pages: FeaturePages; forms: AuthForms } {
  const { views, config } = http;
  const at = (path: string) => config.paths.auth + path;
  const entry = entryForms(http);
  const mailed = mailedForms(auth, http);
  const account = accountForms(auth, http);
  const stepUp = views.form(
    'auth/step-up',
    async (req) => ({
      ...(await stepUpWays(auth, http, holderOf(req).userId)),
      email: authOf(req).user?.email ?? null,
      accountUrl: authOf(req).user === null ? null : accountUrlOf(http),
    }),
    { texts: { invalid_credentials: 'invalid_code' } },
  );
  const opened = (
    path: string,
    purpose: LinkPurpose,
    view: FormView,
    ...dead: ErrorRequestHandler[]
  ): PageRoute => ({
    path,
    show: [views.takeLink(purpose, at(path)), view.show, ...dead],
  });
  return {
    pages: {
      mounted: 'auth',
      cures: {
        unauthenticated: config.paths.signIn,
        password_change_required: at('/change-password'),
        recent_login_required: at('/step-up'),
        second_factor_required: at('/step-up'),
      },
      formAt: (req) => at(req.path),
      routes: [
        { path: '/assets/:name', isStatic: true, show: [views.assets()] },
        { path: '/language/:locale', show: [languageChoice(http)] },
        {
          path: '/login',
          show: [leadOn(http), config.paths.hasOwnSignIn ? ownSignInPage(http) : entry.login.show],
        },
        {
          path: '/signup',
          show: [leadOn(http), config.signUp.enabled ? entry.signUp.show : signUpClosed],
        },
        { path: '/forgot-password', show: [entry.forgotPassword.show] },
        opened('/reset-password', 'reset_password', mailed.resetPassword, entry.forgotPassword.problem),
        { path: '/change-password', guard: SIGNED_IN, show: [account.changePassword.show] },
        { path: '/change-email', guard: { ...SIGNED_IN, recent: 'login' }, show: [account.changeEmail.show] },
        opened(
          '/change-email/confirm',
          'change_email',
          mailed.confirmEmailChange,
          linkIsOver(auth, http, 'change_email'),
        ),
        opened('/change-email/undo', 'undo_email_change', mailed.undoEmailChange),
        opened('/unlock', 'unlock', mailed.unlock),
        {
          path: '/verify-email',
          show: [
            views.takeLink('verify_email', at('/verify-email')),
            (req: Request, res: Response, next: NextFunction) =>
              views.kept(req, 'verify_email') === null
                ? mailed.waiting.show(req, res, next)
                : mailed.verifyEmail.show(req, res, next),
            linkIsOver(auth, http, 'verify_email'),
            mailed.waiting.problem,
          ],
        },
        { path: '/step-up', show: [stepUp.show] },
        { path: '/done/:message', show: [donePage(http)] },
      ],
    },
    forms: {
      login: [signedInElsewhere(http), unverified(http), entry.login.problem],
      signUp: [signedInElsewhere(http), entry.signUp.problem],
      forgotPassword: [entry.forgotPassword.problem],
      resetPassword: [mailed.resetPassword.problem, entry.forgotPassword.problem],
      verifyEmail: [
        mailed.verifyEmail.problem,
        linkIsOver(auth, http, 'verify_email'),
        mailed.waiting.problem,
      ],
      confirmEmailChange: [mailed.confirmEmailChange.problem, linkIsOver(auth, http, 'change_email')],
      resend: [mailed.waiting.problem],
      changePassword: [account.changePassword.problem],
      changeEmail: [account.changeEmail.problem],
      stepUp: [stepUp.problem],
    },
  };
}

const SHOWN_PROVIDERS = 3; // further ones are folded: a wall of equal buttons is slow to read

/** The buttons of providers, with the one that was used last first and marked. */
function providersFor(all: readonly ProviderButton[], last: SignInWay | null) {
  const marked = all.map((each) => ({ ...each, isLast: last === `provider.${each.id}` }));
  const sorted = [...marked].sort((a, b) => Number(b.isLast) - Number(a.isLast));
  return { providers: sorted.slice(0, SHOWN_PROVIDERS), moreProviders: sorted.slice(SHOWN_PROVIDERS) };
}

/** The forms of people who are not signed in. */
function entryForms({ views, config, mounts }: HttpKit) {
  const { signInMethods } = mounts;
  return {
    login: views.form(
      'auth/login',
      async (req) => ({
        loginField: config.signUp.username === 'off' ? ('email' as const) : ('login' as const),
        lastUsed: lastWay(config, req),
        methods: {
          ...signInMethods,
          ...providersFor(signInMethods.providers, lastWay(config, req)),
          organizations: await askOrLeaveOut(signInMethods.organizations),
          rememberMe: config.session.rememberMe,
          signUp: config.signUp.enabled,
        },
      }),
      { texts: { invalid_credentials: 'invalid_login' }, cures: ['forbidden'] },
    ),
    signUp: views.form(
      'auth/signup',
      () => ({
        username: config.signUp.username,
        fields: ownFields(config),
        minPasswordLength: config.password.minLength,
        providers: signInMethods.providers,
      }),
      { cures: ['forbidden'] },
    ),
    forgotPassword: views.form('auth/forgot-password', () => ({}), {
      cures: ['invalid_token', 'forbidden'],
    }),
  };
}

/** The forms that mails link to. */
function mailedForms<U extends User>(auth: AuthManager<U>, { views, config }: HttpKit) {
  const minPasswordLength = config.password.minLength;
  const linked = async (req: Request, purpose: LinkPurpose) =>
    auth.inspectLink(views.keptLink(req, purpose), purpose);
  const wantedBy = (req: Request, wanted: string | null) => {
    const returnTo = views.returnTo(req) ?? wanted;
    return returnTo === null ? {} : { returnTo };
  };
  return {
    resetPassword: views.form('auth/reset-password', async (req) => {
      const { email, returnTo } = await linked(req, 'reset_password');
      return { email, minPasswordLength, ...wantedBy(req, returnTo) };
    }),
    waiting: views.form(
      'auth/verify-email',
      (req) => ({ state: 'waiting' as const, ...waitingIn(views, req) }),
      { cures: ['invalid_token'] },
    ),
    verifyEmail: views.form('auth/verify-email', async (req) => {
      const token = views.keptLink(req, 'verify_email');
      const subject = await auth.inspectVerification(token, authOf(req).actor, views.knownBrowserId(req));
      return {
        state: 'confirm' as const,
        ...subject,
        minPasswordLength,
        ...wantedBy(req, subject.returnTo),
      };
    }),
    confirmEmailChange: views.form('auth/confirm-email-change', async (req) => {
      const { newEmail } = await linked(req, 'change_email');
      return { newEmail: newEmail ?? '' };
    }),
    undoEmailChange: views.form('auth/undo-email-change', async (req) => {
      const { email } = await linked(req, 'undo_email_change');
      return { oldEmail: email };
    }),
    unlock: views.form('auth/unlock', async (req) => {
      const { email } = await linked(req, 'unlock');
      return { email };
    }),
  };
}

/** Where a person turns back to who wants to change nothing; null where the account has no page. */
function accountUrlOf({ mounts, accountPage }: HttpKit): string | null {
  return mounts.pages.account ? accountPage() : null;
}

/** The forms of people who are signed in. */
function accountForms<U extends User>(auth: AuthManager<U>, http: HttpKit) {
  const { views, config } = http;
  return {
    changePassword: views.form('auth/change-password', async (req) => ({
      forced: currentUser(req).mustChangePassword === true,
      hasPassword: await auth.hasPassword(currentUser(req).id),
      email: currentUser(req).email,
      minPasswordLength: config.password.minLength,
      accountUrl: currentUser(req).mustChangePassword === true ? null : accountUrlOf(http),
    })),
    changeEmail: views.form(
      'auth/change-email',
      (req) => ({
        email: currentUser(req).email,
        accountUrl: accountUrlOf(http),
      }),
      { cures: ['forbidden'] },
    ),
  };
}

function donePage(http: HttpKit) {
  const { views, config } = http;
  return (req: Request, res: Response, next: NextFunction) => {
    const { message } = req.params;
    if (!isDone(message)) return next(new AuthTunaError('not_found'));
    const returnTo = views.returnTo(req);
    const path = DONE[message];
    const onward = path === null ? null : views.withReturnTo(config.paths.auth + path, returnTo);
    const isSignedIn = authOf(req).user !== null;
    views.page(req, res, 'message', {
      message,
      isSignedIn,
      // Signed in, there is nothing to sign in to.
      continueUrl: isSignedIn && path !== '/forgot-password' ? (returnTo ?? http.accountPage()) : onward,
      leadsToSignIn: !isSignedIn && path === '/login',
      returnTo,
    });
  };
}

/** Keeps the language that a visitor chose, and comes back to the page that offered it. */
function languageChoice({ views, config }: HttpKit): RequestHandler {
  return (req, res) => {
    views.chooseLanguage(res, String(req.params.locale));
    views.redirect(res, views.returnTo(req) ?? config.paths.signIn);
  };
}

/** Where our sign-in page would be: the host's own page. */
function ownSignInPage({ views, config }: HttpKit) {
  return (req: Request, res: Response) =>
    views.redirect(res, views.withReturnTo(config.paths.signIn, views.returnTo(req)));
}

/** Where sign-up is closed, its page says so. */
const signUpClosed: RequestHandler = (_req, _res, next) =>
  next(new AuthTunaError('forbidden', { message: 'Sign-up is closed.', reason: 'sign_up_closed' }));

/** A dead link that has done its work, or that a newer one or an undoing has overtaken, says so. */
function linkIsOver<U extends User>(
  auth: AuthManager<U>,
  { views, config }: HttpKit,
  purpose: 'verify_email' | 'change_email',
): ErrorRequestHandler {
  return (error, req, res, next) => {
    const token = views.kept(req, purpose);
    const isDead = error instanceof AuthTunaError && error.code === 'invalid_token';
    if (!isDead || token === null || !views.wantsPage(req)) return next(error);
    auth.linkOutcome(token, purpose).then((found) => {
      if (found === null || (found.outcome === 'overtaken' && purpose === 'verify_email')) return next(error);
      const message = found.outcome === 'confirmed' ? 'email_confirmed_already' : 'link_overtaken';
      views.redirect(res, views.withReturnTo(`${config.paths.auth}/done/${message}`, found.returnTo));
    }, next);
  };
}

/** After the right password of an unconfirmed address: the page that says where the link was sent, and sends it again. */
function unverified({ views, config }: HttpKit): ErrorRequestHandler {
  return (error, req, res, next) => {
    const isUnverified = error instanceof AuthTunaError && error.code === 'email_not_verified';
    if (!isUnverified || !views.wantsPage(req)) return next(error);
    const { retryAfterSeconds, reason } = error.details;
    const address = String((req.body as { login?: unknown }).login ?? '');
    const isRepeat = reason !== 'mail_held';
    keepWaiting(
      views,
      res,
      address,
      retryAfterSeconds === undefined ? null : { retryAfterSeconds, isRepeat },
    );
    views.redirect(res, views.withReturnTo(`${config.paths.auth}/verify-email`, views.returnTo(req)));
  };
}

/** The address that waits to be confirmed in this browser, and what was said of its mail. */
function waitingIn(views: Views, req: Request) {
  for (const mail of ['sent', 'again', 'held'] as const) {
    const email = canonicalEmail(views.kept(req, WAITING[mail]) ?? '');
    if (email !== null) return { email, mail };
  }
  return { email: null, mail: 'held' as const };
}

function isDone(message: unknown): message is DoneMessage {
  return typeof message === 'string' && Object.hasOwn(DONE, message);
}

/** Without a database the form is shown all the same: people who cannot sign in for a minute need no error page. */
async function askOrLeaveOut(ask: () => Promise<boolean>): Promise<boolean> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof AuthTunaError && error.code === 'unavailable') return false;
    throw error;
  }
}

/** What the step-up page offers. A person who has none of the proofs of the form signs in afresh, by a way that they have. */
async function stepUpWays<U extends User>(auth: AuthManager<U>, { mounts }: HttpKit, userId: string) {
  const { providers: linked, ...methods } = await auth.stepUpMethods(userId);
  const { providers, magicLink, emailCode } = mounts.signInMethods;
  const hasNone = !methods.password && !methods.code && !methods.passkeys;
  return {
    methods,
    afresh: {
      providers: hasNone ? providers.filter(({ id }) => linked.includes(id)) : [],
      magicLink: hasNone && magicLink,
      emailCode: hasNone && emailCode,
    },
  };
}
