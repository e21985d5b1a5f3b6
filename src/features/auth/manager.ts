import { maskedEmail } from '../../core/identifiers.js';
import type { Ledger } from '../../core/ledger.js';
import { noticeTo } from '../../core/outbox.js';
import type { PasswordManager } from '../../core/passwords.js';
import type { Runtime } from '../../core/runtime.js';
import type { SessionManager, SessionWithToken } from '../../core/sessions.js';
import type { SignIn, SignInOptions, SignInResult } from '../../core/sign-in.js';
import { type PublicUser, publicUser } from '../../core/user-row.js';
import type { UserManager } from '../../core/users.js';
import type { ExtraColumns, User } from '../../db/client.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Actor } from '../../events.js';

export interface AuthDependencies<U extends User> {
  runtime: Runtime;
  ledger: Ledger;
  users: UserManager<U>;
  passwords: PasswordManager;
  sessions: SessionManager;
  signIn: SignIn;
}

/** Sign-up, sign-in and passwords. */
export class AuthManager<U extends User = User> {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #users: UserManager<U>;
  readonly #passwords: PasswordManager;
  readonly #sessions: SessionManager;
  readonly #signIn: SignIn;

  constructor(dependencies: AuthDependencies<U>) {
    this.#runtime = dependencies.runtime;
    this.#ledger = dependencies.ledger;
    this.#users = dependencies.users;
    this.#passwords = dependencies.passwords;
    this.#sessions = dependencies.sessions;
    this.#signIn = dependencies.signIn;
  }

  /**
   * Makes an account for whoever asks.
   *
   * @throws AuthTunaError `forbidden` when sign-up is closed or the domain is not allowed; `invalid_input`; `weak_password`; `conflict`
   */
  async signUp(
    input: { email: string; username?: string; password: string; data?: Partial<ExtraColumns<U>> },
    actor: Actor,
  ): Promise<U> {
    const { signUp, hooks } = this.#runtime.config;
    if (!signUp.enabled) throw new AuthTunaError('forbidden', { message: 'Sign-up is closed.' });
    if (signUp.username === 'required' && input.username === undefined)
      throw invalid('username', 'is required');
    if (signUp.username === 'off' && input.username !== undefined)
      throw invalid('username', 'is not used here');
    const prepared = await this.#users.prepare(input, actor);
    const domain = prepared.email.slice(prepared.email.lastIndexOf('@') + 1);
    if (signUp.allowedEmailDomains !== undefined && !signUp.allowedEmailDomains.includes(domain))
      throw invalid('email', 'addresses of this domain cannot sign up');
    await hooks.beforeSignUp?.({
      email: prepared.email,
      ...(prepared.username !== null && { username: prepared.username }),
    });
    await this.#users.store(prepared, actor);
    return this.#users.get(prepared.id);
  }

