import type { Actor } from '../../actor.js';
import type { ScopeManager } from '../../core/access/scopes.js';
import type { BroadcastHealth } from '../../core/instances/broadcast.js';
import type { JobManager } from '../../core/instances/jobs.js';
import type { Page, PageQuery } from '../../core/page.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SecondFactorName } from '../../core/sign-in/second-factors.js';

/** A mail that was given up. */
export interface DeadMail {
  id: string;
  template: string;
  to: string | null;
  createdAt: Date;
  deadAt: Date;
  attempts: number;
  lastError: string | null;
}

/** What the administration works with: the managers that everybody else uses, with their rules. */
export interface AdminParts {
  readonly core: SignInCore;
  readonly scopes: ScopeManager;
  readonly jobs: JobManager;
  readonly mailer: {
    deadLetters(query: PageQuery): Promise<Page<DeadMail>>;
    retry(id: string, actor: Actor): Promise<void>;
  };
  readonly auth: { requestPasswordReset(email: string, actor: Actor): Promise<unknown> };
  readonly mfa: {
    reset(userId: string, actor: Actor): Promise<Date>;
    status(
      userId: string,
    ): Promise<{ factors: readonly SecondFactorName[]; recoveryCodesLeft: number; resetAt: Date | null }>;
  };
  health(): Promise<{ database: 'up' | 'down'; broadcast: BroadcastHealth }>;
}
