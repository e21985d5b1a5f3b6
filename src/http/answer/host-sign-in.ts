import type { Request, Response } from 'express';
import { noUser, requireKnownFields } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInResult } from '../../core/sign-in/sign-in.js';
import { misconfigured } from '../../errors.js';
import { authOf } from '../caller/attach.js';
import { crossSiteRefusal, isCrossSite, isSafeMethod } from '../guards/csrf.js';
import type { HttpKit } from '../kit.js';

/** What a sign-in from the host's own route may say. */
export interface HostSignInOptions {
  /** Keeps the session when the browser is closed. Default false. */
  rememberMe?: boolean;
}

/**
 * Signs a person in from the host's own route, by the same rules as every other way in: suspension, confirmed addresses, hooks, second factors.
 * Sets the cookies and leaves the answer to the host.
 *
 * @param amr what the host's route proved, in values of RFC 8176: `['pwd']`. Two values are two factors
 * @returns the user and session, or which second factor is due; then send the browser to `<auth>/mfa/challenge`
 * @throws AuthTunaError `not_found`, `account_suspended`, `email_not_verified`, `cross_site_request`, what `hooks.beforeSignIn` throws;
 *   `misconfigured` without `session()` before the route
 */
export async function signInFromHost(
  core: SignInCore,
  http: HttpKit,
  req: Request,
  res: Response,
  userId: string,
  amr: readonly string[],
  options: HostSignInOptions = {},
): Promise<SignInResult> {
  requireKnownFields(options, ['rememberMe']);
  if (amr.length === 0 || amr.some((value) => !/^[a-z_]{2,32}$/.test(value)))
    throw misconfigured("signIn: say how the person proved it, in values of RFC 8176, such as ['pwd']");
  const { actor } = authOf(req);
  // Another site must not sign a person in to an account of its own (login CSRF).
  if (!isSafeMethod(req.method) && isCrossSite(req, core.config)) throw crossSiteRefusal(req, core.config);
  const user = await core.users.row(userId);
  if (user === null || user.deletedAt !== null) throw noUser();
  const assuranceLevel = amr.length > 1 ? 2 : 1;
  const proof = { amr, assuranceLevel } as const;
  const result = await core.signIn.complete(user, proof, actor, {
    ...(await http.signInOptions(req)),
    rememberMe: options.rememberMe === true,
  });
  http.writeSignIn(req, res, result);
  return result;
}
