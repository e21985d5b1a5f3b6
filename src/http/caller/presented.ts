import type { Request } from 'express';
import type { ErrorCode } from '../../errors.js';
import { findCaller } from './authenticators.js';
import { RequestAuth } from './request-auth.js';
import type { SessionMiddleware } from './session.js';

/** The credential of a request that another server received. */
export interface Presented {
  cookie: string | undefined;
  authorization: string | undefined;
  apiKey: string | undefined;
  /** Of the client that sent it there. */
  ip: string | null;
  userAgent: string | undefined;
}

/** Whose credential it is, and why they may do nothing for now; null where they may. */
export interface PresentedCaller {
  auth: RequestAuth;
  refusal: ErrorCode | null;
}

/** Finds the callers of requests that other servers received, always by a read of the rows. */
export class PresentedCallers {
  readonly #sessions: SessionMiddleware;

  constructor(sessions: SessionMiddleware) {
    this.#sessions = sessions;
  }

  /** @throws AuthTunaError `malformed_request` for two credentials; `unavailable`, `rate_limited` */
  async find({ cookie, authorization, apiKey, ip, userAgent }: Presented): Promise<PresentedCaller> {
    const headers = {
      ...(cookie !== undefined && { cookie }),
      ...(authorization !== undefined && { authorization }),
      ...(apiKey !== undefined && { 'x-api-key': apiKey }),
      ...(userAgent !== undefined && { 'user-agent': userAgent }),
    };
    // No authenticator answers this request: it has what one reads, and the address of the client instead of a socket.
    const request = {
      method: 'GET',
      url: '/',
      headers,
      rawHeaders: [],
      socket: { remoteAddress: ip ?? undefined },
    } as unknown as Request;
    const { authenticator, answer } = await findCaller(this.#sessions.authenticators, request, true);
    const auth = new RequestAuth(this.#sessions, request, authenticator, answer, true);
    if (auth.user === null) return { auth, refusal: auth.refusal.code };
    if (auth.mustChangePassword) return { auth, refusal: 'password_change_required' };
    const restriction = await this.#sessions.enrollment?.refusalOf(auth);
    return { auth, refusal: restriction?.code ?? null };
  }
}
