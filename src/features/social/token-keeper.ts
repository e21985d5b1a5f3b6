import type { Runtime } from '../../core/runtime.js';
import { AuthTunaError } from '../../errors.js';
import type { ProviderMetadata } from './id-token.js';
import type { SocialProvider } from './provider.js';
import { requestTokens, revokeToken, type TokenSet } from './token-endpoint.js';

/** Tokens as they lie encrypted beside an identity. */
export interface KeptTokens {
  accessToken: string;
  refreshToken: string | null;
  /** ISO 8601; null where the provider does not say. */
  expiresAt: string | null;
  scopes: string[];
}

interface Row {
  id: string;
  tokens: string | null;
}

const REFRESH_BEFORE_SECONDS = 60;

/** Keeps the tokens of providers whose host asked for it, and refreshes them when somebody needs one. */
export class TokenKeeper {
  readonly #runtime: Runtime;
  readonly #metadata: ProviderMetadata;
  /** One refresh at a time: with rotating refresh tokens the second would end what the first was given. */
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
    const endpoints = await this.#metadata.endpointsOf(provider);
    try {
      const tokens = await requestTokens(this.#runtime, provider, endpoints, {
        grant_type: 'refresh_token',
        refresh_token: kept.refreshToken,
      });
      const scopes = tokens.scopes.length === 0 ? kept.scopes : tokens.scopes;
      const sealed = this.seal(row, { ...tokens, scopes });
      await db.socialAccount.updateMany({
        where: { id: row.id, tokens: row.tokens },
        data: { tokens: sealed },
      });
      return this.open({ ...row, tokens: sealed }) ?? kept;
    } catch (error) {
      if (!(error instanceof AuthTunaError) || error.code !== 'invalid_token') throw error;
      // Another instance may have refreshed at the same moment; then its tokens are there now.
      const latest = await db.socialAccount.findUnique({ where: { id: row.id } });
      const other = latest === null || latest.tokens === row.tokens ? null : this.open(latest);
      if (other !== null && this.#isFresh(other)) return other;
      await db.socialAccount.updateMany({
        where: { id: row.id, tokens: row.tokens },
        data: { tokens: null },
      });
      throw withdrawn(provider);
    }
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
