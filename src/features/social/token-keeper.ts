import { setTimeout } from 'node:timers/promises';
import type { SealedColumn } from '../../core/changes/reseal.js';
import type { Runtime } from '../../core/runtime.js';
import { AuthTunaError } from '../../errors.js';
import type { ProviderMetadata } from '../../oauth-client/metadata.js';
import type { SocialProvider } from '../../oauth-client/provider.js';
import { requestTokens, revokeToken, type TokenSet } from '../../oauth-client/token-endpoint.js';

/** Tokens as they lie encrypted beside an identity. */
export interface KeptTokens {
  accessToken: string;
  refreshToken: string | null;
  /** ISO 8601; null where the provider does not say. */
  expiresAt: string | null;
  scopes: string[];
  /** Until when, in ms, one process alone refreshes them. */
  claimedUntil?: number;
}

interface Row {
  id: string;
  tokens: string | null;
}

const REFRESH_BEFORE_SECONDS = 60;
const CLAIM_SECONDS = 20; // longer than discovery and exchange may take, 5 s each
const CLAIM_WAIT_MS = 100;
const CLAIM_ROUNDS = 120;

/** Keeps the tokens of providers whose host asked for it, and refreshes them when somebody needs one. */
export class TokenKeeper {
  readonly #runtime: Runtime;
  readonly #metadata: ProviderMetadata;
  /** Callers of one process share a refresh. */
  readonly #underWay = new Map<string, Promise<KeptTokens>>();

  constructor(runtime: Runtime, metadata: ProviderMetadata) {
    this.#runtime = runtime;
    this.#metadata = metadata;
  }

  /** What is stored; a refresh token that was not given again goes on. */
  seal(row: Row, tokens: TokenSet): string {
    const kept: KeptTokens = {
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken ?? this.open(row)?.refreshToken ?? null,
      expiresAt: tokens.expiresAt?.toISOString() ?? null,
      scopes: tokens.scopes,
    };
    return this.#runtime.vault.seal(JSON.stringify(kept), placeOf(row));
  }

  open(row: Row): KeptTokens | null {
    const json = row.tokens === null ? null : this.#runtime.vault.open(row.tokens, placeOf(row));
    return json === null ? null : (JSON.parse(json) as KeptTokens);
  }

