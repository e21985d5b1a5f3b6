import { millisecondsOf } from '../../config/config.js';
import type { Core } from '../../core/core.js';
import type { Readiness } from '../../core/readiness.js';
import { RefreshAhead } from '../../core/sessions/refresh-ahead.js';
import type { Authenticator } from './authenticators.js';
import type { EnrollmentCheck } from './request-auth.js';
import { RequestReader } from './request-facts.js';
import { SessionMiddleware } from './session.js';
import { SessionAuthenticator } from './session-authenticator.js';
import { SessionCookie } from './session-cookie.js';
import { Upgrades } from './upgrade.js';

/** What finds callers, and what reads and writes on the way. */
export interface Callers {
  requests: RequestReader;
  sessionCookie: SessionCookie;
  sessions: SessionMiddleware;
  upgrades: Upgrades;
  /** Destroys open sockets and waits for reads that are under way. */
  close(): Promise<void>;
}

/** What finding callers needs beside the core. */
export interface CallerOptions {
  ready: Readiness;
  /** Null while no option requires a second factor of anybody. */
  enrollment: EnrollmentCheck | null;
  /** Whole paths at which another site may post. */
  crossSitePosts: ReadonlySet<string>;
  /** For other credentials than the session cookie; they are asked before it, for a browser sends the cookie unasked. */
  authenticators(requests: RequestReader): readonly Authenticator[];
}

/** Builds `session()` and `authenticateUpgrade()` over one list of authenticators. */
export function createCallers(core: Core, options: CallerOptions): Callers {
  const { ready, enrollment, crossSitePosts } = options;
  const now = millisecondsOf(core.config.clock);
  const requests = new RequestReader(core.config);
  const sessionCookie = new SessionCookie(core.config, now);
  const ahead = new RefreshAhead(core, core.verifier);
  const authenticators = [
    ...options.authenticators(requests),
    new SessionAuthenticator(core, { requests, cookie: sessionCookie, ahead, crossSitePosts, now }),
  ];
  const sessions = new SessionMiddleware(core, { authenticators, requests, ready, enrollment, now });
  const upgrades = new Upgrades(core, sessions, ready);
  return {
    requests,
    sessionCookie,
    sessions,
    upgrades,
    async close() {
      upgrades.close();
      await ahead.close();
    },
  };
}
