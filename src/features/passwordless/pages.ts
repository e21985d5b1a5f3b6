import { type ErrorRequestHandler, Router } from 'express';
import { canonicalEmail } from '../../core/identifiers.js';
import { AuthTunaError } from '../../errors.js';
import type { HttpKit } from '../../http/kit.js';
import type { PasswordlessManager } from './manager.js';

/** The names under which the asking browser keeps the address, and under which an opened link waits to be spent. */
export const LINK_SENT = 'link_sent';
export const CODE_SENT = 'code_sent';
export const OPENED_LINK = 'magic_link';

export interface PasswordlessPages {
  readonly router: Router;
  readonly link: readonly ErrorRequestHandler[];
  readonly code: readonly ErrorRequestHandler[];
  readonly consumeLink: readonly ErrorRequestHandler[];
  readonly consumeCode: readonly ErrorRequestHandler[];
}

export function passwordlessPages(passwordless: PasswordlessManager, http: HttpKit): PasswordlessPages {
  const { views, config } = http;
  const at = (path: string) => `${config.paths.auth}/passwordless${path}`;

  const link = views.form('passwordless/request', () => ({ kind: 'link' as const }), {
    cures: ['invalid_token', 'forbidden'],
  });
  const code = views.form('passwordless/request', () => ({ kind: 'code' as const }), {
    cures: ['forbidden'],
  });
  const confirm = views.form(
    'passwordless/confirm',
    (req) => {
      const token = views.kept(req, OPENED_LINK);
      if (token === null) throw new AuthTunaError('invalid_token');
      return passwordless.inspectLink(token, views.knownBrowserId(req) ?? undefined);
    },
    { texts: { invalid_credentials: 'invalid_code' } },
  );
  const enterCode = views.form(
    'passwordless/code',
    (req) => ({ email: canonicalEmail(views.kept(req, CODE_SENT) ?? '') ?? '' }),
    { texts: { invalid_credentials: 'invalid_code' } },
  );

  const router = Router();
  if (config.passwordless.magicLink.enabled) {
    router.get('/link', link.show);
    router.get('/link/sent', (req, res, next) => {
      if (!views.wantsPage(req)) return next();
      const email = canonicalEmail(views.kept(req, LINK_SENT) ?? '');
      if (email === null) return views.redirect(res, at('/link'));
      const browserId = views.knownBrowserId(req);
      views.page(req, res, 'passwordless/sent', {
        email,
        code: browserId === null ? null : passwordless.browserCode(browserId),
      });
    });
    router.get('/link/open', views.takeLink(OPENED_LINK, at('/link/open')), confirm.show, link.problem);
  }
  if (config.passwordless.emailCode) {
    router.get('/code', code.show);
    router.get('/code/enter', (req, res, next) =>
      canonicalEmail(views.kept(req, CODE_SENT) ?? '') === null
        ? views.redirect(res, views.withReturnTo(at('/code'), views.returnTo(req)))
        : enterCode.show(req, res, next),
    );
  }
  return {
    router,
    link: [link.problem],
    code: [code.problem],
    consumeLink: [confirm.problem, link.problem],
    consumeCode: [enterCode.problem],
  };
}
