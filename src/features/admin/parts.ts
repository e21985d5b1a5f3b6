import type { Actor } from '../../actor.js';
import type { ApiKey } from '../../auth.js';
import type { ScopeManager } from '../../core/access/scopes.js';
import type { BroadcastHealth } from '../../core/instances/broadcast.js';
import type { JobManager } from '../../core/instances/jobs.js';
import type { Page, PageQuery } from '../../core/page.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SecondFactorName } from '../../core/sign-in/second-factors.js';
import type { ServiceAccount } from '../../core/users/service-account.js';

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

/** A webhook; see features/webhooks. */
export interface AdminWebhook {
  id: string;
  url: string;
  events: string[] | '*';
  createdAt: Date;
  previousSecretUntil: Date | null;
  failingSince: Date | null;
  disabledAt: Date | null;
  disabledReason: string | null;
}

/** A delivery to a webhook. */
export interface AdminDelivery {
  id: string;
  webhookId: string;
  type: string;
  body: string;
  status: 'waiting' | 'delivered' | 'dead';
  createdAt: Date;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
}

/** A webhook and the secret that is shown once. */
export interface IssuedWebhook {
  webhook: AdminWebhook;
  secret: string;
}

/** What an organization demands of its members; see features/orgs. */
export interface AdminOrgPolicy {
  requireSecondFactor: boolean;
  sessionMaxSeconds: number | null;
  allowedEmailDomains: string[];
  joinByDomain: boolean;
}

/** An organization; see features/orgs. */
export interface AdminOrg {
  id: string;
  slug: string;
  name: string;
  metadata: Record<string, unknown>;
  policy: AdminOrgPolicy;
  createdAt: Date;
  updatedAt: Date;
}

/** A person who holds roles exactly at an organization. */
export interface AdminMember {
  user: { id: string; email: string; username: string | null };
  roles: string[];
  since: Date;
}

/** What is said of a new API key. */
export interface NewKey {
  name: string;
  kind?: ApiKey['kind'];
  grants?: { role: string; scope: string }[];
  expiresInSeconds?: number;
  allowedIps?: string[];
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
  readonly webhooks: {
    create(input: { url: string; events: readonly string[] | '*' }, actor: Actor): Promise<IssuedWebhook>;
    get(id: string): Promise<AdminWebhook>;
    list(query: PageQuery): Promise<Page<AdminWebhook>>;
    update(
      id: string,
      change: { url?: string; events?: readonly string[] | '*'; enabled?: boolean },
      actor: Actor,
    ): Promise<AdminWebhook>;
    delete(id: string, actor: Actor): Promise<void>;
    rotateSecret(id: string, input: { overlapSeconds?: number }, actor: Actor): Promise<IssuedWebhook>;
    deliveries(
      webhookId: string,
      query?: PageQuery & { status?: AdminDelivery['status'] },
    ): Promise<Page<AdminDelivery>>;
    replay(deliveryId: string, actor: Actor): Promise<void>;
  };
  readonly orgs: {
    create(input: { name: string; slug?: string }, actor: Actor): Promise<AdminOrg>;
    findByName(idOrSlug: string): Promise<AdminOrg | null>;
    list(query: PageQuery & { search?: string }): Promise<Page<AdminOrg>>;
    update(
      id: string,
      change: {
        name?: string;
        slug?: string;
        metadata?: Readonly<Record<string, unknown>>;
        policy?: Partial<AdminOrgPolicy>;
      },
      actor: Actor,
    ): Promise<AdminOrg>;
    delete(id: string, actor: Actor): Promise<void>;
    transfer(id: string, to: { toUserId: string }, actor: Actor): Promise<void>;
    members(scope: string, query?: PageQuery): Promise<Page<AdminMember>>;
  };
  readonly apiKeys: {
    create(input: NewKey & { userId: string }, actor: Actor): Promise<{ apiKey: ApiKey; key: string }>;
    list(userId: string, query?: PageQuery): Promise<Page<ApiKey>>;
    listAll(query?: PageQuery): Promise<Page<ApiKey>>;
    revoke(id: string, actor: Actor): Promise<void>;
  };
  readonly serviceAccounts: {
    create(input: { orgId: string; name: string }, actor: Actor): Promise<ServiceAccount>;
    get(id: string, actor: Actor): Promise<ServiceAccount>;
    list(query: PageQuery & { orgId?: string }, actor: Actor): Promise<Page<ServiceAccount>>;
    delete(id: string, actor: Actor): Promise<void>;
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
