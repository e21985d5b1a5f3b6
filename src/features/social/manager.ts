import { type Actor, isSystem } from '../../actor.js';
import type { User } from '../../auth.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { requireKnownFields, whenMissing } from '../../core/refusals.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { SIGN_IN_FIELDS, type SignInOptions, type SignInResult } from '../../core/sign-in/sign-in.js';
import type { SignUpInput } from '../../core/sign-in/sign-up.js';
import { isActive } from '../../core/user.js';
import { hasOtherWayIn } from '../../core/users/sign-in-methods.js';
import { AuthTunaError } from '../../errors.js';
import type { ProviderMetadata } from '../../oauth-client/metadata.js';
import type { SocialProvider } from '../../oauth-client/provider.js';
import { type Confirmation, Entering } from './entering.js';
import { type LinkedIdentities, type SocialAccount, toAccount } from './identities.js';
import {
  JOURNEY_FIELDS,
  type JourneyOptions,
  Journeys,
  type ProviderAnswer,
  type ProviderCallback,
} from './journey.js';
import type { OrganizationProviders } from './organizations.js';
import { type PendingSignUp, PendingSignUps } from './pending-sign-up.js';
import type { TokenKeeper } from './token-keeper.js';

/** What coming back from a provider led to. */
export type SocialOutcome =
  | { intent: 'sign_in'; result: SignInResult; returnTo: string }
  /** A newcomer: the account is made by `completeSignUp`, with the details that are missing. */
  | { intent: 'sign_up'; pending: PendingSignUp }
  | { intent: 'link'; account: SocialAccount; returnTo: string };

/** What social sign-in is built from, beside the core. */
export interface SocialParts {
  metadata: ProviderMetadata;
  keeper: TokenKeeper;
  identities: LinkedIdentities;
  organizations: OrganizationProviders;
}

/** Signing in with, and linking, identities at other providers. */
export class SocialManager<U extends User = User> {
  /** @internal Providers that belong to organizations. */
  readonly organizations: OrganizationProviders;
  readonly #core: SignInCore<U>;
  readonly #identities: LinkedIdentities;
  readonly #journeys: Journeys;
  readonly #entering: Entering<U>;
  readonly #pendingSignUps: PendingSignUps;
  readonly #metadata: ProviderMetadata;
  readonly #keeper: TokenKeeper;
  readonly #providers: ReadonlyMap<string, SocialProvider>;

  constructor(core: SignInCore<U>, { metadata, keeper, identities, organizations }: SocialParts) {
    this.#core = core;
    this.organizations = organizations;
    this.#identities = identities;
    this.#metadata = metadata;
    this.#keeper = keeper;
    this.#journeys = new Journeys(core, metadata);
    this.#entering = new Entering(core, identities, organizations);
    this.#pendingSignUps = new PendingSignUps(core);
    this.#providers = new Map(core.config.social.providers.map((provider) => [provider.id, provider]));
  }

