import type { Request, Response } from 'express';
import type { Config } from '../../config/config.js';
import type { PageNotice } from '../../templates/template-data.js';
import { type CookieSpec, cookieSpec, readCookie, serializeCookie, setCookie } from '../answer/cookies.js';

/** What an action says on the page that it leads to: a text of `notices.*`. */
export const NOTICES = [
  'password_changed',
  'password_set',
  'email_verified',
  'signed_out',
  'sign_in_expired',
  'sign_in_lost',
  'setup_expired',
  'provider_linked',
  'provider_unlinked',
  'session_ended',
  'other_sessions_ended',
  'passkey_added',
  'passkey_renamed',
  'passkey_removed',
  'app_removed',
  'trust_ended',
  'factors_kept',
  'api_key_revoked',
  'deletion_requested',
  'deletion_canceled',
  'consent_given',
  'consent_withdrawn',
  'joined',
  'sent_again',
  'mail_held',
] as const;
export type NoticeName = (typeof NOTICES)[number];

const NOTICE_SECONDS = 60; // until the next page, which is there at once
const MAX_VALUE = 64;

/** Carries a notice from a form to the page that it leads to, in a cookie that the page takes away. */
export class Notices {
  readonly #spec: CookieSpec;

  constructor(config: Config) {
    this.#spec = cookieSpec(config, 'at_notice');
  }

  /** Leaves a notice for the next page. @param values names of providers or devices that its text mentions */
  leave(res: Response, name: NoticeName, values: Readonly<Record<string, string>> = {}): void {
    const json = JSON.stringify({ name, values });
    const value = Buffer.from(json, 'utf8').toString('base64url');
    setCookie(res, this.#spec, serializeCookie(this.#spec, value, NOTICE_SECONDS));
  }

  /** Takes the notice away from the browser. It comes from the browser, so an unknown one is none. */
  take(req: Request, res: Response): PageNotice | null {
    const cookie = readCookie(req.headers.cookie, this.#spec.name);
    if (cookie === null) return null;
    setCookie(res, this.#spec, serializeCookie(this.#spec, '', 0));
    return parse(cookie);
  }
}

function parse(cookie: string): PageNotice | null {
  try {
    const read = JSON.parse(Buffer.from(cookie, 'base64url').toString('utf8')) as Partial<PageNotice>;
    const name = NOTICES.find((each) => each === read.name);
    if (name === undefined) return null;
    const values = Object.entries(read.values ?? {}).map(([key, value]) => [
      key,
      String(value).slice(0, MAX_VALUE),
    ]);
    return { name, values: { provider: '', device: '', seconds: '60', ...Object.fromEntries(values) } };
  } catch {
    return null;
  }
}
