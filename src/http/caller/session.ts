import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import type { Actor } from '../../actor.js';
import type { Access } from '../../core/access/access.js';
import type { ScopeTree } from '../../core/access/scope-tree.js';
import type { Core } from '../../core/core.js';
import type { Readiness } from '../../core/readiness.js';
import { isSafeMethod } from '../guards/csrf.js';
import { answeredIn } from '../time-limit.js';
import { attachAuth } from './attach.js';
import {
  type Authenticator,
  type Caller,
  Refusal,
  refuseTwoAuthorizations,
  UNAUTHENTICATED,
} from './authenticators.js';
import { type AuthContext, type EnrollmentCheck, RequestAuth } from './request-auth.js';
import type { RequestReader } from './request-facts.js';

// Three statements that take as long as one may. With the work of a route it is less than a person waits.
const FIND_MS = 6000;

/** What `session()` is built from. */
export interface CallerParts {
  /** In the order in which they are asked; the session cookie last, for it comes along unasked. */
  authenticators: readonly Authenticator[];
  requests: RequestReader;
  ready: Readiness;
  /** Null while no option requires a second factor of anybody. */
  enrollment: EnrollmentCheck | null;
  /** Milliseconds. */
  now: () => number;
}

/** Finds out who is calling; one per instance of the library. */
export class SessionMiddleware implements AuthContext {
  readonly access: Access;
  readonly scopes: ScopeTree;
  readonly authenticators: readonly Authenticator[];
  readonly enrollment: EnrollmentCheck | null;
  readonly now: () => number;
  readonly trustedMs: number;
  readonly publicColumns: readonly string[] | null;
  readonly stepUpPath: string;
  readonly #requests: RequestReader;
  readonly #ready: Readiness;

  constructor({ config, access, scopeTree }: Core, parts: CallerParts) {
    this.access = access;
    this.scopes = scopeTree;
    this.authenticators = parts.authenticators;
    this.enrollment = parts.enrollment;
    this.now = parts.now;
    this.publicColumns = config.prisma === undefined ? null : config.user.publicColumns;
    this.trustedMs = config.session.recheckSeconds * 1000;
    this.stepUpPath = `${config.paths.auth}/step-up`;
    this.#requests = parts.requests;
    this.#ready = parts.ready;
  }

  /** `app.use(authTuna.session())`. Synchronous when an authenticator answers from memory, which is nearly always. */
  readonly handler: RequestHandler = (req, res, next) => {
    if (!this.#ready.done) {
      this.#ready.wait().then(() => this.handler(req, res, next), next);
      return;
    }
    let pending: Promise<void> | undefined;
    try {
      pending = this.#find(req, res);
    } catch (error) {
      return next(error);
    }
    if (pending === undefined) next();
    else answeredIn(FIND_MS, () => pending).then(() => next(), next);
  };

  /** Sets `req.auth`; undefined where that needed no waiting. */
  #find(req: Request, res: Response): Promise<void> | undefined {
    refuseTwoAuthorizations(req);
    const isLatest = !isSafeMethod(req.method);
    for (const authenticator of this.authenticators) {
      const answer = authenticator.authenticate(req, isLatest, res);
      if (answer === null) continue;
      if (answer instanceof Promise)
        return answer.then((found) => this.#found(req, res, authenticator, found, isLatest));
      this.#found(req, res, authenticator, answer, isLatest);
      return undefined;
    }
    this.#found(req, res, null, UNAUTHENTICATED, false);
    return undefined;
  }

  #found(
    req: Request,
    res: Response,
    authenticator: Authenticator | null,
    answer: Caller | Refusal,
    isLatest: boolean,
  ): void {
    attachAuth(req, new RequestAuth(this, req, authenticator, answer, isLatest));
    if (answer instanceof Refusal) return;
    // Caches must not keep the answers to a signed-in user. A host may set another header for an answer of its own.
    // Names in small letters: Node makes them small otherwise, which takes three times as long.
    res.setHeader('cache-control', 'no-store');
    const vary = res.getHeader('vary');
    res.setHeader('vary', vary === undefined ? 'Cookie, Authorization' : `${vary}, Cookie, Authorization`);
  }

  actorOf(req: IncomingMessage, caller: Caller | null): Actor {
    return this.#requests.actorOf(req, caller);
  }

  recheck(authenticator: Authenticator, caller: Caller, req: IncomingMessage): Promise<Caller | Refusal> {
    return answeredIn(FIND_MS, () => authenticator.recheck(caller, req));
  }
}
