import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Request } from 'express';
import type { Auth } from '../../auth.js';
import type { Config } from '../../config/config.js';
import type { Core } from '../../core/core.js';
import type { Topic } from '../../core/invalidation.js';
import type { Readiness } from '../../core/readiness.js';
import type { VerifiedSession } from '../../core/sessions/cache.js';
import type { SessionVerifier } from '../../core/sessions/verifier.js';
import { AuthTunaError, type ErrorCode } from '../../errors.js';
import { readCookie } from '../answer/cookies.js';
import { isCrossSite } from '../guards/csrf.js';
import { type AuthContext, RequestAuth } from './request-auth.js';
import type { SessionMiddleware } from './session.js';

const CHECK_MS = 20_000;
const LIMIT_MS = 60_000; // docs/requirements.md SS-8: nothing stays open longer than this without having been confirmed

interface Watch {
  readonly socket: Duplex;
  readonly verified: VerifiedSession;
  confirmedAt: number;
}

/**
 * Who asks for a WebSocket, and the end of the socket with the end of what allowed it.
 *
 * A socket is looked after by its session's row, never again by its cookie, which is rotated away while the socket stays open.
 */
export class Upgrades {
  readonly #config: Config;
  readonly #verifier: SessionVerifier;
  readonly #sessions: SessionMiddleware;
  readonly #ready: Readiness;
  readonly #watches = new Set<Watch>();
  readonly #context: AuthContext;
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(core: Core, sessions: SessionMiddleware, ready: Readiness) {
    const { verifier } = core;
    this.#config = core.config;
    this.#verifier = verifier;
    this.#sessions = sessions;
    this.#ready = ready;
    this.#context = {
      access: sessions.access,
      scopes: sessions.scopes,
      enrollment: sessions.enrollment,
      now: () => sessions.now(),
      trustedMs: sessions.trustedMs,
      publicColumns: sessions.publicColumns,
      isStale: (verified) => sessions.isStale(verified),
      actorOf: (req, verified) => sessions.actorOf(req, verified),
      recheck: (_req, verified) => verifier.follow(verified),
    };
    this.#unsubscribe = core.invalidation.subscribe((topics) => this.#invalidated(topics));
  }

  /**
   * Resolves who asks for the upgrade, as `session()` does for a request: without a good cookie it is the anonymous caller, and `require()`
   * says why. From then on `req.socket` is destroyed when the session ends or is elevated or locked, or when its user is suspended or
   * deleted: at once where a change is heard of, within 60 s otherwise, also while the database cannot be asked.
   *
   * @throws AuthTunaError `cross_site_request` when a page of another site asks; `unavailable`
   */
  readonly authenticate = async (req: IncomingMessage): Promise<Auth> => {
    await this.#ready.wait();
    if (this.#isClosed) throw new AuthTunaError('unavailable');
    // Browsers send Origin with every WebSocket, and send cookies with those of other sites' pages too.
    const { origin } = req.headers;
    const { origins } = this.#config;
    if ((origin !== undefined && !origins.has(origin)) || isCrossSite(req, origins))
      throw new AuthTunaError('cross_site_request');

    const before = this.#verifier.cache.invalidations;
    const found = await this.#resolve(req);
    if ('refusal' in found) return this.#authOf(req, null, found.refusal);
    const { socket } = req;
    if (this.#isClosed || socket.destroyed) return this.#authOf(req, null, 'unauthenticated');
    const watch: Watch = { socket, verified: found, confirmedAt: this.#sessions.now() };
    this.#watches.add(watch);
    socket.once('close', () => this.#forget(watch));
    this.#timer ??= this.#startTimer();
    if (this.#verifier.cache.invalidations !== before) {
      const refusal = await this.#check(watch); // what ended while it was being looked up was heard by nobody
      if (refusal !== null) return this.#authOf(req, null, refusal);
    }
    return this.#authOf(req, found, 'unauthenticated');
  };

  /** Destroys the sockets that are still open: nobody would notice the end of their sessions any more. */
  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    for (const watch of [...this.#watches]) this.#end(watch);
  }

  async #resolve(req: IncomingMessage): Promise<VerifiedSession | { refusal: ErrorCode }> {
    const { headers } = req;
    if (headers.authorization !== undefined && /^bearer\b/i.test(headers.authorization))
      return { refusal: 'unauthenticated' };
    const token = readCookie(headers.cookie, this.#sessions.cookie.name);
    if (token === null || token === 'ambiguous') return { refusal: 'unauthenticated' };
    // The answer to an upgrade is written by the host, so it cannot carry a renewed cookie.
    const facts = { ...this.#sessions.factsOf(req), mayRotate: false };
    const verdict = await this.#verifier.verify(token, facts, { latest: true });
    return verdict.status === 'verified' ? verdict.verified : { refusal: verdict.code };
  }

  #authOf(req: IncomingMessage, verified: VerifiedSession | null, refusal: ErrorCode): Auth {
    const request = req as Request;
    const auth = new RequestAuth(this.#context, request, verified, verified !== null, refusal, null);
    request.auth = auth;
    request.user = auth.user ?? undefined;
    return auth;
  }

  #invalidated(topics: readonly Topic[]): void {
    if (this.#watches.size === 0) return;
    const concerned = new Set(topics);
    for (const watch of this.#watches) {
      const { sessionId, userId } = watch.verified;
      if (concerned.has('all') || concerned.has(`session:${sessionId}`) || concerned.has(`user:${userId}`))
        void this.#check(watch);
    }
  }

  #startTimer(): NodeJS.Timeout {
    const timer = setInterval(() => {
      for (const watch of this.#watches) void this.#check(watch); // one query for all: reads of one turn are asked together
    }, CHECK_MS);
    timer.unref();
    return timer;
  }

  /** Asks the row, and ends the socket unless it says yes. Never rejects. */
  async #check(watch: Watch): Promise<ErrorCode | null> {
    let refusal: ErrorCode | null = null;
    try {
      const answer = await this.#verifier.follow(watch.verified);
      if ('refusal' in answer) refusal = answer.refusal;
      else watch.confirmedAt = this.#sessions.now();
    } catch {
      // Not known is not ended, for as long as the limit allows.
      const silence = this.#sessions.now() - watch.confirmedAt;
      if (silence >= LIMIT_MS - CHECK_MS || silence < 0) refusal = 'unavailable'; // below 0: the clock was put back, and says nothing
    }
    if (refusal !== null) this.#end(watch);
    return refusal;
  }

  #end(watch: Watch): void {
    this.#forget(watch);
    watch.socket.destroy();
  }

  #forget(watch: Watch): void {
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
