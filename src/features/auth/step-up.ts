import { type Request, Router } from 'express';
import { z } from 'zod';
import type { Ledger } from '../../core/ledger.js';
import type { PasswordManager } from '../../core/passwords.js';
import type { Runtime } from '../../core/runtime.js';
import type { UserRow } from '../../core/session-row.js';
import type { SessionManager, SessionWithToken } from '../../core/sessions.js';
import type { FactorProof, SecondFactorName, SignIn } from '../../core/sign-in.js';
import { GUESSING, type Throttle } from '../../core/throttle.js';
import { isActive } from '../../core/user-row.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import type { Actor } from '../../events.js';
import { authOf } from '../../http/auth.js';
import { handle } from '../../http/errors.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { jsonBody, validate } from '../../http/validate.js';

export interface StepUpDependencies {
  runtime: Runtime;
  ledger: Ledger;
  passwords: PasswordManager;
  sessions: SessionManager;
  signIn: Pick<SignIn, 'factorsOf'>;
  throttle: Throttle;
  codes: { checkCode(user: UserRow, code: string, actor: Actor): Promise<FactorProof> };
}

/** What somebody can prove themselves with. A code is one of an app or a recovery code. */
export interface StepUpMethods {
  password: boolean;
  code: boolean;
  /** What the code's field is called: without an app only recovery codes are left. */
  codeField: 'totp' | 'recoveryCode';
  passkeys: boolean;
}

/**
 * Step-up: proving anew who one is, at the highest level the account has, without signing out.
 *
 * The session goes on under a new cookie; the old one, and every copy of it, is dead at once and never exchanged for the new.
 * @see RFC 9470; sessions.md, hard rotation; security.md SS-14, MB-3
 */
export class StepUp {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger;
  readonly #passwords: PasswordManager;
  readonly #sessions: SessionManager;
  readonly #signIn: Pick<SignIn, 'factorsOf'>;
  readonly #throttle: Throttle;
  readonly #codes: StepUpDependencies['codes'];

  constructor(dependencies: StepUpDependencies) {
    this.#runtime = dependencies.runtime;
    this.#ledger = dependencies.ledger;
    this.#passwords = dependencies.passwords;
    this.#sessions = dependencies.sessions;
    this.#signIn = dependencies.signIn;
    this.#throttle = dependencies.throttle;
    this.#codes = dependencies.codes;
  }

  /** What the user is asked for: password and code together where there are both, or a passkey alone. */
  async methodsOf(userId: string): Promise<StepUpMethods> {
    const { db } = this.#runtime;
    const [factors, password, passkeys] = await Promise.all([
      this.#signIn.factorsOf(userId),
      db.password.findUnique({ where: { userId } }),
      db.passkey.count({ where: { userId } }),
    ]);
    const code = factors.includes('totp') || factors.includes('recovery_code');
    const hasFactor = factors.length > 0;
    // A password alone is no proof where a second factor is enrolled, so it is not asked for where no code could follow.
    return {
      password: password !== null && (code || !hasFactor),
      code,
      codeField: factors.includes('totp') || !code ? 'totp' : 'recoveryCode',
      passkeys: passkeys > 0,
    };
  }

  /**
   * Raises a session, also one that waits for it because its device changed; `fingerprint` is where the browser is now.
   *
   * @throws AuthTunaError `invalid_input` when the password is missing; `second_factor_required` when the code is; `invalid_credentials`;
   * `rate_limited`; `recent_login_required` for an account that has neither, which signs in again instead
   */
  async stepUp(
    who: { userId: string; sessionId: string },
    input: { password?: string; code?: string },
    actor: Actor,
    options: { fingerprint?: string } = {},
  ): Promise<SessionWithToken> {
    const user = await this.#runtime.db.user.findUnique({ where: { id: who.userId } });
    if (user === null || !isActive(user, this.#runtime.now())) throw new AuthTunaError('session_revoked');
    const asked = await this.methodsOf(user.id);
    const factors = await this.#signIn.factorsOf(user.id);
    if (!asked.password && !asked.code) throw this.#needsOther(factors);
    if (asked.password && input.password === undefined)
      throw new AuthTunaError('invalid_input', { errors: [{ field: 'password', message: 'is required' }] });
    if (asked.code && input.code === undefined) throw this.#needsOther(factors);

    if (asked.password) await this.#checkPassword(user, input.password as string, who, actor);
    const code = asked.code ? await this.#codes.checkCode(user, input.code as string, actor) : null;
    const amr = [...(asked.password ? ['pwd'] : []), ...(code?.amr ?? [])];
    const { write, result } = await this.#sessions.prepareElevation(
      who.sessionId,
      { amr, assuranceLevel: code === null ? 1 : 2 },
      { ...options, replaces: true },
    );
    try {
      await this.#ledger.commit({
        writes: [this.#throttle.clear(stepUpKey(user.id)), ...(code?.writes ?? []), write],
        facts: [
          ...(code?.facts ?? []),
          {
            type: 'session.elevated',
            actor,
            target: { type: 'session', id: who.sessionId },
            data: { amr },
          },
        ],
        mails: code?.mails ?? [],
        invalidates: [`session:${who.sessionId}`],
      });
    } catch (error) {
      throw isMissing(error) ? new AuthTunaError('invalid_credentials') : error; // the code was spent, or the session raised, at the same moment
    }
    return result;
  }

