import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Request } from 'express';
import type { Auth } from '../../auth.js';
import type { Config } from '../../config/config.js';
import type { Core } from '../../core/core.js';
import type { Topic } from '../../core/invalidation.js';
import type { Readiness } from '../../core/readiness.js';
import { AuthTunaError } from '../../errors.js';
import { isCrossSite } from '../guards/csrf.js';
import {
  type Authenticator,
  type Caller,
  type Finding,
  findCaller,
  Refusal,
  UNAUTHENTICATED,
} from './authenticators.js';
import { type AuthContext, RequestAuth } from './request-auth.js';
import type { SessionMiddleware } from './session.js';

const CHECK_MS = 20_000;
const LIMIT_MS = 60_000; // docs/requirements.md SS-8: nothing stays open longer than this without having been confirmed

const ANONYMOUS: Finding = { authenticator: null, answer: UNAUTHENTICATED };

interface Watch {
  readonly socket: Duplex;
  readonly authenticator: Authenticator;
  readonly caller: Caller;
  confirmedAt: number;
}

/**
 * Finds the caller of a WebSocket upgrade, and destroys the socket when the session or key behind it ends.
 *
 * A socket is checked again by the rows of its caller, never by its cookie, which is rotated away while the socket stays open.
 */
export class Upgrades {
  readonly #config: Config;
  readonly #sessions: SessionMiddleware;
  readonly #ready: Readiness;
  readonly #watches = new Set<Watch>();
  readonly #context: AuthContext;
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(core: Core, sessions: SessionMiddleware, ready: Readiness) {
    this.#config = core.config;
    this.#sessions = sessions;
    this.#ready = ready;
    this.#context = {
      access: sessions.access,
      scopes: sessions.scopes,
      enrollment: sessions.enrollment,
      now: () => sessions.now(),
      trustedMs: sessions.trustedMs,
      publicColumns: sessions.publicColumns,
      stepUpPath: sessions.stepUpPath,
      actorOf: (req, caller) => sessions.actorOf(req, caller),
      recheck: (authenticator, caller) => authenticator.follow(caller),
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
    if ((origin !== undefined && !origins.has(origin)) || isCrossSite(req, this.#config))
      throw new AuthTunaError('cross_site_request');

    // The answer to an upgrade is written by the host, so it cannot carry a renewed cookie.
    const found = await findCaller(this.#sessions.authenticators, req, true);
    const { authenticator, answer } = found;
    if (authenticator === null || answer instanceof Refusal) return this.#authOf(req, found);
    const { socket } = req;
    if (this.#isClosed || socket.destroyed) return this.#authOf(req, ANONYMOUS);
    const watch: Watch = { socket, authenticator, caller: answer, confirmedAt: this.#sessions.now() };
    this.#watches.add(watch);
    socket.once('close', () => this.#forget(watch));
    this.#timer ??= this.#startTimer();
    if (authenticator.isStale(answer)) {
      const refusal = await this.#check(watch); // it changed while it was being read, before the watch could hear of that
      if (refusal !== null) return this.#authOf(req, { authenticator, answer: refusal });
    }
    return this.#authOf(req, found);
  };

  /** Destroys the sockets that are still open, because the end of their sessions would no longer be noticed. */
  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    for (const watch of [...this.#watches]) this.#end(watch);
  }

  #authOf(req: IncomingMessage, { authenticator, answer }: Finding): Auth {
    const request = req as Request;
    const auth = new RequestAuth(this.#context, request, authenticator, answer, true);
    request.auth = auth;
    request.user = auth.user ?? undefined;
    return auth;
  }

  #invalidated(topics: readonly Topic[]): void {
    if (this.#watches.size === 0) return;
    const concerned = new Set(topics);
    for (const watch of this.#watches) {
      if (concerned.has('all') || watch.caller.topics.some((topic) => concerned.has(topic)))
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
  async #check(watch: Watch): Promise<Refusal | null> {
    let refusal: Refusal | null = null;
    try {
      const answer = await watch.authenticator.follow(watch.caller);
      if (answer instanceof Refusal) refusal = answer;
      else watch.confirmedAt = this.#sessions.now();
    } catch {
      // Not known is not ended, for as long as the limit allows.
      const silence = this.#sessions.now() - watch.confirmedAt;
      if (silence >= LIMIT_MS - CHECK_MS || silence < 0) refusal = new Refusal('unavailable'); // below 0: the clock was put back, and says nothing
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
