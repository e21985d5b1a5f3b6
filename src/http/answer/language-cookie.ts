import type { IncomingMessage } from 'node:http';
import type { Config } from '../../config/config.js';
import { type CookieSpec, cookieSpec, readCookie } from './cookies.js';

/** How long a choice is kept: a year. */
export const LANGUAGE_SECONDS = 365 * 86_400;

const LANGUAGE = /^[a-z]{2,3}(-[A-Za-z\d]{2,8}){0,3}$/;

/** The cookie of a language that a visitor chose on a page. */
export function languageCookieSpec(config: Config): CookieSpec {
  return cookieSpec(config, 'at_lang');
}

/** The languages of a request as in `Accept-Language`, with the chosen one first; undefined when it names none. */
export function languagesOf({ headers }: IncomingMessage, { name }: CookieSpec): string | undefined {
  const chosen = readCookie(headers.cookie, name);
  const accepted = headers['accept-language'];
  if (chosen === null || !LANGUAGE.test(chosen)) return accepted;
  return accepted === undefined ? chosen : `${chosen}, ${accepted}`;
}