  /** The host's providers, for buttons. */
  get providers(): { id: string; name: string }[] {
    return [...this.#providers.values()].map(({ id, name }) => ({ id, name }));
  }

  /** @internal Where providers answer by a cross-site POST. */
  get formPostPaths(): string[] {
    return [...this.#providers.values()]
      .filter(({ formPost }) => formPost === true)
      .map((provider) => new URL(this.#journeys.redirectUri(provider)).pathname);
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
    requireKnownFields(options, JOURNEY_FIELDS);
    return this.#journeys.begin(await this.#provider(provider), options, null);
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
    requireKnownFields(options, JOURNEY_FIELDS);
    if (actor.userId !== userId || actor.sessionId === undefined) throw new AuthTunaError('unauthenticated');
    const found = await this.#provider(provider);
    const present = await this.#core.db.socialAccount.findUnique({
      where: { userId_provider: { userId, provider } },
    });
    if (present !== null) throw alreadyLinked(found);
    return this.#journeys.begin(found, options, { userId, sessionId: actor.sessionId });
  }

  /**
   * Ends a journey to a provider: a sign-in, or a linked identity, whichever was begun.
   *
   * @param options.browser null when the browser brought none
   * @param options.formBrowser gives a value that only this browser has, and that its next form brings along. Default: `options.browser`
   * @param options.onMailed told where a message was sent that confirms an address which the provider did not prove
   * @throws AuthTunaError `invalid_token` for anything that is not the one answer this browser waits for, for a canceled consent and for
   * a refused code; `conflict` when somebody signs in as before and links afterwards; `email_not_verified`; `account_suspended`; `forbidden`
   * where sign-up is closed; `invalid_input` when the provider gave no address to make an account of; `unavailable`
   */
  async finishSignIn(
    provider: string,
    callback: ProviderCallback,
    options: Omit<SignInOptions, 'rememberMe' | 'writes'> & {
      browser: string | null;
      formBrowser?: () => string;
      onMailed?: Confirmation['onMailed'];
    },
    actor: Actor,
  ): Promise<SocialOutcome> {
    requireKnownFields(options, [...SIGN_IN_FIELDS, 'browser', 'formBrowser', 'onMailed']);
    const { browser, formBrowser = () => browser ?? '', onMailed, ...signInOptions } = options;
    const flow = await this.#journeys.end(callback, provider, browser);
    const { rememberMe, returnTo, link } = flow;
    try {
      const found = await this.#provider(provider);
      const answer = await this.#journeys.answerOf(flow, callback, found);
      if (link !== null) {
        const account = await this.#link(link, found, answer, actor);
        return { intent: 'link', account, returnTo };
      }
      const entry = { ...signInOptions, rememberMe };
      const confirmation = { browserId: formBrowser, returnTo, onMailed };
      const result = await this.#entering.enter(found, answer, actor, entry, confirmation);
      if (result.status !== 'details_required') return { intent: 'sign_in', result, returnTo };
      const waiting = { provider: found.id, answer, rememberMe, returnTo };
      const pending = await this.#pendingSignUps.keep(waiting, formBrowser(), result.missing);
      return { intent: 'sign_up', pending };
    } catch (error) {
      throw onTheWayTo(error, returnTo, link !== null);
    }
  }

  /** What the page of a waiting sign-up says. @throws AuthTunaError `invalid_token` */
  async inspectSignUp(
    token: string,
    browser: string | null,
  ): Promise<{ email: string; provider: string; name: string | null; returnTo: string }> {
    const { provider, answer, returnTo } = await this.#pendingSignUps.peek(token, browser);
    const { email, name } = answer.profile;
    return { email: email ?? '', provider: (await this.#provider(provider)).name, name, returnTo };
  }

  /**
   * Makes the account of a newcomer whom a provider has proved, with the details that were missing, and signs in.
   *
   * @param options.browser the value of `finishSignIn`'s `formBrowser`
   * @throws AuthTunaError `invalid_token`; as `auth.signUp`, and the token can be used again; as `finishSignIn`
   */
  async completeSignUp(
    { token, ...details }: { token: string } & Pick<SignUpInput, 'username' | 'data'>,
    options: Omit<SignInOptions, 'rememberMe' | 'writes'> & {
      browser: string | null;
      onMailed?: Confirmation['onMailed'];
    },
    actor: Actor,
  ): Promise<{ result: SignInResult; returnTo: string }> {
    requireKnownFields(details, ['username', 'data']);
    requireKnownFields(options, [...SIGN_IN_FIELDS, 'browser', 'onMailed']);
    const { browser, onMailed, ...signInOptions } = options;
    const waiting = await this.#pendingSignUps.peek(token, browser);
    const { live, answer, rememberMe, returnTo } = waiting;
    const provider = await this.#provider(waiting.provider);
    const result = await this.#entering
      .enterAnew(
        provider,
        answer,
        { ...details, spend: live.spend },
        actor,
        { ...signInOptions, rememberMe },
        { browserId: () => browser ?? '', returnTo, onMailed },
      )
      .catch(whenMissing(() => this.#core.tokens.missed(live)));
    return { result, returnTo };
  }

  /** Identities of a user, the oldest first. */
  async list(userId: string): Promise<SocialAccount[]> {
    const rows = await this.#core.db.socialAccount.findMany({
      where: { userId },
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    });
    const organizations = await this.organizations.namesOf(rows.map(({ provider }) => provider));
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
    const user = await this.#core.users.row(userId);
    const account = await this.#core.db.socialAccount.findUnique({
      where: { userId_provider: { userId, provider } },
    });
    if (user === null || account === null)
      throw new AuthTunaError('not_found', { message: 'No such account is linked.' });
    if (!(await hasOtherWayIn(this.#core, userId, { socialAccountId: account.id })))
      throw new AuthTunaError('conflict', {
        message: 'This is the only way to sign in. Set a password or link another account first.',
        reason: 'last_way_in',
      });
    const found = await this.#provider(provider).catch(() => null);
    const kept = await this.#core.sessions.prepareOnly(user, actor.sessionId, null, 'social_unlinked');
    const notice = noticeTo(this.#core, user, actor);
    await this.#core.ledger.commitToAccount({
      writes: [this.#core.db.socialAccount.delete({ where: { id: account.id } }), ...kept.writes],
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

  async #provider(id: string): Promise<SocialProvider> {
    const provider = this.#providers.get(id) ?? (await this.organizations.providerOf(id));
    if (provider === null)
      throw new AuthTunaError('not_found', { message: 'There is no such sign-in provider.' });
    return provider;
  }

  async #link(
    { userId, sessionId }: { userId: string; sessionId: string },
    provider: SocialProvider,
    { profile, tokens }: ProviderAnswer,
    actor: Actor,
  ): Promise<SocialAccount> {
    const { db } = this.#core;
    const [user, session, known] = await Promise.all([
      this.#core.users.row(userId),
      db.session.findUnique({ where: { id: sessionId } }),
      db.socialAccount.findUnique({
        where: { provider_subject: { provider: provider.id, subject: profile.subject } },
      }),
    ]);
    // The session in which linking began must still be alive: a sign-out in between takes the wish back, and so does a suspicion.
    const now = this.#core.now();
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
    await this.organizations.requireMember(provider.id, user.email);
    const person = { ...actor, userId, sessionId };
    return toAccount(
      await this.#identities.link(user, provider, profile, tokens, person, [
        db.session.update({
          where: { id: sessionId, revokedAt: null, lockedAt: null },
          data: { lastSeenAt: this.#core.now() },
        }),
        db.user.update({
          where: { id: userId, sessionEpoch: user.sessionEpoch },
          data: { updatedAt: this.#core.now() },
        }),
      ]),
      provider.name,
    );
  }
}

/** A refusal, with where the person wanted to go: the page that says so leads on. */
function onTheWayTo(error: unknown, returnTo: string, isLinking: boolean): unknown {
  if (!(error instanceof AuthTunaError)) return error;
  const { cause, message } = error;
  const details = { ...error.details, message, returnTo, ...(isLinking && { linking: true }) };
  return new AuthTunaError(error.code, details, cause === undefined ? undefined : { cause });
}

function alreadyLinked(provider: SocialProvider): AuthTunaError {
  return new AuthTunaError('conflict', {
    message: `A ${provider.name} account is linked already. Unlink it first.`,
    reason: 'already_linked',
  });
}
