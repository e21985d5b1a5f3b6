import { isLoopbackHost } from '../net/addresses.js';

/** The path of a base URL: none, or what a proxy strips before the app sees a request. */
const PREFIX = /^\/([\w~.-]+(\/[\w~.-]+)*\/?)?$/;

/** The URL of `baseUrl`. Adds its problem to `found`; an unusable one gives an invalid address, so that further checks can run. */
export function parseBaseUrl(value: string, found: string[]): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    found.push('baseUrl: is not a URL; write for example https://app.example.com');
  } else if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    found.push(
      'baseUrl: http: works on localhost only, because session cookies would travel in clear; use https:',
    );
  } else if (!PREFIX.test(url.pathname) || url.search !== '' || url.hash !== '' || url.username !== '') {
    found.push(
      'baseUrl: must be scheme, host and port, and a path only where a proxy strips one: https://example.com/shop',
    );
  }
  return url ?? new URL('https://invalid.invalid');
}

/** Whether a script may be loaded from there: https, a path of this site, or http on localhost. */
export function isScriptAddress(value: string): boolean {
  if (/^\/(?![/\\])/.test(value)) return true;
  const url = URL.canParse(value) ? new URL(value) : null;
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname));
}

/** Whether the value is scheme and host only. */
export function isOrigin(value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value;
}