  /** @throws AuthTunaError `not_found`, `invalid_token`, `unavailable` */
  async current(
    userId: string,
    provider: SocialProvider,
  ): Promise<{ accessToken: string; expiresAt: Date | null; scopes: string[] }> {
    const row = await this.#runtime.db.socialAccount.findUnique({
      where: { userId_provider: { userId, provider: provider.id }, user: { deletedAt: null } },
    });
    const kept = row === null ? null : this.open(row);
    if (row === null || kept === null)
      throw new AuthTunaError('not_found', { message: `No tokens of ${provider.name} are kept.` });
    return shown(this.#isFresh(kept) ? kept : await this.#refreshOnce(row, kept, provider));
  }

  async revoke(provider: SocialProvider, kept: KeptTokens): Promise<void> {
    const endpoints = await this.#metadata.endpointsOf(provider).catch(() => null);
    if (endpoints !== null) await revokeToken(this.#runtime, provider, endpoints, kept);
  }

  #isFresh({ expiresAt }: KeptTokens): boolean {
    return (
      expiresAt === null ||
      new Date(expiresAt).getTime() - this.#runtime.now().getTime() > REFRESH_BEFORE_SECONDS * 1000
    );
  }

  #refreshOnce(row: Row, kept: KeptTokens, provider: SocialProvider): Promise<KeptTokens> {
    const present = this.#underWay.get(row.id);
    if (present !== undefined) return present;
    const refresh = this.#refresh(row, kept, provider).finally(() => this.#underWay.delete(row.id));
    this.#underWay.set(row.id, refresh);
    return refresh;
  }

  async #refresh(row: Row, kept: KeptTokens, provider: SocialProvider): Promise<KeptTokens> {
    const { db } = this.#runtime;
    if (kept.refreshToken === null) throw withdrawn(provider);
    const { claimed, latest } = await this.#claim(row, kept);
    if (claimed === null) {
      if (latest !== null && this.#isFresh(latest)) return latest;
      throw latest === null
        ? withdrawn(provider)
        : new AuthTunaError('unavailable', { retryAfterSeconds: 5 });
    }
    const store = (tokens: string | null) =>
      db.socialAccount.updateMany({ where: { id: row.id, tokens: claimed }, data: { tokens } });
    try {
      const endpoints = await this.#metadata.endpointsOf(provider);
      const tokens = await requestTokens(this.#runtime, provider, endpoints, {
        grant_type: 'refresh_token',
        refresh_token: kept.refreshToken,
      });
      const scopes = tokens.scopes.length === 0 ? kept.scopes : tokens.scopes;
      const sealed = this.seal({ ...row, tokens: claimed }, { ...tokens, scopes });
      const refreshed = this.open({ ...row, tokens: sealed }) ?? kept;
      const { count } = await store(sealed);
      if (count === 0 && (await db.socialAccount.findUnique({ where: { id: row.id } })) === null) {
        await this.revoke(provider, refreshed); // unlinked meanwhile, with the tokens from before
        throw withdrawn(provider);
      }
      return refreshed;
    } catch (error) {
      const isRefused = error instanceof AuthTunaError && error.code === 'invalid_token';
      await store(isRefused ? null : row.tokens);
      throw isRefused ? withdrawn(provider) : error;
    }
  }

  /**
   * Makes one process of all the one that refreshes: a provider that rotates refresh tokens takes the second use of one for a theft and ends
   * what the first was given.
   *
   * @returns the row's tokens as they were claimed, or null and what the other process has got; null also when there is nothing any more
   */
  async #claim(row: Row, kept: KeptTokens): Promise<{ claimed: string | null; latest: KeptTokens | null }> {
    const { db } = this.#runtime;
    let seen = { ...row, kept };
    for (let round = 0; round < CLAIM_ROUNDS; round += 1) {
      const now = this.#runtime.now().getTime();
      if ((seen.kept.claimedUntil ?? 0) <= now) {
        const claim = { ...seen.kept, claimedUntil: now + CLAIM_SECONDS * 1000 };
        const claimed = this.#runtime.vault.seal(JSON.stringify(claim), placeOf(row));
        const { count } = await db.socialAccount.updateMany({
          where: { id: row.id, tokens: seen.tokens },
          data: { tokens: claimed },
        });
        if (count === 1) return { claimed, latest: null };
      } else await setTimeout(CLAIM_WAIT_MS);
      const latest = await db.socialAccount.findUnique({ where: { id: row.id } });
      const opened = latest === null ? null : this.open(latest);
      if (latest === null || opened === null) return { claimed: null, latest: null };
      if (this.#isFresh(opened)) return { claimed: null, latest: opened };
      // Signed in again meanwhile, with another refresh token: the caller begins anew.
      if (opened.refreshToken !== kept.refreshToken) return { claimed: null, latest: opened };
      seen = { ...latest, kept: opened };
    }
    return { claimed: null, latest: seen.kept };
  }
}

function shown({ accessToken, expiresAt, scopes }: KeptTokens) {
  return { accessToken, expiresAt: expiresAt === null ? null : new Date(expiresAt), scopes };
}

function placeOf({ id }: { id: string }): string[] {
  return ['SocialAccount', 'tokens', id];
}

function withdrawn(provider: SocialProvider): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: `${provider.name} asks the person to sign in there again.`,
    reason: 'provider_tokens_withdrawn',
  });
}

/** The tokens of providers that the host asked to keep. */
export const SEALED_TOKENS: SealedColumn = {
  model: 'socialAccount',
  column: 'tokens',
  name: 'provider tokens',
  place: (id) => placeOf({ id }),
};
