import { type Actor, isSystem } from '../../actor.js';
import type { Core } from '../../core/core.js';
import type { BearerTerms } from '../../core/sessions/session-writes.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import { validate } from '../../core/validate.js';
import { AuthTunaError } from '../../errors.js';
import type { AccessTokens } from './access-token.js';
import type { ProvedKey } from './dpop.js';
import { type FamilyRow, RefreshFamilies, type TokenHolder } from './families.js';
import { DEVICE_GRANT, FIRST_PARTY, issueInput, SECOND_FACTOR_GRANT, type TokenRequest } from './schemas.js';

/** The answer of the token endpoint, with the names of RFC 6749 section 5.1. */
export interface TokenResponse {
  access_token: string;
  refresh_token: string;
  /** `DPoP` for tokens that are bound to a key of the client. */
  token_type: 'Bearer' | 'DPoP';
  /** Seconds until the access token ends. */
  expires_in: number;
  /** What the tokens are limited to; absent for everything that the user may do. */
  scope?: string;
}

/** The answer of the introspection endpoint, with the names of RFC 7662 section 2.2. */
export type Introspection =
  | { active: false }
  | {
      active: true;
      sub: string;
      sid: string;
      client_id: string;
      token_type: 'Bearer' | 'DPoP' | 'refresh_token';
      /** Seconds. */
      exp: number;
      iat: number;
      iss: string;
      aud: string;
      scope?: string;
      jti?: string;
      /** The key to which the tokens are bound (RFC 7800, RFC 9449 section 6.2). */
      cnf?: { jkt: string };
    };

/** The ways to prove who one is that the token endpoint offers; they belong to other features. */
export interface TokenSignIns {
  byPassword(
    input: { login: string; password: string },
    actor: Actor,
    options: SignInOptions,
  ): Promise<SignInResult>;
  bySecondFactor(
    pendingToken: string,
    code: string,
    actor: Actor,
    options: SignInOptions,
  ): Promise<SignInResult>;
  /** The terms are those that the person approved. */
  byDevice(
    input: { deviceCode: string; clientId: string; boundKey: string | null },
    actor: Actor,
    options: SignInOptions,
  ): Promise<{ result: SignInResult; terms: BearerTerms }>;
}

/**
 * Access and refresh tokens for apps and programs that keep no cookies.
 *
 * Behind the tokens of one sign-in is one session of the kind `bearer`: it is listed and ended like any other, and every access token is
 * checked against it.
 * @see RFC 6749, 7009, 7662, 9068, 9700; docs/requirements.md RT-1 to RT-4
 */
export class BearerManager {
  readonly #core: Core;
  readonly #tokens: AccessTokens;
  readonly #families: RefreshFamilies;
  readonly #signIns: TokenSignIns;

  constructor(core: Core, tokens: AccessTokens, signIns: TokenSignIns) {
    this.#core = core;
    this.#tokens = tokens;
    this.#families = new RefreshFamilies(core);
    this.#signIns = signIns;
  }

