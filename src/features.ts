import { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import type { User } from './auth.js';
import type { AuthTuna } from './authtuna-interface.js';
import type { ScopeDependent } from './core/access/scopes.js';
import type { SealedColumn } from './core/changes/reseal.js';
import type { Core } from './core/core.js';
import type { Job } from './core/instances/jobs.js';
import { createSignIn, type SignInCore } from './core/sign-in/create-sign-in.js';
import { SecondFactors } from './core/sign-in/second-factors.js';
import type { Sweep } from './core/sweep.js';
import { PasswordHasher } from './crypto/password-hash.js';
import { AuthTunaError, requireKnownOptions } from './errors.js';
import { AccountManager } from './features/account/manager.js';
import { accountFeature } from './features/account/routes.js';
import type { AdminRouterOptions } from './features/admin/admin-pages.js';
import type { AdminParts } from './features/admin/parts.js';
import { adminFeature } from './features/admin/routes.js';
import { KeyAuthenticator } from './features/api-keys/authenticator.js';
import { KeyCredentials } from './features/api-keys/credentials.js';
import { KeyFormat } from './features/api-keys/format.js';
import { expiryJob } from './features/api-keys/jobs.js';
import { ApiKeyManager } from './features/api-keys/manager.js';
import { apiKeysFeature } from './features/api-keys/routes.js';
import { endedKeySweep } from './features/api-keys/sweep.js';
import { KeyVerifier } from './features/api-keys/verifier.js';
import { AuthManager } from './features/auth/manager.js';
import { authFeature } from './features/auth/routes.js';
import { AccessTokens } from './features/bearer/access-token.js';
import { TokenAuthenticator } from './features/bearer/authenticator.js';
import { DpopProofs } from './features/bearer/dpop.js';
import { BearerManager } from './features/bearer/manager.js';
import { bearerFeature } from './features/bearer/routes.js';
import type { DevMailbox } from './features/dev-mailbox/mailbox.js';
import { devMailboxFeature, onlyThisMachine, onlyWithKey } from './features/dev-mailbox/routes.js';
import { DeviceAuthorizations } from './features/device-authorization/manager.js';
import { deviceFeature } from './features/device-authorization/routes.js';
import { deviceAuthorizationSweep } from './features/device-authorization/sweep.js';
import { HandOverManager } from './features/hand-over/manager.js';
import { FactorCodes } from './features/mfa/codes.js';
import { CodeFactor } from './features/mfa/factor.js';
import { MfaManager } from './features/mfa/manager.js';
import { EnrollmentPolicy } from './features/mfa/policy.js';
import { mfaFeature } from './features/mfa/routes.js';
import { trustedBrowserSweep, unconfirmedAppSweep } from './features/mfa/sweep.js';
import { SEALED_SEEDS } from './features/mfa/totp.js';
import { OrgDirectory } from './features/orgs/directory.js';
import { readableBelow } from './features/orgs/lists.js';
import { OrgManager } from './features/orgs/manager.js';
import { OrgPolicyGate } from './features/orgs/policy-gate.js';
import { ProjectManager } from './features/orgs/projects.js';
import { ResourceManager } from './features/orgs/resources.js';
import { orgsFeature } from './features/orgs/routes.js';
import { oldLinkSweep, oldSlugSweep } from './features/orgs/sweep.js';
import { TeamManager } from './features/orgs/teams.js';
import { PasskeyFactor } from './features/passkeys/factor.js';
import { PasskeyManager } from './features/passkeys/manager.js';
import { passkeysFeature } from './features/passkeys/routes.js';
import { PasswordlessManager } from './features/passwordless/manager.js';
import { passwordlessFeature } from './features/passwordless/routes.js';
import { remoteFeature } from './features/remote/routes.js';
import { ServiceAccountDirectory } from './features/service-accounts/directory.js';
import { ServiceAccountManager } from './features/service-accounts/manager.js';
import { LinkedIdentities } from './features/social/identities.js';
import { SocialManager } from './features/social/manager.js';
import { socialFeature } from './features/social/routes.js';
import { SEALED_TOKENS, TokenKeeper } from './features/social/token-keeper.js';
import { SsoDirectory } from './features/sso/directory.js';
import { DomainRecords } from './features/sso/domain-records.js';
import { SsoConnectionManager } from './features/sso/manager.js';
import { SEALED_CLIENT_SECRETS } from './features/sso/provider.js';
import { ssoFeature } from './features/sso/routes.js';
import { WebhookManager } from './features/webhooks/manager.js';
import { SEALED_PREVIOUS_SECRETS, SEALED_WEBHOOK_SECRETS } from './features/webhooks/signature.js';
import { webhookDeliverySweep } from './features/webhooks/sweep.js';
import type { Authenticator } from './http/caller/authenticators.js';
import type { RequestReader } from './http/caller/request-facts.js';
import { EnrollmentGuard } from './http/guards/enrollment.js';
import { called } from './http/guards/host-middleware.js';
import type { AuthRouterOptions, HttpKit, RouterOptions } from './http/kit.js';
import { mount } from './http/mount.js';
import { ProviderMetadata } from './oauth-client/metadata.js';

/** The features, built over a core. */
export interface Features<U extends User> {
  /** The core with everything that lets people in. */
  core: SignInCore<U>;
  managers: Pick<
    AuthTuna<U>,
    | 'account'
    | 'apiKeys'
    | 'auth'
    | 'bearer'
    | 'handOver'
    | 'mfa'
    | 'passkeys'
    | 'passwordless'
    | 'serviceAccounts'
    | 'social'
    | 'sso'
    | 'orgs'
    | 'projects'
    | 'teams'
    | 'resources'
    | 'webhooks'
  >;
  /** What features do again and again. */
  jobs: readonly Job[];
  /** What goes with a scope when it is deleted. */
  scopeDependents: readonly ScopeDependent[];
  /** What the clean-up removes from the tables of features. */
  sweeps: readonly Sweep[];
  /** What features keep sealed. */
  sealed: readonly SealedColumn[];
  enrollment: EnrollmentGuard;
  /** Ends what features do in the background, and waits for it. */
  close(): Promise<void>;
  /** What finds callers by other credentials than the session cookie. */
  authenticators(requests: RequestReader): readonly Authenticator[];
  routers(
    http: HttpKit,
    operations: Operations,
  ): AuthTuna<U>['routers'] & { mountAll: AuthTuna<U>['router'] };
}

/** What the administration shows besides the managers of features. */
export type Operations = Pick<AdminParts, 'scopes' | 'jobs' | 'mailer' | 'health'>;

const CODE_COST = 10; // recovery codes are random, so their 80 bits need no higher cost

// Long: it builds every feature once, in order, with what each is given.
/** Builds the features over a core. */
export function createFeatures<U extends User>(base: Core<U>, devMailbox: DevMailbox | null): Features<U> {
  const { config } = base;
  // First what sign-in asks of features, over the core alone …
  const codeHasher = new PasswordHasher(base.keys, {
    cost: Math.min(config.password.bcryptCost, CODE_COST),
    concurrency: 1,
  });
  const codes = new FactorCodes(base, codeHasher);
  const secondFactors = new SecondFactors(base, [new CodeFactor(base), new PasskeyFactor(base)]);
  const metadata = new ProviderMetadata(base);
  const keeper = new TokenKeeper(base, metadata);
  const identities = new LinkedIdentities(base, keeper);
  const records = new DomainRecords(base);
  const directory = new SsoDirectory(base, secondFactors, records);
  const core = createSignIn(base, {
    secondFactors,
    credentials: [identities, secondFactors, new KeyCredentials(base)],
    gates: [directory, new OrgPolicyGate(base)],
  });

  // … then what is built with sign-in.
  const auth = new AuthManager<U>(core, codes);
  const mfa = new MfaManager(core, codes, codeHasher);
  const policy = new EnrollmentPolicy(core);
  const passkeys = new PasskeyManager(core);
  const passwordless = new PasswordlessManager(core);
  const social = new SocialManager<U>(core, { metadata, keeper, identities, organizations: directory });
  const sso = new SsoConnectionManager(core, metadata, directory, records);
  const keyFormat = new KeyFormat(core.keys, config.random, config.apiKeys.prefix);
  const keyVerifier = new KeyVerifier(core, keyFormat);
  const apiKeys = new ApiKeyManager(core, keyFormat, keyVerifier);
  const serviceAccounts = new ServiceAccountManager(core);
  const accessTokens = new AccessTokens(core);
  const proofs = new DpopProofs(core);
  const devices = new DeviceAuthorizations(core);
  const handOver = new HandOverManager(core);
  const bearer = new BearerManager(core, accessTokens, {
    byPassword: (input, actor, options) => auth.login(input, actor, options),
    bySecondFactor: async (pendingToken, code, actor, options) =>
      (await mfa.completeSignIn(pendingToken, code, actor, options)).result,
    byDevice: (input, actor, options) => devices.exchange(input, actor, options),
  });
  const account = new AccountManager<U>(core, [
    { name: 'secondFactors', of: (userId) => mfa.status(userId) },
    { name: 'passkeys', of: (userId) => passkeys.list(userId) },
    { name: 'linkedAccounts', of: (userId) => social.list(userId) },
    { name: 'apiKeys', of: (userId) => apiKeys.ofUser(userId) },
  ]);
  const scopeDependents = [directory, new ServiceAccountDirectory(core), new OrgDirectory(core)];
  const orgs = new OrgManager(core, scopeDependents);
  const projects = new ProjectManager(core, scopeDependents, (userId, orgId) =>
    readableBelow(core, userId, 'project', `org:${orgId}`),
  );
  const teams = new TeamManager(core, scopeDependents, (userId, parent) =>
    readableBelow(core, userId, 'team', parent),
  );
  const resources = new ResourceManager(core, scopeDependents);
  const webhooks = new WebhookManager(core);

  return {
    core,
    managers: {
      account,
      apiKeys,
      auth,
      bearer,
      handOver,
      mfa,
      passkeys,
      passwordless,
      serviceAccounts,
      social,
      sso,
      orgs,
      projects,
      teams,
      resources,
      webhooks,
    },
    jobs: [records.job, ...account.jobs, expiryJob(core), ...webhooks.jobs],
    scopeDependents,
    sweeps: [
      trustedBrowserSweep(base),
      unconfirmedAppSweep(base),
      endedKeySweep(base),
      deviceAuthorizationSweep(base),
      oldSlugSweep(base),
      oldLinkSweep(base),
      webhookDeliverySweep(base),
    ],
    sealed: [
      SEALED_SEEDS,
      SEALED_TOKENS,
      SEALED_CLIENT_SECRETS,
      SEALED_WEBHOOK_SECRETS,
      SEALED_PREVIOUS_SECRETS,
    ],
    close: () => webhooks.close(),
    enrollment: new EnrollmentGuard(config.paths.auth, (requestAuth, grants) =>
      policy.concerns(grants) ? policy.isDue(requestAuth.beforeEnrollment, grants) : false,
    ),
    authenticators: (requests) => [
      new KeyAuthenticator(core, { format: keyFormat, verifier: keyVerifier, requests }),
      new TokenAuthenticator(core, accessTokens, proofs),
    ],
    routers(http, operations) {
      const routers = {
        auth: withOptions<AuthRouterOptions>('routers.auth', ['pages', 'openapi'], (options) => {
          const router = Router();
          if (devMailbox !== null)
            router.use(
              '/dev/mailbox',
              ...http.headers,
              onlyThisMachine,
              onlyWithKey(devMailbox, http),
              mount(http, devMailboxFeature(devMailbox, http)),
            );
          return router.use(mount(http, authFeature(auth, http, options)), ...http.headers);
        }),
        passwordless: withPages('routers.passwordless', (options) =>
          mount(http, passwordlessFeature(passwordless, http, options)),
        ),
        mfa: withPages('routers.mfa', (options) => mount(http, mfaFeature(mfa, policy, http, options))),
        passkeys: withPages('routers.passkeys', (options) =>
          mount(http, passkeysFeature(passkeys, auth, http, options)),
        ),
        social: withPages('routers.social', (options) =>
          Router()
            .use('/connections', mount(http, ssoFeature(sso, core, http, options)))
            .use(mount(http, socialFeature(social, http, options))),
        ),
        bearer: () => mount(http, bearerFeature(bearer, proofs, http)),
        deviceAuthorization: withPages('routers.deviceAuthorization', (options) =>
          mount(http, deviceFeature(devices, http, options)),
        ),
        remote: () => mount(http, remoteFeature(core, handOver, http)),
        apiKeys: withPages('routers.apiKeys', (options) =>
          mount(http, apiKeysFeature(apiKeys, core, http, options)),
        ),
        account: withPages('routers.account', (options) =>
          mount(http, accountFeature(account, { mfa, passkeys, social }, http, options)),
        ),
        admin: withOptions<AdminRouterOptions>(
          'routers.admin',
          ['pages', 'userColumns', 'links'],
          (options) =>
            mount(
              http,
              adminFeature(
                {
                  core: core as unknown as SignInCore,
                  apiKeys,
                  auth,
                  mfa,
                  orgs,
                  serviceAccounts,
                  webhooks,
                  ...operations,
                },
                http,
                options,
              ),
            ),
        ),
        orgs: withPages('routers.orgs', (options) =>
          mount(http, orgsFeature({ core, orgs, projects, teams }, http, options)),
        ),
      };
      const mountAll = withOptions<AuthRouterOptions>('router', ['pages', 'openapi'], (options) =>
        everyRouter(http, routers, options),
      );
      return { ...routers, mountAll };
    },
  };
}

/** Every router at its usual place. */
function everyRouter(http: HttpKit, routers: AuthTuna['routers'], given: AuthRouterOptions = {}): Router {
  const { openapi: _ofAuth, ...options } = given;
  const { mountPaths, paths } = http.config;
  return (
    Router()
      // Where password managers send people. @see W3C A Well-Known URL for Changing Passwords
      .get('/.well-known/change-password', (_req, res) =>
        http.views.redirect(res, `${paths.auth}/change-password`),
      )
      .use(mountPaths.auth, routers.auth(given))
      .use(`${mountPaths.auth}/passwordless`, routers.passwordless(options))
      .use(`${mountPaths.auth}/mfa`, routers.mfa(options))
      .use(`${mountPaths.auth}/passkeys`, routers.passkeys(options))
      .use(`${mountPaths.auth}/social`, routers.social(options))
      .use(`${mountPaths.auth}/token`, routers.bearer())
      .use(`${mountPaths.auth}/device`, routers.deviceAuthorization(options))
      .use(`${mountPaths.auth}/remote`, routers.remote())
      .use(`${mountPaths.auth}/api-keys`, routers.apiKeys(options))
      .use(mountPaths.account, routers.account(options))
      .use(mountPaths.admin, routers.admin(options))
      .use(mountPaths.orgs, routers.orgs(options))
      .use(mountPaths.auth, unknownPage(http))
  );
}

/** A router that takes these options and no others. */
function withOptions<O extends object>(
  name: string,
  known: readonly string[],
  make: (options?: O) => Router,
): (options?: O) => Router {
  return called(name, (options) => {
    requireKnownOptions(name, options ?? {}, known);
    return make(options);
  });
}

function withPages(name: string, make: (options?: RouterOptions) => Router) {
  return withOptions<RouterOptions>(name, ['pages'], make);
}

/** An address below ours that leads nowhere, for a browser that opens it. Scripts and the host's own sign-in page go on. */
function unknownPage(http: HttpKit): (RequestHandler | ErrorRequestHandler)[] {
  const { paths } = http.config;
  const refuse: RequestHandler = (req, _res, next) => {
    const isOpening = req.method === 'GET' || req.method === 'HEAD';
    const isOurs = http.views.addressOf(req).split('?', 1)[0] !== paths.signIn;
    next(isOpening && isOurs && http.views.wantsPage(req) ? new AuthTunaError('not_found') : undefined);
  };
  return [refuse, http.errorHandler];
}
