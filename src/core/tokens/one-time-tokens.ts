import { equalInConstantTime, sha256 } from '../../crypto/digest.js';
import { issueSplitToken, parseSplitToken } from '../../crypto/split-token.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import type { Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';

export interface TokenInput {
  /** What it is for. A token of one purpose is nothing for another. */
  purpose: string;
  /** A user's id, or a keyed digest of an address that has no user yet. */
  subject: string;
  lifetimeSeconds: number;
  /** What it allows, for example the new address. */
  data?: Readonly<Record<string, unknown>>;
  /** What must still be as it was when the token is spent: password hash, address. Changing it kills the token. */
  dependsOn?: string;
  /** A value only the asking browser has. */
  browser?: string;
  /** Whether older ones of the same purpose and subject go on beside it. Default: they end. */
  keepsOthers?: boolean;
}

/** A token that was looked at and found good. Spending it is a write for the batch of what it allows. */
export interface LiveToken {
  id: string;
  subject: string;
  data: Readonly<Record<string, unknown>>;
  /** Misses, and so undoes the batch, when somebody else spent the token first. */
  spend: Write;
}

/**
 * Tokens that work once: in mails, half-finished sign-ins, ceremonies.
 *
 * Spending is a conditional write inside the batch of its effect, so of any number of racing consumers one wins and nothing is half done.
 * @see ASVS 5.0 6.5.1, 6.5.2; docs/requirements.md EM-1 to EM-3, EM-6
 */
export class OneTimeTokens {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** A new token and the writes that store it; older ones of the same purpose and subject die with it, unless they are to be kept. */
  issue(input: TokenInput): { token: string; id: string; writes: Write[] } {
    const { db, config } = this.#runtime;
    const { token, id, secretHash } = issueSplitToken(config.random);
    const now = this.#runtime.now();
    const { purpose, subject } = input;
    return {
      token,
      id,
      writes: [
        ...(input.keepsOthers === true ? [] : [this.revokeAll(subject, [purpose])]),
        db.oneTimeToken.create({
          data: {
            id,
            purpose,
            subject,
            secretHash,
            data: JSON.stringify(input.data ?? {}),
            stateDigest: input.dependsOn === undefined ? null : sha256(input.dependsOn),
            browserHash: input.browser === undefined ? null : sha256(input.browser),
            createdAt: now,
            expiresAt: after(now, input.lifetimeSeconds),
          },
        }),
      ],
    };
  }

  /**
   * Looks at a token without spending it.
   *
   * @param dependsOn the present state, given the token's subject; undefined where the purpose depends on none
   * @throws AuthTunaError `invalid_token` when it is unknown, spent, expired, of another purpose or browser, or its state has changed
   */
  async peek(
    token: string,
    purpose: string,
    options: { browser?: string; dependsOn?: (subject: string) => Promise<string | null> } = {},
  ): Promise<LiveToken> {
    const parsed = parseSplitToken(token);
    if (parsed === null) throw new AuthTunaError('invalid_token');
    const now = this.#runtime.now();
    const row = await this.#runtime.db.oneTimeToken.findUnique({ where: { id: parsed.id } });
    const isKnown =
      row !== null && row.purpose === purpose && equalInConstantTime(parsed.secretHash, row.secretHash);
    if (!isKnown) throw new AuthTunaError('invalid_token');
    // The holder of the secret may know what became of it.
    if (row.usedAt !== null) throw new AuthTunaError('invalid_token', { reason: 'used' });
    if (row.expiresAt <= now) throw new AuthTunaError('invalid_token', { reason: 'expired' });
    if (
      row.browserHash !== null &&
      (options.browser === undefined || !equalInConstantTime(sha256(options.browser), row.browserHash))
    ) {
      throw new AuthTunaError('invalid_token', { reason: 'other_browser' });
    }
    if (row.stateDigest !== null) {
      const state = (await options.dependsOn?.(row.subject)) ?? null;
      if (state === null || sha256(state) !== row.stateDigest) throw new AuthTunaError('invalid_token');
    }
    return {
      id: row.id,
      subject: row.subject,
      data: JSON.parse(row.data ?? '{}') as Record<string, unknown>,
      spend: this.#runtime.db.oneTimeToken.update({
        where: { id: row.id, purpose, secretHash: parsed.secretHash, usedAt: null, expiresAt: { gt: now } },
        data: { usedAt: now },
      }),
    };
  }

  /**
   * What a token was for, whatever became of it; null for a wrong secret or another purpose. For pages that say what happened: it allows
   * nothing.
   */
  async recall(
    token: string,
    purpose: string,
  ): Promise<{
    subject: string;
    data: Readonly<Record<string, unknown>>;
    browserHash: string | null;
  } | null> {
    const parsed = parseSplitToken(token);
    const row =
      parsed === null ? null : await this.#runtime.db.oneTimeToken.findUnique({ where: { id: parsed.id } });
    if (parsed === null || row === null || row.purpose !== purpose) return null;
    if (!equalInConstantTime(parsed.secretHash, row.secretHash)) return null;
    const data = JSON.parse(row.data ?? '{}') as Record<string, unknown>;
    return { subject: row.subject, data, browserHash: row.browserHash };
  }

  /** Why a batch with `spend` missed: somebody else spent the token, or what it was to change had changed. */
  async missed(live: LiveToken): Promise<AuthTunaError> {
    const row = await this.#runtime.db.oneTimeToken.findUnique({ where: { id: live.id } });
    return new AuthTunaError(row?.usedAt === null ? 'conflict' : 'invalid_token');
  }

  /**
   * The subject of a link that undoes a change of address. Not the user's id alone: a thief of the account must not be able to end the owner's way
   * back by changing the password, or the address once more.
   */
  undoSubject(user: { id: string; email: string }): string {
    return undoSubjects(user.id) + this.#runtime.keys.lookup(`undo ${user.email}`);
  }

  /** The write that ends a user's links back to former addresses: all, or those that were made since a moment. */
  revokeUndos(userId: string, since?: Date): Write {
    return this.#runtime.db.oneTimeToken.updateMany({
      where: {
        purpose: 'undo_email_change',
        subject: { startsWith: undoSubjects(userId) },
        usedAt: null,
        ...(since !== undefined && { createdAt: { gte: since } }),
      },
      data: { usedAt: this.#runtime.now() },
    });
  }

  /** The writes that delete every token of a user, spent or not, under each form of subject that names the user. */
  removeAllOf(userId: string): Write[] {
    const { db } = this.#runtime;
    return [
      db.oneTimeToken.deleteMany({ where: { subject: { in: [userId, holdSubject(userId)] } } }),
      db.oneTimeToken.deleteMany({
        where: { purpose: 'undo_email_change', subject: { startsWith: undoSubjects(userId) } },
      }),
    ];
  }

  /** The write that ends every live token of a subject, of all purposes or of some. */
  revokeAll(subject: string, purposes?: readonly string[]): Write {
    return this.#runtime.db.oneTimeToken.updateMany({
      where: { subject, usedAt: null, ...(purposes !== undefined && { purpose: { in: [...purposes] } }) },
      data: { usedAt: this.#runtime.now() },
    });
  }
}

function undoSubjects(userId: string): string {
  return `undo ${userId} `;
}

/** Whose a link is that stops the removal of factors after an address was given back. A reset of the password by the former mailbox ends all other links. */
export function holdSubject(userId: string): string {
  return `hold ${userId}`;
}