  /**
   * Makes tokens for a user without asking for anything: for scripts and tests. An actor other than `SYSTEM` is refused.
   *
   * @param input.amr how the user proved who they are, RFC 8176 values
   * @param input.scope permissions and patterns to which the tokens are limited, separated by spaces
   * @throws AuthTunaError `invalid_input`, `not_found`, `account_suspended`, `forbidden`; `conflict` where `bearer.dpop` is `required`
   */
  async issue(
    userId: string,
    input: { amr: readonly string[]; scope?: string },
    actor: Actor,
  ): Promise<TokenResponse> {
    const { amr, scope = null } = validate(issueInput, input);
    if (!isSystem(actor)) throw new AuthTunaError('forbidden');
    if (this.#core.config.bearer.dpop === 'required')
      throw new AuthTunaError('conflict', {
        message: "bearer.dpop is 'required', and these tokens would be bound to no key.",
      });
    const bearer = { clientId: FIRST_PARTY, scope, boundKey: null };
    const { session, token } = await this.#core.sessions.create(userId, amr, actor, { bearer });
    return this.#respond({ id: session.id, userId, absoluteExpiresAt: session.expiresAt }, bearer, token);
  }

  /**
   * @internal Answers a request to the token endpoint.
   *
   * @param key the key that the request proves to hold; null without a proof
   * @throws AuthTunaError what the sign-in throws; `second_factor_required`; `invalid_token`; `malformed_request` for a proof that was used
   */
  async grant(
    request: TokenRequest,
    key: ProvedKey | null,
    actor: Actor,
    options: SignInOptions,
  ): Promise<TokenResponse> {
    if (request.grant_type === 'refresh_token')
      return this.#refresh(request.refresh_token, { clientId: request.client_id, key }, actor);
    const withProof = key === null ? options : { ...options, beforeStoring: key.spend };
    const { result, terms } = await this.#signIn(request, key?.thumbprint ?? null, actor, withProof);
    if (result.status === 'second_factor_required')
      throw new AuthTunaError('second_factor_required', {
        error: 'mfa_required',
        pending_token: result.pendingToken,
        factors: result.factors,
      });
    const { session, token } = result;
    const row = { id: session.id, userId: session.userId, absoluteExpiresAt: session.expiresAt };
    return this.#respond(row, terms, token);
  }

  /** Asks the feature that the grant belongs to. */
  async #signIn(
    request: Exclude<TokenRequest, { grant_type: 'refresh_token' }>,
    boundKey: string | null,
    actor: Actor,
    options: SignInOptions,
  ): Promise<{ result: SignInResult; terms: BearerTerms }> {
    const clientId = request.client_id;
    if (request.grant_type === DEVICE_GRANT)
      return this.#signIns.byDevice({ deviceCode: request.device_code, clientId, boundKey }, actor, options);
    const terms: BearerTerms = { clientId, scope: request.scope ?? null, boundKey };
    const withTerms = { ...options, bearer: terms };
    const result =
      request.grant_type === SECOND_FACTOR_GRANT
        ? await this.#signIns.bySecondFactor(request.pending_token, request.code, actor, withTerms)
        : await this.#signIns.byPassword(
            { login: request.username, password: request.password },
            actor,
            withTerms,
          );
    return { result, terms };
  }

  /**
   * Exchanges a refresh token for a new pair. The replaced token gets the same successor until that is used, and for ten seconds more;
   * after that its use ends the family.
   *
   * @throws AuthTunaError `invalid_token` for one that is not ours, has ended, or was used already; `unavailable`
   */
  refresh(token: string, actor: Actor): Promise<TokenResponse> {
    return this.#refresh(token, { clientId: FIRST_PARTY, key: null }, actor);
  }

  async #refresh(token: string, holder: TokenHolder, actor: Actor): Promise<TokenResponse> {
    const { row, refreshToken } = await this.#families.renew(token, holder, actor);
    return this.#respond(row, termsOf(row), refreshToken);
  }

  /**
   * Ends the family of an access or refresh token: all its tokens. An access token that has expired ends it too. A token that is not ours, or
   * whose family has ended, is fine.
   *
   * @returns how many families ended: 1 or 0
   * @throws AuthTunaError `unavailable`
   * @see RFC 7009
   */
  async revoke(token: string, actor: Actor): Promise<number> {
    const row = await this.#familyOf(token);
    if (row === null) return 0;
    const isEnded = await this.#core.sessions.end(row.id, 'signed_out', {
      type: 'user.signed_out',
      actor: { ...actor, userId: row.userId, sessionId: row.id },
      target: { type: 'session', id: row.id },
    });
    return isEnded ? 1 : 0;
  }

  /**
   * Checks an access or refresh token against its row.
   *
   * @throws AuthTunaError `unavailable`
   * @see RFC 7662
   */
  async introspect(token: string): Promise<Introspection> {
    const { issuer, audience } = this.#core.config.bearer;
    const common = { iss: issuer, aud: audience };
    const claims = await this.#tokens.verify(token);
    if (claims !== null) {
      if (claims.boundKey === null && this.#core.config.bearer.dpop === 'required') return { active: false };
      const found = await this.#core.verifier.verifyBearer(claims, null, { latest: true });
      if ('refusal' in found) return { active: false };
      return {
        ...common,
        active: true,
        sub: claims.userId,
        sid: claims.sessionId,
        client_id: claims.clientId,
        token_type: claims.boundKey === null ? 'Bearer' : 'DPoP',
        ...(claims.boundKey !== null && { cnf: { jkt: claims.boundKey } }),
        exp: claims.expiresAt,
        iat: claims.issuedAt,
        jti: claims.tokenId,
        ...(claims.scope !== null && { scope: claims.scope }),
      };
    }
    const row = await this.#families.find(token);
    if (row === null || (row.boundKey === null && this.#core.config.bearer.dpop === 'required'))
      return { active: false };
    return {
      ...common,
      active: true,
      sub: row.userId,
      sid: row.id,
      client_id: row.clientId ?? FIRST_PARTY,
      token_type: 'refresh_token',
      ...(row.boundKey !== null && { cnf: { jkt: row.boundKey } }),
      exp: Math.floor(row.absoluteExpiresAt.getTime() / 1000),
      iat: Math.floor(row.rotatedAt.getTime() / 1000),
      ...(row.tokenScope !== null && { scope: row.tokenScope }),
    };
  }

  /** @internal The public keys of access tokens. */
  jwks(): ReturnType<AccessTokens['jwks']> {
    return this.#tokens.jwks();
  }

  /** The live session behind a token of either kind; null where there is none. */
  async #familyOf(token: string): Promise<{ id: string; userId: string } | null> {
    const claims = await this.#tokens.verify(token, { evenExpired: true });
    if (claims === null) return this.#families.find(token);
    const found = await this.#core.verifier.verifyBearer(claims, null, { latest: true });
    return 'refusal' in found ? null : { id: claims.sessionId, userId: claims.userId };
  }

  async #respond(
    session: { id: string; userId: string; absoluteExpiresAt: Date },
    terms: BearerTerms,
    refreshToken: string,
  ): Promise<TokenResponse> {
    const { token, expiresIn } = await this.#tokens.issue(
      { userId: session.userId, sessionId: session.id, ...terms },
      session.absoluteExpiresAt,
    );
    return {
      access_token: token,
      refresh_token: refreshToken,
      token_type: terms.boundKey === null ? 'Bearer' : 'DPoP',
      expires_in: expiresIn,
      ...(terms.scope !== null && { scope: terms.scope }),
    };
  }
}

function termsOf(row: FamilyRow): BearerTerms {
  return { clientId: row.clientId ?? FIRST_PARTY, scope: row.tokenScope, boundKey: row.boundKey };
}