  async #checkPassword(
    user: UserRow,
    password: string,
    { sessionId }: { sessionId: string },
    actor: Actor,
  ): Promise<void> {
    await this.#throttle.reserve(stepUpKey(user.id), GUESSING);
    if (await this.#passwords.verify(user.id, password)) return;
    await this.#ledger.commit({
      writes: [],
      facts: [
        {
          type: 'session.elevated',
          outcome: 'failure',
          reason: 'invalid_credentials',
          actor,
          target: { type: 'session', id: sessionId },
        },
      ],
    });
    throw new AuthTunaError('invalid_credentials', { message: 'The password is not correct.' });
  }

  #needsOther(factors: readonly SecondFactorName[]): AuthTunaError {
    const stepUp = `${this.#runtime.config.paths.auth}/step-up`;
    return factors.length > 0
      ? new AuthTunaError('second_factor_required', { factors, stepUp })
      : new AuthTunaError('recent_login_required', {
          message: 'Sign out and in again to continue.',
          factors,
        });
  }
}

/** What guesses at the password of a step-up are counted under. */
export function stepUpKey(userId: string): string {
  return `step-up:${userId}`;
}

const stepUpBody = z.strictObject({
  password: z.string().min(1).max(1024).optional(),
  code: z.string().min(1).max(64).optional(),
});

/** `POST step-up`, and its page. */
export function stepUpRouter(stepUp: StepUp, http: HttpKit, options: RouterOptions = {}): Router {
  const router = Router();
  const { views, config } = http;
  const path = `${config.paths.auth}/step-up`;
  const pages =
    options.pages === false
      ? null
      : views.form(
          'auth/step-up',
          async (req) => ({ methods: await stepUp.methodsOf(holderOf(req).userId) }),
          {
            texts: { invalid_credentials: 'invalid_code' },
          },
        );
  if (pages !== null) {
    views.sendTo('recent_login_required', path);
    views.sendTo('second_factor_required', path);
  }

  const route = router.route('/step-up').all(...http.prepare);
  if (pages !== null) {
    route.get(
      handle(async (req, res, next) => {
        const methods = await stepUp.methodsOf(holderOf(req).userId);
        // Nothing to ask for: signing in again is the only proof there is.
        if (!methods.password && !methods.code && !methods.passkeys)
          return views.redirect(res, views.withReturnTo(`${config.paths.auth}/login`, views.returnTo(req)));
        return pages.show(req, res, next);
      }),
    );
  }
  route.post(
    pages === null ? jsonBody() : views.formOrJson(),
    handle(async (req, res) => {
      const holder = holderOf(req);
      const actor = { ...authOf(req).actor, ...holder };
      const { fingerprint } = await http.signInOptions(req);
      const input = validate(stepUpBody, req.body);
      const elevated = await stepUp.stepUp(holder, input, actor, {
        ...(fingerprint !== undefined && { fingerprint }),
      });
      http.writeSession(res, elevated);
      const { session } = elevated;
      views.answer(req, res, {
        json: { session: { authenticatedAt: session.authenticatedAt, amr: session.amr } },
        redirectTo: views.returnTo(req) ?? '/',
      });
    }),
    ...(pages === null ? [] : [pages.problem]),
  );
  route.all((_req, _res, next) => next(new AuthTunaError('method_not_allowed', { allow: ['GET', 'POST'] })));
  router.use(http.errorHandler);
  return router;
}

/** Whose session is to be raised; one that waits for a step-up counts here. */
function holderOf(req: Request): { userId: string; sessionId: string } {
  const auth = authOf(req);
  const session = auth.session ?? auth.locked?.session ?? null;
  if (session === null) throw auth.refusal;
  if (session.impersonatorId !== null) throw new AuthTunaError('forbidden');
  return { userId: session.userId, sessionId: session.id };
}
