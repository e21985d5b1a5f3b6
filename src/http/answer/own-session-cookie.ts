import type { Request, Response } from 'express';
import type { Config } from '../../config/config.js';
import type { SessionManager } from '../../core/sessions/sessions.js';
import type { SessionCookie } from '../caller/session-cookie.js';
import { type CookieSpec, cookieSpec, readCookie, serializeCookie, setCookie } from './cookies.js';

const KEPT_SECONDS = 1800; // as long as acting as somebody else may last

/** Keeps the session of an administrator who acts as somebody else, so that one click leads back to it. */
export class OwnSessionCookie {
  readonly #cookie: CookieSpec;
  readonly #sessionCookie: SessionCookie;
  readonly #sessions: SessionManager;

  constructor(config: Config, sessionCookie: SessionCookie, sessions: SessionManager) {
    this.#cookie = cookieSpec(config, 'at_own');
    this.#sessionCookie = sessionCookie;
    this.#sessions = sessions;
  }

  /** Puts the cookie of this request aside, before the one of the other person is written. */
  keep(req: Request, res: Response): void {
    const token = this.#sessionCookie.read(req);
    if (token === null || token === 'ambiguous') return;
    setCookie(res, this.#cookie, serializeCookie(this.#cookie, token, KEPT_SECONDS));
  }

  /** Writes it back, if it is still worth something and belongs to that administrator; otherwise the browser is signed out afterwards. */
  async restore(req: Request, res: Response, ownerId: string | undefined): Promise<void> {
    const token = readCookie(req.headers.cookie, this.#cookie.name);
    const session = token === null || token === 'ambiguous' ? null : await this.#sessions.verify(token);
    if (session === null || session.userId !== ownerId || session.impersonatorId !== null)
      this.#sessionCookie.clear(req, res);
    else this.#sessionCookie.write(req, res, token ?? '', session.persistent ? session.expiresAt : null);
    setCookie(res, this.#cookie, serializeCookie(this.#cookie, '', 0));
  }
}
