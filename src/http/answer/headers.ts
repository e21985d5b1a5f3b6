import type { RequestHandler } from 'express';
import { requireKnownOptions } from '../../errors.js';

export interface SecurityHeaderOptions {
  /** Replaces the Content-Security-Policy; false leaves it out. */
  contentSecurityPolicy?: string | false;
}

/** Nothing inline, nothing from elsewhere, no frames. */
const DIRECTIVES: Readonly<Record<string, string>> = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'form-action': "'self'",
  'base-uri': "'none'",
  'frame-ancestors': "'none'",
};

/** The policy of our pages, with further sources by directive: `contentSecurityPolicy({ 'form-action': ['https://accounts.example'] })`. */
export function contentSecurityPolicy(further: Readonly<Record<string, readonly string[]>> = {}): string {
  return Object.keys({ ...DIRECTIVES, ...further })
    .map((name) =>
      [name, DIRECTIVES[name] ?? '', ...(further[name] ?? [])].filter((part) => part !== '').join(' '),
    )
    .join('; ');
}

const HSTS = 'max-age=31536000; includeSubDomains'; // one year, ASVS 5.0 V3.4.1

/**
 * Headers that tell browsers to load nothing from other sites, to show the page in no frame, and to stay on https.
 *
 * @see ASVS 5.0 V3.4; docs/requirements.md HD-1
 */
export function securityHeaders(isSecure: boolean, options: SecurityHeaderOptions = {}): RequestHandler {
  requireKnownOptions('securityHeaders', options, ['contentSecurityPolicy']);
  const policy = options.contentSecurityPolicy ?? contentSecurityPolicy();
  const headers: [string, string][] = [
    ...(policy === false ? [] : ([['Content-Security-Policy', policy]] as [string, string][])),
    ['X-Content-Type-Options', 'nosniff'],
    ['X-Frame-Options', 'DENY'],
    ['Referrer-Policy', 'no-referrer'],
    ['Cross-Origin-Opener-Policy', 'same-origin'],
    ['Cross-Origin-Resource-Policy', 'same-origin'],
    ...(isSecure ? ([['Strict-Transport-Security', HSTS]] as [string, string][]) : []),
  ];
  return (_req, res, next) => {
    for (const [name, value] of headers) res.setHeader(name, value);
    res.removeHeader('X-Powered-By');
    next();
  };
}
