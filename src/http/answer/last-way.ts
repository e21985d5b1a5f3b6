import type { Request, Response } from 'express';
import type { Config } from '../../config/config.js';
import { cookieSpec, readCookie, serializeCookie, setCookie } from './cookies.js';

/** The first proof of a sign-in: its name on the sign-in page, or the id of a provider. */
export type SignInWay = 'password' | 'passkey' | 'email' | `provider.${string}`;

const KEPT_SECONDS = 365 * 86_400;
const WAY = /^(password|passkey|email|provider\.[\w-]{1,64})$/;

/** Keeps the way by which somebody has just signed in, so that the sign-in page of this browser marks it. */
export function rememberWay(config: Config, res: Response, way: SignInWay): void {
  if (!WAY.test(way)) return;
  const spec = cookieSpec(config, 'at_way');
  setCookie(res, spec, serializeCookie(spec, way, KEPT_SECONDS));
}

/** The way by which somebody signed in last in this browser; null when it is not known. */
export function lastWay(config: Config, req: Request): SignInWay | null {
  const way = readCookie(req.headers.cookie, cookieSpec(config, 'at_way').name);
  return way !== null && WAY.test(way) ? (way as SignInWay) : null;
}
