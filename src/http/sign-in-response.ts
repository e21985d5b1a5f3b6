import type { Response } from 'express';
import type { SignInResult } from '../core/sign-in.js';
import type { CookieSpec } from './cookies.js';
import { serialiseCookie, setCookie } from './cookies.js';
import type { SessionMiddleware } from './session.js';

const PENDING_SECONDS = 600;

/**
 * The answer to every way in: the session cookie and the user, or a short pending cookie and what is still to be proved.
 *
 * @param status for a completed sign-in: 200, or 201 after a sign-up
 */
export function sendSignIn(
  res: Response,
  result: SignInResult,
  sessions: SessionMiddleware,
  pending: CookieSpec,
  status = 200,
): void {
  if (result.status === 'second_factor_required') {
    setCookie(res, pending, serialiseCookie(pending, result.pendingToken, PENDING_SECONDS));
    res.status(202).json({ secondFactor: { factors: result.factors } });
    return;
  }
  sessions.writeCookie(res, result.token, result.session.persistent ? result.session.expiresAt : null);
  res.status(status).json({ user: result.user });
}
