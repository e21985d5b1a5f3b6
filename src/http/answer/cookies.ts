import type { ServerResponse } from 'node:http';
import type { Config } from '../../config/config.js';

/** How a cookie of ours is written. The same attributes write and clear it, or clearing would miss. */
export interface CookieSpec {
  readonly name: string;
  readonly attributes: string;
}

/**
 * `__Host-` on https, `__Secure-` where a Domain is given (which `__Host-` forbids), and the bare name on a loopback http: base URL.
 *
 * @param options.domain for the session alone: a cookie that a sibling domain could plant binds nothing to this browser
 * With `session.sameSite: 'none'` every cookie is `SameSite=None`: a second factor or a mailed code asked for on another site needs its own.
 *
 * @see W3C cookie prefixes; ASVS 5.0 V3.3; docs/requirements.md CK-1, CK-3
 */
export function cookieSpec(
  { isSecure, session }: Pick<Config, 'isSecure' | 'session'>,
  name: string,
  { sameSite, domain }: { sameSite?: Config['session']['sameSite']; domain?: string | undefined } = {},
): CookieSpec {
  const prefix = !isSecure ? '' : domain === undefined ? '__Host-' : '__Secure-';
  const attributes = [
    'Path=/',
    'HttpOnly',
    ...(isSecure ? ['Secure'] : []),
    `SameSite=${session.sameSite === 'none' ? 'None' : sameSite === 'strict' ? 'Strict' : 'Lax'}`,
    ...(domain === undefined ? [] : [`Domain=${domain}`]),
  ].join('; ');
  return { name: prefix + name, attributes };
}

/** A `Set-Cookie` value. `maxAge` in seconds; none makes a cookie that ends with the browser. */
export function serializeCookie(spec: CookieSpec, value: string, maxAge: number | null): string {
  return `${spec.name}=${value}; ${spec.attributes}${maxAge === null ? '' : `; Max-Age=${Math.max(0, Math.floor(maxAge))}`}`;
}

/**
 * The value of the one cookie of that name: null when there is none, `'ambiguous'` when there are several.
 *
 * Only space and tab are trimmed: parsers that trim Unicode space let a sibling domain smuggle a second cookie in.
 * @see docs/requirements.md CK-2
 */
export function readCookie(header: string | undefined, name: string): string | null | 'ambiguous' {
  if (header === undefined) return null;
  let found: string | null = null;
  let start = 0;
  while (start < header.length) {
    let end = header.indexOf(';', start);
    if (end < 0) end = header.length;
    let first = header.charCodeAt(start);
    while (first === SPACE || first === TAB) first = header.charCodeAt(++start);
    if (header.startsWith(name, start) && header.charCodeAt(start + name.length) === EQUALS) {
      if (found !== null) return 'ambiguous';
      found = header.slice(start + name.length + 1, end);
    }
    start = end + 1;
  }
  return found;
}

/** The values of all cookies of that name, at most `max` of them. */
export function readCookies(header: string | undefined, name: string, max: number): string[] {
  const pairs = (header ?? '').split(';').map((pair) => pair.replace(/^[ \t]+/, ''));
  return pairs
    .filter((pair) => pair.startsWith(`${name}=`))
    .slice(0, max)
    .map((pair) => pair.slice(name.length + 1));
}

const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;

/**
 * Writes a `Set-Cookie` of ours, replacing an earlier one of the same name, so that a sign-in in the handler wins over a renewal before it.
 * Whatever carries a cookie is not to be stored by a cache.
 */
export function setCookie(res: ServerResponse, spec: CookieSpec, cookie: string): void {
  const present = res.getHeader('Set-Cookie');
  const others = (Array.isArray(present) ? present : present === undefined ? [] : [String(present)]).filter(
    (other) => !other.startsWith(`${spec.name}=`),
  );
  res.setHeader('Set-Cookie', [...others, cookie]);
  res.setHeader('Cache-Control', 'no-store');
}

/**
 * Keeps a cookie off an answer that comes too late, and caches away from an answer that carries one, whatever the handler does meanwhile.
 *
 * A late answer must not put an old generation back into the jar.
 */
export function guardLateCookie(
  res: ServerResponse,
  spec: CookieSpec,
  cookie: string,
  isTooLate: () => boolean,
): void {
  const writeHead = res.writeHead;
  res.writeHead = function guarded(this: ServerResponse, ...args: unknown[]) {
    res.writeHead = writeHead;
    const present = res.getHeader('Set-Cookie');
    if (Array.isArray(present) && present.includes(cookie)) {
      if (isTooLate()) {
        const others = present.filter((other) => other !== cookie);
        if (others.length === 0) res.removeHeader('Set-Cookie');
        else res.setHeader('Set-Cookie', others);
      } else {
        res.setHeader('Cache-Control', 'no-store');
      }
    }
    return (writeHead as (...parameters: unknown[]) => ServerResponse).apply(res, args);
  } as typeof res.writeHead;
  setCookie(res, spec, cookie);
}
