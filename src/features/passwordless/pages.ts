import type { ErrorRequestHandler, NextFunction, Request, Response } from 'express';
import { canonicalEmail } from '../../core/identifiers.js';
import { handle } from '../../http/errors.js';
import type { HttpKit } from '../../http/kit.js';
import { signedInElsewhere } from '../../http/pages/lead-on.js';
import { ownFields } from '../../http/pages/own-fields.js';
import type { FormView } from '../../http/pages/views.js';
import type { FeaturePages } from '../../http/route.js';
import type { PasswordlessManager } from './manager.js';

/** The names under which the asking browser keeps the address, and under which an opened link waits to be spent. */
export const LINK_SENT = 'link_sent';
export const CODE_SENT = 'code_sent';
export const OPENED_LINK = 'magic_link';

/** On a form that asks for a code. */
const WRONG_CODE = { invalid_credentials: 'invalid_code' };

/** The forms of the passwordless router: routes show them again when a post is refused. */
export interface PasswordlessForms {
  link: readonly ErrorRequestHandler[];
  code: readonly ErrorRequestHandler[];
  consumeLink: readonly ErrorRequestHandler[];
  consumeCode: readonly ErrorRequestHandler[];
}

export function passwordlessPages(
  passwordless: PasswordlessManager,
  http: HttpKit,
): { pages: FeaturePages; forms: PasswordlessForms } {
  const { views, config } = http;
  const { magicLink, emailCode } = config.passwordless;
  const at = (path: string) => `${config.paths.auth}/passwordless${path}`;
  const { link, code, enterCode } = passwordlessForms(http);
  const opening = openedForms(passwordless, http);
  const signedIn = signedInElsewhere(http);

  const linkSent = (req: Request, res: Response, next: NextFunction) => {
    if (!views.wantsPage(req)) return next(); // the route of the same path answers scripts
    const email = canonicalEmail(views.kept(req, LINK_SENT) ?? '');
    if (email === null) return views.redirect(res, views.withReturnTo(at('/link'), views.returnTo(req)));
    const browserId = views.knownBrowserId(req);
    views.page(req, res, 'passwordless/sent', {
      email,
      returnTo: views.returnTo(req),
      code: browserId === null ? null : passwordless.browserCode(browserId),
    });
  };
  const codeEntry = (req: Request, res: Response, next: NextFunction) =>
    canonicalEmail(views.kept(req, CODE_SENT) ?? '') === null
      ? views.redirect(res, views.withReturnTo(at('/code'), views.returnTo(req)))
      : enterCode.show(req, res, next);
  const opened = [views.takeLink(OPENED_LINK, at('/link/open')), opening.show, link.problem];

  return {
    pages: {
      signInMethods: { magicLink: magicLink.enabled, emailCode },
      routes: [
        ...(magicLink.enabled
          ? [
              { path: '/link', show: [link.show] },
              { path: '/link/sent', show: [linkSent] },
              { path: '/link/open', show: opened },
            ]
          : []),
        ...(emailCode
          ? [
              { path: '/code', show: [code.show] },
              { path: '/code/enter', show: [codeEntry] },
            ]
          : []),
      ],
    },
    forms: {
      link: [signedIn, link.problem],
      code: [signedIn, code.problem],
      consumeLink: [signedIn, opening.problem, link.problem],
      consumeCode: [signedIn, enterCode.problem],
    },
  };
}

function passwordlessForms({ views, config }: HttpKit) {
  const { magicLink, emailCode } = config.passwordless;
  const hasOther = magicLink.enabled && emailCode;
  return {
    link: views.form('passwordless/request', () => ({ kind: 'link' as const, hasOther }), {
      cures: ['invalid_token', 'forbidden'],
    }),
    code: views.form('passwordless/request', () => ({ kind: 'code' as const, hasOther }), {
      cures: ['forbidden'],
    }),
    enterCode: views.form(
      'passwordless/code',
      (req) => ({
        // The form still has the address that the browser no longer keeps.
        email: canonicalEmail(views.kept(req, CODE_SENT) ?? postedEmail(req)) ?? '',
        rememberMe: config.session.rememberMe,
      }),
      { texts: WRONG_CODE },
    ),
  };
}

function postedEmail(req: Request): string {
  const { email } = (req.body ?? {}) as { email?: unknown };
  return typeof email === 'string' ? email : '';
}

/** The page of an opened link: it signs in, or asks a newcomer for what the account still needs. */
function openedForms(passwordless: PasswordlessManager, { views, config }: HttpKit): FormView {
  const inspect = async (req: Request) => {
    const token = views.keptLink(req, OPENED_LINK);
    const { returnTo, ...link } = await passwordless.inspectLink(
      token,
      views.knownBrowserId(req) ?? undefined,
    );
    return { ...link, rememberMe: config.session.rememberMe, returnTo: views.returnTo(req) ?? returnTo };
  };
  const confirm = views.form('passwordless/confirm', inspect, { texts: WRONG_CODE });
  const complete = views.form(
    'auth/complete',
    async (req) => ({
      ...(await inspect(req)),
      action: '/passwordless/link/consume',
      provider: null,
      username: config.signUp.username,
      fields: ownFields(config),
    }),
    { texts: WRONG_CODE, cures: ['forbidden'] },
  );
  const formFor = async (req: Request) => ((await inspect(req)).isSignUp ? complete : confirm);
  return {
    show: handle(async (req, res, next) => (await formFor(req)).show(req, res, next)),
    problem: (error, req, res, next) => {
      formFor(req).then(
        (form) => form.problem(error, req, res, next),
        // The link is dead: the next form says so, and asks for another.
        (dead: unknown) => next(views.isForm(req) ? dead : error),
      );
    },
  };
}