  /**
   * Signs in with an address or username and a password.
   *
   * @throws AuthTunaError `invalid_credentials` for an unknown user, a wrong password and a user without one, alike in answer and time;
   * only after the right password: `account_suspended`, `email_not_verified`; `unavailable` when too many sign-ins are waiting
   */
  async login(
    input: { login: string; password: string; rememberMe?: boolean },
    actor: Actor,
    options: Omit<SignInOptions, 'rememberMe'> = {},
  ): Promise<SignInResult> {
    const user = await this.#users.rowByLogin(input.login);
    if (!(await this.#passwords.verify(user?.id ?? null, input.password)) || user === null) {
      await this.#ledger.commit({
        writes: [],
        facts: [
          {
            type: 'user.sign_in_failed',
            outcome: 'failure',
            reason: 'invalid_credentials',
            actor,
            // What was typed may be a password in the wrong field, so it is kept as a keyed digest and a mask.
            data: {
              login: this.#runtime.keys.lookup(`login ${input.login.toLowerCase()}`),
              masked: input.login.includes('@') ? maskedEmail(input.login) : '***',
            },
            ...(user !== null && { target: { type: 'user', id: user.id } }),
          },
        ],
      });
      throw new AuthTunaError('invalid_credentials');
    }
    try {
      return await this.#signIn.complete(user, { amr: ['pwd'], assuranceLevel: 1 }, actor, {
        ...options,
        ...(input.rememberMe !== undefined && { rememberMe: input.rememberMe }),
      });
    } catch (error) {
      if (error instanceof AuthTunaError) {
        const target = { type: 'user', id: user.id };
        await this.#ledger.commit({
          writes: [],
          facts: [{ type: 'user.sign_in_failed', outcome: 'failure', reason: error.code, actor, target }],
        });
      }
      throw error;
    }
  }

  /** Signs a session in for a user who has just signed up, where no address has to be confirmed first. */
  async signInAfterSignUp(userId: string, actor: Actor, options: SignInOptions = {}): Promise<SignInResult> {
    const user = await this.#users.row(userId);
    if (user === null) throw new AuthTunaError('not_found');
    return this.#signIn.complete(user, { amr: ['pwd'], assuranceLevel: 1 }, actor, options);
  }

  /** Ends the session; one that has ended already is fine. */
  async logout(sessionId: string, actor: Actor): Promise<void> {
    await this.#sessions.end(sessionId, 'signed_out', {
      type: 'user.signed_out',
      actor,
      target: { type: 'session', id: sessionId },
    });
  }

  /**
   * Changes one's own password; every other session and every mailed link ends. The session named by `keepSessionId` goes on under the new
   * cookie that is returned, and its old cookie is dead at once.
   *
   * @throws AuthTunaError `invalid_credentials` for a wrong current password; `weak_password`; `conflict` when it was changed at the same moment
   */
  async changePassword(
    userId: string,
    input: { currentPassword: string; newPassword: string; keepSessionId?: string },
    actor: Actor,
  ): Promise<SessionWithToken | null> {
    const user = await this.#users.row(userId);
    if (user === null || user.deletedAt !== null) throw new AuthTunaError('not_found');
    if (!(await this.#passwords.verify(userId, input.currentPassword))) {
      await this.#ledger.commit({
        writes: [],
        facts: [
          {
            type: 'password.changed',
            outcome: 'failure',
            reason: 'invalid_credentials',
            actor,
            target: { type: 'user', id: userId },
          },
        ],
      });
      throw new AuthTunaError('invalid_credentials', { message: 'The current password is not correct.' });
    }
    await this.#passwords.check(input.newPassword, user);
    const hash = await this.#passwords.hash(input.newPassword);
    const kept =
      input.keepSessionId === undefined
        ? null
        : await this.#sessions.prepareElevation(input.keepSessionId, { amr: ['pwd'], assuranceLevel: 1 });
    try {
      await this.#ledger.commit({
        writes: [
          ...this.#passwords.replaceWrites(userId, hash),
          ...this.#sessions.revokeAllWrites(user, {
            reason: 'password_changed',
            ...(input.keepSessionId !== undefined && { except: input.keepSessionId }),
          }),
          ...(kept === null ? [] : [kept.write]),
        ],
        facts: [{ type: 'password.changed', actor, target: { type: 'user', id: userId } }],
        mails: [{ template: 'password-changed', ...noticeTo(this.#runtime, user, actor) }],
        invalidates: [`user:${userId}`],
      });
    } catch (error) {
      if (isMissing(error))
        throw new AuthTunaError('conflict', {
          message: 'The account changed at the same moment. Try again.',
        });
      throw error;
    }
    return kept?.result ?? null;
  }

  /** The user as its own pages show it. */
  async userInfo(userId: string): Promise<PublicUser | null> {
    const row = await this.#users.row(userId);
    return row === null ? null : publicUser(row);
  }
}

function invalid(field: string, message: string): AuthTunaError {
  return new AuthTunaError('invalid_input', { errors: [{ field, message }] });
}
