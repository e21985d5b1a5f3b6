import { type Actor, isSystem } from '../../actor.js';
import type { User } from '../../auth.js';
import type { Access } from '../../core/access/access.js';
import type { RoleManager } from '../../core/access/roles.js';
import { accountChanged, type Change, type Ledger, type Write } from '../../core/changes/ledger.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { canonicalEmail } from '../../core/identifiers.js';
import type { Runtime } from '../../core/runtime.js';
import type { Proof, SessionManager, SessionWithToken } from '../../core/sessions/sessions.js';
import type { GateVerdict, SignIn, SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import type { OneTimeTokens } from '../../core/tokens/one-time-tokens.js';
import type { UserRow } from '../../core/user.js';
import { isActive } from '../../core/user.js';
import type { CredentialStore, MailboxProof } from '../../core/users/address-ownership.js';
import { hasOtherWayIn, SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import type { UserManager } from '../../core/users/users.js';
import { newId } from '../../crypto/random.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { outbound } from '../../net/outbound.js';
import { authorizationUrl } from '../../oauth-client/authorization-url.js';
import { ProviderMetadata, rulesFor } from '../../oauth-client/id-token.js';
import type { Endpoints, Profile, SocialProvider } from '../../oauth-client/provider.js';
import { requestTokens, type TokenSet } from '../../oauth-client/token-endpoint.js';
import { type Discovery, SsoConnectionManager } from './connections.js';
import { type Flow, Flows, type StartedFlow } from './flows.js';
import { decideSignIn } from './linking.js';
import { TokenKeeper } from './token-keeper.js';

export interface SocialDependencies<U extends User> {
  runtime: Runtime;
  ledger: Ledger;
  access: Access;
  roles: RoleManager;
  users: UserManager<U>;
  sessions: SessionManager;
  signIn: SignIn;
  tokens: OneTimeTokens;
  mailboxProof: MailboxProof;
  /** Mails the link that confirms an unverified address. */
  requestEmailVerification(email: string, actor: Actor): Promise<void>;
}

/** A linked identity, as its owner sees it. */
export interface SocialAccount {
  id: string;
  provider: string;
  /** As people know it; its id once it is no longer configured. */
  providerName: string;
  /** What the provider calls the person: address or name. */
  email: string | null;
  name: string | null;
  createdAt: Date;
  lastUsedAt: Date;
}

/** What a provider's answer carries: the query of the callback, or the fields of its form. */
export interface ProviderCallback {
  code?: string;
  state?: string;
  error?: string;
  iss?: string;
  /** Apple, at the first consent. */
  user?: string;
}

export interface JourneyOptions {
  /** A value only this browser has. */
  browser: string;
  /** A path of this site, checked by the caller. Default `/`. */
  returnTo?: string;
  rememberMe?: boolean;
  /** Fills in the provider's form. */
  loginHint?: string;
}

/** What coming back from a provider led to. */
export type SocialOutcome =
  | { intent: 'sign_in'; result: SignInResult; returnTo: string }
  | { intent: 'link'; account: SocialAccount; returnTo: string };

const AMR = ['social'];
/** A session that began at an organization's own provider. */
const SSO_AMR = ['social', 'sso'];

/** Signing in with, and linking, identities at other providers. */
export class SocialManager<U extends User = User> implements CredentialStore {
  /** OpenID connections of organizations. */
  readonly connections: SsoConnectionManager;
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #users: UserManager<U>;
  readonly #sessions: SessionManager;
  readonly #signIn: SignIn;
  readonly #mailboxProof: MailboxProof;
  readonly #requestEmailVerification: SocialDependencies<U>['requestEmailVerification'];
  readonly #flows: Flows;
  readonly #metadata: ProviderMetadata;
  readonly #keeper: TokenKeeper;
  readonly #providers: ReadonlyMap<string, SocialProvider>;

  constructor(dependencies: SocialDependencies<U>) {
    const { runtime, ledger } = dependencies;
    this.#runtime = runtime;
    this.#ledger = ledger;
    this.#users = dependencies.users;
    this.#sessions = dependencies.sessions;
    this.#signIn = dependencies.signIn;
    this.#mailboxProof = dependencies.mailboxProof;
    this.#requestEmailVerification = dependencies.requestEmailVerification;
    this.#flows = new Flows(runtime, ledger, dependencies.tokens);
    this.#metadata = new ProviderMetadata(runtime);
    this.connections = new SsoConnectionManager(dependencies, this.#metadata);
    this.#keeper = new TokenKeeper(runtime, this.#metadata);
    this.#providers = new Map(runtime.config.social.providers.map((provider) => [provider.id, provider]));
  }

  /** The host's providers, for buttons. */
  get providers(): { id: string; name: string }[] {
    return [...this.#providers.values()].map(({ id, name }) => ({ id, name }));
  }

  /** @internal Where providers answer by a cross-site POST. */
  get formPostPaths(): string[] {
    return [...this.#providers.values()]
      .filter(({ formPost }) => formPost === true)
      .map((provider) => new URL(this.#redirectUri(provider)).pathname);
  }

  /** Origins that a form of ours may lead to, for `form-action` on the page that links accounts. */
  async authorizationOrigins(): Promise<string[]> {
    const endpoints = await Promise.allSettled(
      [...this.#providers.values()].map((provider) => this.#metadata.endpointsOf(provider)),
    );
    const origins = endpoints.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [new URL(outcome.value.authorization).origin] : [],
    );
    return [...new Set(origins)];
  }

  /**
   * Where to send the browser to sign in at a provider.
   *
   * @throws AuthTunaError `not_found` for an unknown provider; `unavailable` when it cannot be reached
   */
  async beginSignIn(provider: string, options: JourneyOptions): Promise<{ url: string }> {
    return this.#begin(await this.#provider(provider), options, null);
  }

  /**
   * Where to send the browser of a signed-in user, so that a further identity becomes theirs.
   *
   * @param actor the user, in the session in which they come back
   * @throws AuthTunaError `unauthenticated`, `not_found`, `unavailable`; `conflict` when one of that provider is linked already
   */
  async beginLink(
    userId: string,
    provider: string,
    options: JourneyOptions,
    actor: Actor,
  ): Promise<{ url: string }> {
    if (actor.userId !== userId || actor.sessionId === undefined) throw new AuthTunaError('unauthenticated');
    const found = await this.#provider(provider);
    const present = await this.#runtime.db.socialAccount.findUnique({
      where: { userId_provider: { userId, provider } },
    });
    if (present !== null) throw alreadyLinked(found);
    return this.#begin(found, options, { userId, sessionId: actor.sessionId });
  }

  /**
   * Ends a journey to a provider: a sign-in, or a linked identity, whichever was begun.
   *
   * @param options.browser null when the browser brought none
   * @throws AuthTunaError `invalid_token` for anything that is not the one answer this browser waits for, for a canceled consent and for
   * a refused code; `conflict` when somebody signs in as before and links afterwards; `email_not_verified`; `account_suspended`; `forbidden`
   * where sign-up is closed; `invalid_input` when the provider gave no address to make an account of; `unavailable`
   */
  async finishSignIn(
    provider: string,
    callback: ProviderCallback,
    options: Omit<SignInOptions, 'rememberMe' | 'writes'> & { browser: string | null },
    actor: Actor,
  ): Promise<SocialOutcome> {
    const { browser, ...signInOptions } = options;
    const flow = await this.#flows.end(callback.state, provider, browser);
    const found = await this.#provider(provider);
    const endpoints = await this.#metadata.endpointsOf(found);
    requireIssuer(endpoints, callback.iss);
    if (callback.error !== undefined) throw this.#refusalOf(found, callback.error);
    const { profile, tokens, claims } = await this.#exchange(found, endpoints, flow, callback);

    if (flow.link !== null) {
      const account = await this.#link(flow.link, found, profile, tokens, actor);
      return { intent: 'link', account, returnTo: flow.returnTo };
    }
    const result = await this.#enter(found, profile, tokens, claims, actor, {
      ...signInOptions,
      rememberMe: flow.rememberMe,
    });
    return { intent: 'sign_in', result, returnTo: flow.returnTo };
  }

  /** Identities of a user, the oldest first. */
  async list(userId: string): Promise<SocialAccount[]> {
    const rows = await this.#runtime.db.socialAccount.findMany({
      where: { userId },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    const organizations = await this.connections.namesOf(rows.map(({ provider }) => provider));
    return rows.map((row) =>
      toAccount(row, this.#providers.get(row.provider)?.name ?? organizations.get(row.provider)),
    );
  }

  /**
   * Takes an identity away from its user, tells them, and ends kept tokens at the provider where it can. Every other session ends, whichever
   * way it began; the actor's goes on under a new cookie (`session`).
   *
   * @throws AuthTunaError `not_found`; `conflict` for the last way in; `forbidden` for an actor who is not the user
   */
  async unlink(
    userId: string,
    provider: string,
    actor: Actor,
  ): Promise<{ session: SessionWithToken | null }> {
    if (!isSystem(actor) && actor.userId !== userId) throw new AuthTunaError('forbidden');
    // The epoch is read before the ways in are counted: of two removals at one moment the second misses and counts again.
    const user = await this.#users.row(userId);
    const account = await this.#runtime.db.socialAccount.findUnique({
      where: { userId_provider: { userId, provider } },
    });
    if (user === null || account === null)
      throw new AuthTunaError('not_found', { message: 'No such account is linked.' });
    if (!(await hasOtherWayIn(this.#runtime, userId, { socialAccountId: account.id })))
      throw new AuthTunaError('conflict', {
        message: 'This is the only way to sign in. Set a password or link another account first.',
        reason: 'last_way_in',
      });
    const found = await this.#provider(provider).catch(() => null);
    const kept = await this.#sessions.prepareOnly(user, actor.sessionId, null, 'social_unlinked');
    const notice = noticeTo(this.#runtime, user, actor);
    await this.#ledger.commitToAccount({
      writes: [this.#runtime.db.socialAccount.delete({ where: { id: account.id } }), ...kept.writes],
      facts: [{ type: 'social.unlinked', actor, target: { type: 'user', id: userId }, data: { provider } }],
      mails: [
        {
          template: 'social-unlinked',
          ...notice,
          data: { ...notice.data, provider: found?.name ?? provider },
        },
      ],
      invalidates: [`user:${userId}`],
    });
    const tokens = this.#keeper.open(account);
    if (tokens !== null && found !== null) await this.#keeper.revoke(found, tokens);
    return { session: kept.result };
  }

  /**
   * A provider's access token of a user, for the host to call the provider with; refreshed when it is about to end.
   *
   * @throws AuthTunaError `not_found` where none is kept (`keepTokens`); `invalid_token` when the provider has withdrawn it; `unavailable`
   */
  async tokens(
    userId: string,
    provider: string,
  ): Promise<{ accessToken: string; expiresAt: Date | null; scopes: string[] }> {
    const found = await this.#provider(provider);
    return this.#keeper.current(userId, found);
  }

  /** For the first proof of a mailbox, and for an address that is given back. */
  removeAll(userId: string, since?: Date): Write[] {
    return [
      this.#runtime.db.socialAccount.deleteMany({
        where: { userId, ...(since !== undefined && { createdAt: { gte: since } }) },
      }),
    ];
  }

  /**
   * @internal Refuses ways in other than the organization's own provider, where a domain demands it. Its owners pass with a second factor: they
   * could end the demand, and must be able to on the day the provider is gone.
   */
  async gate(user: UserRow, proof: Proof, actor: Actor): Promise<GateVerdict> {
    if (proof.amr.includes('sso')) return {};
    const demanded = await this.connections.discover(user.email);
    if (demanded?.required !== true) return {};
    const owned = await this.connections.mayBypass(demanded.provider, user.id);
    if (owned === null) throw this.#ownProvider(demanded);
    if (proof.assuranceLevel < 2) {
      if ((await this.#signIn.factorsOf(user.id)).length === 0) throw this.#ownProvider(demanded);
      return { needsSecondFactor: true };
    }
    return {
      facts: [
        {
          type: 'sso_connection.bypassed',
          actor: { ...actor, userId: user.id },
          scope: owned.scope,
          target: { type: 'sso_connection', id: owned.id },
          data: { amr: proof.amr },
        },
      ],
    };
  }

  /**
   * @internal Keeps people at the address for which single sign-on is demanded: under another one they would enter past their organization,
   * also after it has let them go. Who may pass by the demand may leave it.
   */
  async addressGate(user: UserRow, newEmail: string): Promise<void> {
    const demanded = await this.connections.discover(user.email);
    if (demanded?.required !== true) return;
    const next = await this.connections.discover(newEmail);
    if (next?.required === true && next.provider === demanded.provider) return;
    if ((await this.connections.mayBypass(demanded.provider, user.id)) !== null) return;
    throw new AuthTunaError('forbidden', {
      message: `Your address is managed by ${demanded.name}. Ask its administrators for another one.`,
    });
  }

  #ownProvider({ provider, name }: Discovery): AuthTunaError {
    return new AuthTunaError('forbidden', {
      message: 'Your organization asks you to use its single sign-on.',
      sso: `${this.#runtime.config.paths.auth}/social/${provider}/login`,
      organization: name,
    });
  }

  async #provider(id: string): Promise<SocialProvider> {
    const provider = this.#providers.get(id) ?? (await this.connections.providerOf(id));
    if (provider === null)
      throw new AuthTunaError('not_found', { message: 'There is no such sign-in provider.' });
    return provider;
  }

  async #begin(
    provider: SocialProvider,
    options: JourneyOptions,
    link: Flow['link'],
  ): Promise<{ url: string }> {
    const endpoints = await this.#metadata.endpointsOf(provider);
    const { state, codeVerifier, nonce } = await this.#flows.begin(
      {
        provider: provider.id,
        link,
        returnTo: options.returnTo ?? '/',
        rememberMe: options.rememberMe === true,
      },
      options.browser,
    );
    const offline = provider.keepTokens ? (provider.offline ?? {}) : {};
    return {
      url: authorizationUrl({
        endpoint: endpoints.authorization,
        clientId: provider.clientId,
        redirectUri: this.#redirectUri(provider),
        state,
        codeVerifier,
        scopes: [...new Set([...provider.scopes, ...(offline.scopes ?? [])])],
        parameters: {
          ...provider.parameters,
          ...offline.parameters,
          ...(usesIdToken(provider, endpoints) && { nonce }),
          ...(options.loginHint !== undefined && { login_hint: options.loginHint }),
        },
      }),
    };
  }

  /** Own path per provider, so that an answer meant for one is nothing for another. */
  #redirectUri(provider: SocialProvider): string {
    const { baseUrl, paths } = this.#runtime.config;
    return `${baseUrl}${paths.auth}/social/${provider.id}/callback`;
  }

  async #exchange(
    provider: SocialProvider,
    endpoints: Endpoints,
    flow: StartedFlow,
    callback: ProviderCallback,
  ): Promise<{ profile: Profile; tokens: TokenSet; claims: Readonly<Record<string, unknown>> }> {
    if (callback.code === undefined) throw notConfirmed('no code');
    const tokens = await requestTokens(this.#runtime, provider, endpoints, {
      grant_type: 'authorization_code',
      code: callback.code,
      redirect_uri: this.#redirectUri(provider),
      code_verifier: flow.codeVerifier,
    });
    const claims = usesIdToken(provider, endpoints)
      ? await this.#metadata.verifyIdToken(provider, endpoints, tokens.idToken, flow.nonce)
      : {};
    const get = async (url: string, headers: Readonly<Record<string, string>> = {}) => {
      const answer = await outbound(
        url,
        { headers: { ...headers, authorization: `Bearer ${tokens.accessToken}` } },
        rulesFor(provider, this.#runtime),
      );
      if (answer.status !== 200)
        throw new AuthTunaError('unavailable', {}, { cause: new Error(`${url} answered ${answer.status}`) });
      return answer.json;
    };
    const said = await provider.profile({
      claims,
      accessToken: tokens.accessToken,
      get,
      user: callback.user ?? null,
    });
    if (said.subject === '') throw notConfirmed('no subject');
    const email = said.email === null ? null : canonicalEmail(said.email);
    return {
      profile: { ...said, email, emailVerified: email !== null && said.emailVerified },
      tokens,
      claims,
    };
  }

  /** What a provider says instead of a code. Its own words are for the log: anybody can write them into the address. */
  #refusalOf(provider: SocialProvider, error: string): AuthTunaError {
    if (error === 'access_denied' || error === 'user_cancelled_login' || error === 'user_cancelled_authorize')
      return new AuthTunaError('invalid_token', {
        message: `The sign-in with ${provider.name} was canceled.`,
        reason: 'canceled',
      });
    const isTheirTrouble = error === 'server_error' || error === 'temporarily_unavailable';
    this.#runtime.config.logger.warn(`${provider.id} refused a sign-in.`, { error: error.slice(0, 64) });
    return new AuthTunaError(isTheirTrouble ? 'unavailable' : 'invalid_token', {
      message: `The sign-in with ${provider.name} did not work. Please try again.`,
      reason: 'provider_error',
    });
  }

  async #enter(
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    claims: Readonly<Record<string, unknown>>,
    actor: Actor,
    options: SignInOptions,
  ): Promise<SignInResult> {
    const { db } = this.#runtime;
    const known = await db.socialAccount.findUnique({
      where: { provider_subject: { provider: provider.id, subject: profile.subject } },
      include: { user: true },
    });
    // Before anything is said about an account: an organization learns nothing about addresses that are not its own.
    const demanded =
      known === null && profile.email !== null
        ? await this.connections.admit(provider.id, profile.email)
        : null;
    const isDemanded = demanded?.required === true;
    if (isDemanded && demanded.provider !== provider.id) throw this.#ownProvider(demanded);
    const user =
      known?.user ??
      (profile.email === null ? null : await db.user.findUnique({ where: { email: profile.email } }));
    const action = decideSignIn({
      identity: known === null ? 'unknown' : 'known',
      address: profile.email === null ? 'none' : profile.emailVerified ? 'proven' : 'claimed',
      account:
        user === null
          ? 'none'
          : user.deletedAt !== null
            ? 'deleted'
            : user.emailVerifiedAt === null
              ? 'unproven'
              : 'proven',
      isSameAddress: user !== null && user.email === profile.email,
      mayLink: await this.#mayLink(provider),
      isDemanded,
    });
    const entered = await this.#prepareEntry(action, provider, profile, tokens, known, user, actor);
    const amr = provider.id.startsWith(SSO_PREFIX) ? SSO_AMR : AMR;
    await this.connections.admit(provider.id, entered.email);
    const result = await this.#signIn.complete(entered, { amr, assuranceLevel: 1 }, actor, options);
    await this.connections.applyRoles(provider.id, entered.id, claims);
    return result;
  }

  /** Does what was decided, and gives the account to sign in to. */
  async #prepareEntry(
    action: ReturnType<typeof decideSignIn>,
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    known: AccountRow | null,
    user: UserRow | null,
    actor: Actor,
  ): Promise<UserRow> {
    if ((action === 'enter' || action === 'prove_and_enter') && known !== null && user !== null) {
      const seen = this.#runtime.db.socialAccount.update({
        // Kept tokens that were refreshed meanwhile must not be overwritten with those of before.
        where: { id: known.id, ...(provider.keepTokens && { tokens: known.tokens }) },
        data: this.#seen(provider, profile, tokens, known),
      });
      if (action === 'enter') {
        await this.#commitOrConflict({ writes: [seen], facts: [] });
        return user;
      }
      const others = this.#runtime.db.socialAccount.deleteMany({
        where: { userId: user.id, id: { not: known.id } },
      });
      const proved = await this.#orConflict(() =>
        this.#mailboxProof.bySignIn(user, others, this.#ledger, actor, this),
      );
      await this.#commitOrConflict({ writes: [seen], facts: [] });
      return proved.user;
    }
    if ((action === 'link_and_enter' || action === 'claim_and_enter') && user !== null) {
      if (!isActive(user, this.#runtime.now())) throw new AuthTunaError('account_suspended');
      const owner = action === 'link_and_enter' ? user : await this.#claim(user, actor);
      await this.#store(owner, provider, profile, tokens, actor, [
        // The address is still theirs and still proved.
        this.#runtime.db.user.update({
          where: { id: owner.id, email: owner.email, emailVerifiedAt: owner.emailVerifiedAt },
          data: { updatedAt: this.#runtime.now() },
        }),
      ]);
      return owner;
    }
    if (action === 'create' && profile.email !== null) return this.#create(provider, profile, tokens, actor);
    if (action === 'confirm_address' && this.#runtime.config.signUp.requireVerifiedEmail)
      throw new AuthTunaError('email_not_verified');
    if (action === 'ask_address')
      throw new AuthTunaError('invalid_input', {
        message: `${provider.name} shared no email address. Sign up with your address, then link ${provider.name} in your account.`,
        reason: 'no_email',
        errors: [{ field: 'email', message: `is not shared by ${provider.name}` }],
      });
    throw new AuthTunaError('conflict', {
      message: `There is an account with this address already. Sign in as before, then link ${provider.name} in your account.`,
      reason: 'sign_in_then_link',
    });
  }

  /** The mailbox is proved for the first time, by its organization: everything that was left on the account goes. */
  async #claim(user: UserRow, actor: Actor): Promise<UserRow> {
    const others = this.#runtime.db.socialAccount.deleteMany({ where: { userId: user.id } });
    const proved = await this.#orConflict(() =>
      this.#mailboxProof.bySignIn(user, others, this.#ledger, actor, this),
    );
    return proved.user;
  }

  async #mayLink(provider: SocialProvider): Promise<boolean> {
    if (provider.ofTenant) return this.connections.mayLink(provider.id);
    const { linkVerifiedEmails } = this.#runtime.config.social;
    return typeof linkVerifiedEmails === 'boolean'
      ? linkVerifiedEmails
      : linkVerifiedEmails.includes(provider.id);
  }

  async #create(
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    actor: Actor,
  ): Promise<UserRow> {
    const { signUp, hooks } = this.#runtime.config;
    const email = profile.email ?? '';
    // An organization's own people are let in by its connection, whoever else may sign up.
    if (!signUp.enabled && !provider.ofTenant)
      throw new AuthTunaError('forbidden', { message: 'Sign-up is closed.' });
    const domain = email.slice(email.lastIndexOf('@') + 1);
    if (
      signUp.allowedEmailDomains !== undefined &&
      !provider.ofTenant &&
      !signUp.allowedEmailDomains.includes(domain)
    )
      throw new AuthTunaError('forbidden', { message: 'Addresses of this domain cannot sign up.' });
    await hooks.beforeSignUp?.({ email });
    const prepared = await this.#users.prepare({ email, emailVerified: profile.emailVerified }, actor);
    const row = this.#newRow(prepared.id, provider, profile, tokens);
    try {
      await this.#users.store(prepared, actor, {
        writes: [this.#runtime.db.socialAccount.create({ data: row })],
      });
    } catch (error) {
      // The same person in two tabs: the second finds what the first made.
      throw error instanceof AuthTunaError && error.code === 'conflict'
        ? new AuthTunaError('conflict', {
            message: 'This account was made at the same moment. Sign in again.',
          })
        : error;
    }
    if (!profile.emailVerified) await this.#requestEmailVerification(email, actor);
    return this.#row(prepared.id);
  }

  async #link(
    { userId, sessionId }: { userId: string; sessionId: string },
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    actor: Actor,
  ): Promise<SocialAccount> {
    const { db } = this.#runtime;
    const [user, session, known] = await Promise.all([
      this.#users.row(userId),
      db.session.findUnique({ where: { id: sessionId } }),
      db.socialAccount.findUnique({
        where: { provider_subject: { provider: provider.id, subject: profile.subject } },
      }),
    ]);
    // The session in which linking began must still be alive: a sign-out in between takes the wish back, and so does a suspicion.
    const now = this.#runtime.now();
    const isAlive =
      user !== null &&
      session !== null &&
      session.revokedAt === null &&
      session.lockedAt === null &&
      session.absoluteExpiresAt > now &&
      session.epoch === user.sessionEpoch;
    if (!isAlive || !isActive(user, now)) throw new AuthTunaError('unauthenticated');
    if (known !== null) {
      if (known.userId === userId) return toAccount(known, provider.name);
      throw new AuthTunaError('conflict', {
        message: `This ${provider.name} account is linked to another account here.`,
        reason: 'linked_elsewhere',
      });
    }
    await this.connections.admit(provider.id, user.email);
    const person = { ...actor, userId, sessionId };
    return toAccount(
      await this.#store(user, provider, profile, tokens, person, [
        db.session.update({
          where: { id: sessionId, revokedAt: null, lockedAt: null },
          data: { lastSeenAt: this.#runtime.now() },
        }),
        db.user.update({
          where: { id: userId, sessionEpoch: user.sessionEpoch },
          data: { updatedAt: this.#runtime.now() },
        }),
      ]),
      provider.name,
    );
  }

  /** Stores a new identity of an account that was there before, and tells its owner. */
  async #store(
    user: UserRow,
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    actor: Actor,
    conditions: Write[],
  ): Promise<AccountRow> {
    const row = this.#newRow(user.id, provider, profile, tokens);
    const notice = noticeTo(this.#runtime, user, actor);
    await this.#commitOrConflict({
      writes: [...conditions, this.#runtime.db.socialAccount.create({ data: row })],
      facts: [
        {
          type: 'social.linked',
          actor,
          target: { type: 'user', id: user.id },
          data: { provider: provider.id },
        },
      ],
      mails: [
        { template: 'social-linked', to: notice.to, data: { ...notice.data, provider: provider.name } },
      ],
    });
    return row;
  }

  #newRow(userId: string, provider: SocialProvider, profile: Profile, tokens: TokenSet): AccountRow {
    const id = newId(this.#runtime.config.random);
    const now = this.#runtime.now();
    return {
      id,
      userId,
      provider: provider.id,
      subject: profile.subject,
      createdAt: now,
      ...this.#seen(provider, profile, tokens, { id, tokens: null, name: null }),
    };
  }

  #seen(
    provider: SocialProvider,
    profile: Profile,
    tokens: TokenSet,
    present: Pick<AccountRow, 'id' | 'tokens' | 'name'>,
  ) {
    return {
      email: profile.email,
      emailVerified: profile.emailVerified,
      // Apple tells the name once.
      name: profile.name ?? present.name,
      tokens: provider.keepTokens ? this.#keeper.seal(present, tokens) : null,
      lastUsedAt: this.#runtime.now(),
    };
  }

  async #row(id: string): Promise<UserRow> {
    const row = await this.#users.row(id);
    if (row === null) throw new AuthTunaError('not_found');
    return row;
  }

  #commitOrConflict(change: Change): Promise<void> {
    return this.#orConflict(() => this.#ledger.commit(change));
  }

  async #orConflict<T>(change: () => Promise<T>): Promise<T> {
    try {
      return await change();
    } catch (error) {
      if (!isMissing(error) && !isUniqueViolation(error)) throw error;
      throw accountChanged();
    }
  }
}

type AccountRow = Awaited<ReturnType<Runtime['db']['socialAccount']['findUniqueOrThrow']>>;

function usesIdToken(provider: SocialProvider, endpoints: Endpoints): boolean {
  return provider.idToken ?? endpoints.jwks !== undefined;
}

/** @see RFC 9207 section 2.4 */
function requireIssuer({ issuer, sendsIssuer }: Endpoints, iss: string | undefined): void {
  if (iss === undefined && sendsIssuer === true) throw notConfirmed('iss is missing');
  if (iss !== undefined && typeof issuer === 'string' && iss !== issuer)
    throw notConfirmed('iss of another provider');
}

function notConfirmed(reason: string): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: 'The sign-in could not be confirmed. Please try again.',
    reason,
  });
}

function alreadyLinked(provider: SocialProvider): AuthTunaError {
  return new AuthTunaError('conflict', {
    message: `A ${provider.name} account is linked already. Unlink it first.`,
    reason: 'already_linked',
  });
}

function toAccount(row: AccountRow, providerName = row.provider): SocialAccount {
  const { id, provider, email, name, createdAt, lastUsedAt } = row;
  return { id, provider, providerName, email, name, createdAt, lastUsedAt };
}
