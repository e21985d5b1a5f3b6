import type { Actor } from '../../actor.js';
import type { ApiKey } from '../../auth.js';
import type { Core } from '../../core/core.js';
import { notBefore, PAGE_FIELDS, type Page, type PageQuery, pageOf } from '../../core/page.js';
import { requireKnownFields } from '../../core/refusals.js';
import { toApiKey, WITH_GRANTS } from './api-key.js';
import { type CreateKeyInput, createKey, type IssuedKey } from './creation.js';
import type { KeyFormat } from './format.js';
import { revokeKey, revokeLeakedKey } from './revocation.js';
import { type RotateKeyInput, rotateKey } from './rotation.js';
import type { KeyVerifier } from './verifier.js';

export type { CreateKeyInput, IssuedKey } from './creation.js';
export type { RotateKeyInput } from './rotation.js';

const ID_SHAPE = /^[0-9A-Za-z]{12}$/;

/**
 * API keys: credentials for programs, which act as the owner of the key and may do at most what the owner may do.
 *
 * A key with `grants` has those roles at those scopes and nothing else; each is bound to an assignment of its owner and goes with it. A key
 * without has everything of its owner's. Keys never open the routes of credentials, factors, keys, accounts and administration.
 */
export class ApiKeyManager {
  readonly #core: Core;
  readonly #format: KeyFormat;
  readonly #verifier: KeyVerifier;

  constructor(core: Core, format: KeyFormat, verifier: KeyVerifier) {
    this.#core = core;
    this.#format = format;
    this.#verifier = verifier;
  }

  /**
   * Makes a key. The actor must be the owner, `SYSTEM`, or a manager of the service account: a person who sees the key can act as its owner.
   *
   * @param input.kind default `secret`; `master` takes no grants, and an account has at most 5; `publishable` only names its owner and
   *   passes no guard; `test` is refused on https
   * @param input.grants roles that the owner holds at exactly these scopes; not given for everything that the owner may do
   * @param input.expiresInSeconds default 90 days, at most 366
   * @param input.allowedIps addresses and networks that it works from; none given for everywhere
   * @param input.rateLimit requests it may make; not given for any number
   * @returns the key and its text, which is not stored and never shown again
   * @throws AuthTunaError `invalid_input`; `forbidden` for another person's account or a role that the owner does not hold; `conflict` when
   *   the account has `apiKeys.maxPerUser` keys; `not_found`; `account_suspended`; `unauthenticated`
   */
  create(input: CreateKeyInput, actor: Actor): Promise<IssuedKey> {
    return createKey(this.#core, this.#format, input, actor);
  }

  /**
   * Checks the text of a key against the database, for keys that do not come over HTTP. Ignores its `allowedIps` and `rateLimit`.
   *
   * @returns null for everything that is not a key in force of an active user
   * @throws AuthTunaError `unavailable`
   */
  async verify(key: string): Promise<ApiKey | null> {
    const verified = await this.#verifier.verify(key, { latest: true });
    return verified?.apiKey ?? null;
  }

  /** The keys of a user, the newest first; those that have ended are among them for 30 days. @throws AuthTunaError `invalid_input` */
  async list(userId: string, query: PageQuery = {}): Promise<Page<ApiKey>> {
    requireKnownFields(query, PAGE_FIELDS);
    return pageOf(query, async ({ take, after }) => {
      const rows = await this.#core.db.apiKey.findMany({
        where: { userId },
        include: WITH_GRANTS,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take,
        ...(after !== null && { cursor: { id: after } }),
      });
      return rows.map(toApiKey);
    });
  }

  /** @internal The keys of all users, the newest first. @throws AuthTunaError `invalid_input` */
  listAll(query: PageQuery = {}): Promise<Page<ApiKey>> {
    const { db } = this.#core;
    return pageOf(query, async ({ take, after }) => {
      const last = after === null ? undefined : await db.apiKey.findUnique({ where: { id: after } });
      const rows = await db.apiKey.findMany({
        where: notBefore('createdAt', last),
        include: WITH_GRANTS,
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        take,
      });
      return rows.map(toApiKey);
    });
  }

  /** @internal All keys of a user, for the export of personal data. */
  async ofUser(userId: string): Promise<ApiKey[]> {
    const rows = await this.#core.db.apiKey.findMany({
      where: { userId },
      include: WITH_GRANTS,
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    });
    return rows.map(toApiKey);
  }

  /** @internal Whether there is such a key and it is the user's. */
  async isOwn(id: string, userId: string): Promise<boolean> {
    if (!ID_SHAPE.test(id)) return false; // PostgreSQL fails on a NUL
    const row = await this.#core.db.apiKey.findUnique({ where: { id }, select: { userId: true } });
    return row?.userId === userId;
  }

  /**
   * Replaces the text of a key, which keeps its id, name and grants and starts its lifetime again. The old text works for
   * `overlapSeconds` more, so that programs can be changed one after the other.
   *
   * @param input.overlapSeconds at most 30 days; 0 ends the old text at once. Default a day, and 0 for a key that was sent in a URL
   * @throws AuthTunaError `not_found`, also for another person's key; `conflict` for one that has ended; `invalid_input`
   */
  rotate(id: string, input: RotateKeyInput, actor: Actor): Promise<IssuedKey> {
    return rotateKey(this.#core, this.#format, id, input, actor);
  }

  /**
   * Ends a key; one that has ended already is fine. Its owner may, and who holds `apikeys:manage` with a rank above the owner's.
   *
   * @throws AuthTunaError `not_found` when it is not there, or not the actor's to see; `forbidden` for a lower rank; `unauthenticated`
   */
  revoke(id: string, actor: Actor): Promise<void> {
    return revokeKey(this.#core, id, actor);
  }

  /**
   * Ends a key that was found where it should not be, on behalf of anybody who has its text, and mails its owner.
   *
   * @returns whether the text was a key in force
   */
  revokeLeaked(key: string, actor: Actor): Promise<boolean> {
    return revokeLeakedKey(this.#core, { format: this.#format, verifier: this.#verifier }, key, actor);
  }
}
