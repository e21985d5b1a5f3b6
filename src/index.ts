export { type AuthTuna, createAuthTuna, type Health } from './authtuna.js';
export type { Access, Explanation } from './core/access.js';
export type { AuditEntry, AuditManager, AuditQuery } from './core/audit.js';
export type { BroadcastHealth } from './core/broadcast.js';
export { definePermissions, type PermissionOf } from './core/definitions.js';
export type { Job, JobManager, JobStatus } from './core/jobs.js';
export type { Page } from './core/page.js';
export type { PasswordManager } from './core/passwords.js';
export type { Permission, PermissionManager } from './core/permissions.js';
export type { RateLimit } from './core/rate-limiter.js';
export type { Role } from './core/role-catalogue.js';
export type { RoleAssignment, RoleChange, RoleInput, RoleManager } from './core/roles.js';
export type { ScopeManager, ScopeNode } from './core/scopes.js';
export type { Session } from './core/session-row.js';
export type { SessionManager, SessionWithToken } from './core/sessions.js';
export type { SecondFactorName, SignInResult } from './core/sign-in.js';
export type { UserManager, UserQuery } from './core/users.js';
export type { Random } from './crypto/random.js';
export type { ExtraColumns, PrismaLike, User, UserOf } from './db/client.js';
export { optionsFromEnv } from './env.js';
export { AuthTunaError, type ErrorCode, type ErrorFacts, type FieldError } from './errors.js';
export { type Actor, type AuthEvent, type EventListener, type EventType, SYSTEM } from './events.js';
export type { AuthManager } from './features/auth/manager.js';
export type { MfaManager, MfaStatus, TotpEnrolment, TrustedDevice } from './features/mfa/manager.js';
export type { Passkey, PasskeyManager } from './features/passkeys/manager.js';
export type { PasswordlessManager } from './features/passwordless/manager.js';
export type {
  SsoConnection,
  SsoConnectionChange,
  SsoConnectionInput,
  SsoConnectionManager,
  SsoDomain,
} from './features/social/connections.js';
export type { SocialAccount, SocialManager, SocialOutcome } from './features/social/manager.js';
export {
  defineProvider,
  type Endpoints,
  type Profile,
  type ProfileSource,
  type ProviderOptions,
  type ProviderRow,
  type SocialProvider,
  standardClaims,
} from './features/social/provider.js';
export {
  type AppleOptions,
  apple,
  discord,
  facebook,
  github,
  gitlab,
  google,
  linkedin,
  type MicrosoftOptions,
  microsoft,
  type OidcOptions,
  oidc,
  slack,
  spotify,
  twitch,
  x,
} from './features/social/providers.js';
export { type ApiKey, type Auth, currentUser } from './http/auth.js';
export type { Problem } from './http/errors.js';
export type { Credential, GuardOptions, UserGuardOptions } from './http/guards.js';
export type { SecurityHeaderOptions } from './http/headers.js';
export type { RouterOptions } from './http/kit.js';
export type { RateLimitOptions } from './http/rate-limit.js';
export type { RecentLoginOptions } from './http/step-up.js';
export type { DeadLetter, Mailer } from './mail/mailer.js';
export { type SmtpOptions, smtp } from './mail/smtp.js';
export type {
  AuthTunaOptions,
  Clock,
  Hooks,
  HumanCheckAction,
  HumanCheckRequest,
  HumanCheckWidget,
  Logger,
  MailTransport,
  OutgoingMail,
  PermissionCatalogue,
  RateLimitName,
  ReactionToChange,
  Region,
  RoleCatalogue,
  RoleDeclaration,
} from './options.js';
export type { Brand, Palette } from './theme.js';
