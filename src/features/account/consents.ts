import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import { noUser, whenMissing } from '../../core/refusals.js';
import { requireSelf } from '../../core/users/own-account.js';
import { AuthTunaError } from '../../errors.js';

/** How a user stands to something of `privacy.consents`. */
export interface ConsentState {
  purpose: string;
  /** The version of today. */
  version: string;
  required: boolean;
  /** When the user agreed, to `givenVersion`; null where they did not, or took it back. */
  givenAt: Date | null;
  givenVersion: string | null;
}

/** A version that a user agreed to, and perhaps took back. */
export interface ConsentRecord {
  purpose: string;
  version: string;
  givenAt: Date;
  withdrawnAt: Date | null;
}

/** What people agreed to: one row for each purpose and version. */
export class Consents {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Everything that a user ever agreed to, the latest first. */
  async records(userId: string): Promise<ConsentRecord[]> {
    const rows = await this.#core.db.consent.findMany({
      where: { userId },
      orderBy: [{ givenAt: 'desc' }, { purpose: 'asc' }],
    });
    return rows.map(({ userId: _own, ...record }) => record);
  }

  /** {@link AccountManager.consents} */
  async of(userId: string): Promise<ConsentState[]> {
    const records = await this.records(userId);
    return Object.entries(this.#core.config.privacy.consents).map(([purpose, { version, required }]) => {
      const inForce = records.filter((record) => record.purpose === purpose && record.withdrawnAt === null);
      const latest = inForce.find((record) => record.version === version) ?? inForce[0] ?? null;
      const [givenAt, givenVersion] = [latest?.givenAt ?? null, latest?.version ?? null];
      return { purpose, version, required, givenAt, givenVersion };
    });
  }

  /** {@link AccountManager.giveConsent} */
  async give(userId: string, purpose: string, actor: Actor): Promise<void> {
    requireSelf(userId, actor);
    const { db, ledger, users } = this.#core;
    const { version } = this.#declared(purpose);
    if ((await users.find(userId)) === null) throw noUser();
    const key = { userId, purpose, version };
    const known = await db.consent.findUnique({ where: { userId_purpose_version: key } });
    if (known !== null && known.withdrawnAt === null) return;
    const givenAt = this.#core.now();
    await ledger.commit({
      writes: [
        db.consent.upsert({
          where: { userId_purpose_version: key },
          create: { ...key, givenAt },
          update: { givenAt, withdrawnAt: null },
        }),
      ],
      facts: [
        {
          type: 'consent.given',
          actor,
          target: { type: 'user', id: userId },
          data: { purpose, version },
        },
      ],
    });
  }

  /** {@link AccountManager.withdrawConsent} */
  async withdraw(userId: string, purpose: string, actor: Actor): Promise<void> {
    requireSelf(userId, actor);
    const { db, ledger } = this.#core;
    if (this.#declared(purpose).required)
      throw new AuthTunaError('conflict', { message: 'An account needs this. Delete the account instead.' });
    const inForce = await db.consent.findMany({ where: { userId, purpose, withdrawnAt: null } });
    if (inForce.length === 0) return;
    await ledger
      .commit({
        writes: inForce.map(({ version }) =>
          db.consent.update({
            where: { userId_purpose_version: { userId, purpose, version }, withdrawnAt: null },
            data: { withdrawnAt: this.#core.now() },
          }),
        ),
        facts: [
          {
            type: 'consent.withdrawn',
            actor,
            target: { type: 'user', id: userId },
            data: { purpose, versions: inForce.map(({ version }) => version) },
          },
        ],
      })
      .catch(
        whenMissing(
          () => new AuthTunaError('conflict', { message: 'It changed at the same moment. Try again.' }),
        ),
      );
  }

  #declared(purpose: string): { version: string; required: boolean } {
    const { consents } = this.#core.config.privacy;
    const declared = Object.hasOwn(consents, purpose) ? consents[purpose] : undefined;
    if (declared === undefined)
      throw new AuthTunaError('not_found', { message: 'There is nothing of this name to agree to.' });
    return declared;
  }
}
