import type { Request, Response } from 'express';
import type { Config } from '../../config/config.js';
import type { SignInResult } from '../../core/sign-in/sign-in.js';
import { sentUser } from '../../core/user.js';
import type { SessionCookie } from '../caller/session-cookie.js';
import type { Answer, Views } from '../pages/views.js';
import type { BrowserCookie } from './browser-cookie.js';
import type { CookieSpec } from './cookies.js';
import { readCookie, serializeCookie, setCookie } from './cookies.js';
import { rememberWay, type SignInWay } from './last-way.js';
import type { OwnSessionCookie } from './own-session-cookie.js';

const PENDING_SECONDS = 600;

export interface SignInResponse {
  /** For a script and a completed sign-in: 200, or 201 after a sign-up. */
  status?: number;
  /** Where a form goes; by default where its `returnTo` says, or home. */
  redirectTo?: string;
  /** The browser opened an address (it came back from a provider): it is sent on like a form. */
  isNavigation?: boolean;
  /** The first proof, which the sign-in page marks next time. */
  way?: SignInWay;
}

/** What the answer to a sign-in is made with. */
export interface SignInSurroundings {
  sessionCookie: SessionCookie;
  ownSession: OwnSessionCookie;
  pendingCookie: CookieSpec;
  browserCookie: BrowserCookie;
  views: Views;
  config: Config;
}

/** Writes the cookies of a sign-in: the session's, or the short one of a sign-in that waits for its second factor. */
export function writeSignIn(
  { sessionCookie, ownSession, pendingCookie, browserCookie }: SignInSurroundings,
  req: Request,
  res: Response,
  result: SignInResult,
): void {
  if (result.status === 'second_factor_required') {
    setCookie(res, pendingCookie, serializeCookie(pendingCookie, result.pendingToken, PENDING_SECONDS));
    return;
  }
  browserCookie.write(req, res, result.user.id);
  sessionCookie.write(req, res, result.token, result.session.persistent ? result.session.expiresAt : null);
  ownSession.forget(req, res);
  if (readCookie(req.headers.cookie, pendingCookie.name) !== null)
    setCookie(res, pendingCookie, serializeCookie(pendingCookie, '', 0));
}

/**
 * The answer to every way in: the session cookie and the user, or a short pending cookie and what is still to be proved. A form is sent on:
 * to where it wanted, to the second factor, or to the change of a password that must be changed.
 */
export function sendSignIn(
  surroundings: SignInSurroundings,
  req: Request,
  res: Response,
  result: SignInResult,
  { status = 200, redirectTo, isNavigation = false, way }: SignInResponse = {},
): void {
  const { config, views } = surroundings;
  const { auth: authPath } = config.paths;
  const returnTo = redirectTo ?? views.returnTo(req);
  const send = (answer: Answer) =>
    isNavigation ? views.redirect(res, answer.redirectTo) : views.answer(req, res, answer);
  writeSignIn(surroundings, req, res, result);
  if (way !== undefined) rememberWay(config, res, way);
  if (result.status === 'second_factor_required') {
    send({
      json: { secondFactor: { factors: result.factors } },
      status: 202,
      redirectTo: views.withReturnTo(`${authPath}/mfa/challenge`, returnTo),
    });
    return;
  }
  send({
    json: { user: sentUser(result.user, config.user.publicColumns) },
    status,
    redirectTo: result.user.mustChangePassword
      ? views.withReturnTo(`${authPath}/change-password`, returnTo)
      : (returnTo ?? config.paths.afterSignIn),
  });
}
