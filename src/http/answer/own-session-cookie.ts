import type { IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import type { Config } from '../../config/config.js';
import type { SessionManager } from '../../core/sessions/sessions.js';
import { AuthTunaError } from '../../errors.js';
import type { SessionCookie } from '../caller/session-cookie.js';
import { type CookieSpec, cookieSpec, readCookie, serializeCookie, setCookie } from './cookies.js';

/** The cookie that keeps the session of an administrator who acts as somebody else. */
export function ownSessionCookieSpec(config: Config): CookieSpec {
  return cookieSpec(config, 'at_own');
}

/** The token in that cookie, worth something or not; null for none and for several. */
export function ownSessionToken(req: IncomingMessage, { name }: CookieSpec): string | null {
  const token = readCookie(req.headers.cookie, name);
  return token === 'ambiguous' || token === '' ? null : token;
}

/**
 * Keeps the session of an administrator who acts as somebody else, so that one click leads back to it, also when acting ended by itself.
 * Its cookie ends with the browser, with the next sign-in and with a sign-out.
 */
export class OwnSessionCookie {
  readonly #cookie: CookieSpec;
  readonly #sessionCookie: SessionCookie;
  readonly #sessions: SessionManager;

  constructor(config: Config, sessionCookie: SessionCookie, sessions: SessionManager) {
    this.#cookie = ownSessionCookieSpec(config);
    this.#sessionCookie = sessionCookie;
    this.#sessions = sessions;
  }

  /** Puts the cookie of this request aside, before the one of the other person is written. */
  keep(req: Request, res: Response): void {
    const token = this.#sessionCookie.read(req);
    if (token === null || token === 'ambiguous') return;
    setCookie(res, this.#cookie, serializeCookie(this.#cookie, token, null));
  }

  /** Writes it back, if it is still worth something and belongs to that administrator; otherwise the browser is signed out afterwards. */
  async restore(req: Request, res: Response, ownerId: string | undefined): Promise<void> {
    if (!(await this.#restore(req, res, ownerId))) this.#sessionCookie.clear(req, res);
  }

  /**
   * Writes it back for a browser whose borrowed session has ended by itself.
   *
   * @throws AuthTunaError `unauthenticated` when there is none, or it has ended too
   */
  async resume(req: Request, res: Response): Promise<void> {
    if (!(await this.#restore(req, res))) throw new AuthTunaError('unauthenticated');
  }

  /** Takes the cookie out of the browser, where the request shows it. */
  forget(req: IncomingMessage, res: Response): void {
    if (readCookie(req.headers.cookie, this.#cookie.name) === null) return;
    setCookie(res, this.#cookie, serializeCookie(this.#cookie, '', 0));
  }

  async #restore(req: Request, res: Response, ownerId?: string): Promise<boolean> {
    const token = ownSessionToken(req, this.#cookie);
    const session = token === null ? null : await this.#sessions.verify(token);
    this.forget(req, res);
    if (token === null || session === null || session.impersonatorId !== null) return false;
    if (ownerId !== undefined && session.userId !== ownerId) return false;
    this.#sessionCookie.write(req, res, token, session.persistent ? session.expiresAt : null);
    return true;
  }
}
