export { type Actor, SYSTEM } from './actor.js';
export type { ApiKey, Auth, Session, User } from './auth.js';
export { createAuthTuna } from './authtuna.js';
export type { AuthTuna, Health, NamesOf } from './authtuna-interface.js';
export type {
  AuthTunaOptions,
  Brand,
  Clock,
  Hooks,
  HostModelOptions,
  HumanCheckAction,
  HumanCheckRequest,
  HumanCheckWidget,
  Logger,
  MailTransport,
  OutgoingMail,
  Palette,
  PermissionCatalog,
  ReactionToChange,
  Region,
  RenamedModelsOptions,
  RoleCatalog,
  RoleDeclaration,
  ScopePlace,
  ScopePlaces,
  SealReceipt,
  SignUpField,
} from './config/options.js';
export type { RateLimit, RateLimitName } from './config/rate-limits.js';
export type { Access, Explanation, ScopeColumn } from './core/access/access.js';
export { definePermissions, type PermissionOf } from './core/access/definitions.js';
export type { Permission, PermissionManager } from './core/access/permissions.js';
export type { Role } from './core/access/role-catalog.js';
export type {
  Holder,
  RoleAssignment,
  RoleChange,
  RoleInput,
  RoleManager,
  TeamAssignment,
} from './core/access/roles.js';
export type { ScopeNode } from './core/access/scope-tree.js';
export type { ScopeManager } from './core/access/scopes.js';
export type {
  AuditEntry,
  AuditFault,
  AuditFilter,
  AuditManager,
  AuditQuery,
  AuditRecord,
  AuditVerdict,
  AuditVerification,
} from './core/changes/audit.js';
export type { BroadcastHealth } from './core/instances/broadcast.js';
export type { Job, JobManager, JobStatus } from './core/instances/jobs.js';
export type { Page } from './core/page.js';
export type { SessionWithToken } from './core/sessions/session-writes.js';
export type { SessionManager } from './core/sessions/sessions.js';
export type { SecondFactorName } from './core/sign-in/second-factors.js';
export type { SignInResult } from './core/sign-in/sign-in.js';
export type { ImportedUser, ImportOptions, ImportProblem, ImportReport } from './core/users/imported-user.js';
export type { NewUser } from './core/users/new-user.js';
export type { PasswordManager } from './core/users/passwords.js';
export type { ServiceAccount } from './core/users/service-account.js';
export type { UserChange } from './core/users/update-user.js';
export type { UserQuery } from './core/users/user-list.js';
export type { UserManager } from './core/users/users.js';
export type { Random } from './crypto/random.js';
export type { AnyPrisma, ExtraColumns, PrismaLike, UserOf, UserOfModel } from './db/client.js';
export type { NewHostUser } from './db/host-user.js';
export type { ModelNames } from './db/schema/model-names.js';
export { optionsFromEnv } from './env.js';
export { AuthTunaError, type ErrorCode, type ErrorFacts, type FieldError, type FieldRule } from './errors.js';
export type { AuthEvent, EventListener, EventType } from './events.js';
export type { ConsentRecord, ConsentState } from './features/account/consents.js';
export type { PersonalData, PersonalDataExport } from './features/account/export.js';
export type { HistoryEntry } from './features/account/history.js';
export type { AccountManager, OwnSession } from './features/account/manager.js';
export type { AdminRouterOptions } from './features/admin/admin-pages.js';
export type {
  ApiKeyManager,
  CreateKeyInput,
  IssuedKey,
  RotateKeyInput,
} from './features/api-keys/manager.js';
export type { AuthManager } from './features/auth/manager.js';
export type { BearerManager, Introspection, TokenResponse } from './features/bearer/manager.js';
export type { HandedOver, HandOverManager } from './features/hand-over/manager.js';
export type { TotpEnrollment } from './features/mfa/authenticator-app.js';
export type { MfaManager, MfaStatus } from './features/mfa/manager.js';
export type { TrustedDevice } from './features/mfa/trusted-browsers.js';
export type { InvitationLink, IssuedInvitationLink } from './features/orgs/invitation-links.js';
export type { Invitation, InvitationQuery } from './features/orgs/invitations.js';
export type { OrgManager, OrgQuery } from './features/orgs/manager.js';
export type { Member, MemberQuery } from './features/orgs/members.js';
export type {
  NewOrganization,
  Organization,
  OrganizationChange,
  OrgPolicy,
} from './features/orgs/organization.js';
export type { Project, ProjectManager, ProjectQuery } from './features/orgs/projects.js';
export type { Resource, ResourceManager, ResourceQuery } from './features/orgs/resources.js';
export type { Team, TeamManager, TeamQuery } from './features/orgs/teams.js';
export type { Passkey, PasskeyManager } from './features/passkeys/manager.js';
export type { PasswordlessManager } from './features/passwordless/manager.js';
export type { ServiceAccountManager } from './features/service-accounts/manager.js';
export type { SocialAccount } from './features/social/identities.js';
export type { SocialManager, SocialOutcome } from './features/social/manager.js';
export type {
  SsoConnection,
  SsoConnectionChange,
  SsoConnectionInput,
  SsoDomain,
} from './features/sso/connection.js';
export type { SsoConnectionManager } from './features/sso/manager.js';
export type {
  IssuedWebhook,
  Webhook,
  WebhookDelivery,
  WebhookManager,
} from './features/webhooks/manager.js';
export type { SecurityHeaderOptions } from './http/answer/headers.js';
export { currentUser } from './http/caller/attach.js';
export type { Credential } from './http/caller/authenticators.js';
export type { Problem } from './http/errors.js';
export type { GuardOptions, UserGuardOptions } from './http/guards/guards.js';
export type { Middleware } from './http/guards/host-middleware.js';
export type { RateLimitOptions } from './http/guards/rate-limit.js';
export type { RecentLoginOptions } from './http/guards/step-up.js';
export type { AuthRouterOptions, RouterOptions } from './http/kit.js';
export type { MountedRoute } from './http/mounts.js';
export type { OpenApiDocument, OpenApiOperation, OpenApiOptions } from './http/openapi.js';
export type { RouteGuard } from './http/route.js';
export type { DeadLetter, Mailer } from './mail/mailer.js';
export { type SmtpOptions, smtp } from './mail/smtp.js';
export { type OidcOptions, oidc } from './oauth-client/oidc.js';
export {
  type Claims,
  type ClientAuthentication,
  defineProvider,
  type Endpoints,
  type Profile,
  type ProfileSource,
  type ProviderOptions,
  type ProviderRow,
  type SocialProvider,
  standardClaims,
  statusOf,
} from './oauth-client/provider.js';
export {
  type AppleOptions,
  apple,
  discord,
  facebook,
  type GoogleOptions,
  github,
  gitlab,
  google,
  linkedin,
  type MicrosoftOptions,
  microsoft,
  slack,
  spotify,
  twitch,
  x,
} from './oauth-client/providers.js';
