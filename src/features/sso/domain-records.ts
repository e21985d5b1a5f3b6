import { resolveTxt } from 'node:dns/promises';
import { SYSTEM } from '../../actor.js';
import { notEnded } from '../../core/access/lists.js';
import type { Mail } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import type { Job } from '../../core/instances/jobs.js';
import { isMissing } from '../../db/client.js';
import { after, inTime } from '../../time.js';
import { type DomainRow, toDomain } from './connection.js';

const DNS_LIMIT_MS = 5000;
const EVERY_SECONDS = 86_400;
const OUTAGE_SECONDS = 7 * 86_400; // a zone that gives no answer for a week is not looked after
const MAX_OWNERS = 20; // more people than that do not run one organization's sign-in
const BATCH = 100;
/** The permission of owners of an organization that its administrators lack. */
export const OWNER_PERMISSION = 'org:delete';

/** What a look at DNS comes to: the values of the record, or null while no server answers. */
export type Published = readonly string[] | null;

/**
 * The TXT records that prove domains: looking them up, and letting a proof lapse whose record is gone.
 *
 * A domain changes hands without telling anybody here. Its new owner's people must not be led to the former owner's provider, so the record
 * is looked at again every day, and before somebody enters by it for the first time.
 */
export class DomainRecords {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The values of a TXT record: empty where there is none, null while no answer comes, which says nothing about the record. */
  async lookUp(name: string): Promise<Published> {
    const ask = this.#core.config.social.resolveTxt ?? resolveTxt;
    try {
      // A long value is cut into pieces of 255 bytes.
      return (await inTime('DNS', DNS_LIMIT_MS, () => ask(name))).map((pieces) => pieces.join(''));
    } catch (error) {
      const { code = '', message = '' } = error as { code?: string; message?: string };
      return /ENOTFOUND|ENODATA/.test(`${code} ${message}`) ? [] : null;
    }
  }

  /** Whether a proved domain still is. One whose record is gone lapses here. */
  async isStillProved(row: DomainRow): Promise<boolean> {
    const { record } = toDomain(row);
    const published = await this.lookUp(record.name);
    const now = this.#core.now();
    const key = { connectionId_domain: { connectionId: row.connectionId, domain: row.domain } };
    if (published?.includes(record.value) === true) {
      await this.#core.db.ssoDomain.updateMany({
        where: { connectionId: row.connectionId, domain: row.domain, verifiedDomain: row.domain },
        data: { checkedAt: now },
      });
      return true;
    }
    const seenAt = row.checkedAt ?? row.verifiedAt ?? row.createdAt;
    if (published === null && after(seenAt, OUTAGE_SECONDS) > now) return true;
    await this.#lapse(row, key, published === null ? 'no_answer' : 'record_gone');
    return false;
  }

  /** Looks at every proved domain once a day. */
  get job(): Job {
    return {
      name: 'sso.domains',
      everySeconds: EVERY_SECONDS,
      run: async (signal) => {
        let [checked, lapsed] = [0, 0];
        for (let last = ''; !signal.aborted; ) {
          const rows = await this.#core.db.ssoDomain.findMany({
            where: { verifiedDomain: { gt: last } },
            orderBy: { verifiedDomain: 'asc' },
            take: BATCH,
          });
          for (const row of rows) {
            if (signal.aborted) break;
            checked += 1;
            if (!(await this.isStillProved(row))) lapsed += 1;
          }
          last = rows.at(-1)?.verifiedDomain ?? '';
          if (rows.length < BATCH) break;
        }
        return `looked at ${checked} domains, ${lapsed} of which are proved no more`;
      },
    };
  }

  /** The domain is no organization's any more; its people keep their accounts, and the organization's owners are told. */
  async #lapse(
    row: DomainRow,
    key: { connectionId_domain: { connectionId: string; domain: string } },
    reason: 'record_gone' | 'no_answer',
  ): Promise<void> {
    const { db, ledger, config } = this.#core;
    const connection = await db.ssoConnection.findUnique({ where: { id: row.connectionId } });
    if (connection === null) return;
    const mails = await this.#mailsToOwners(connection.scope, row.domain);
    try {
      await ledger.commit({
        writes: [
          db.ssoDomain.update({
            where: { ...key, verifiedDomain: row.domain, checkedAt: row.checkedAt },
            data: { verifiedDomain: null, verifiedAt: null, checkedAt: null, required: false },
          }),
        ],
        facts: [
          {
            type: 'sso_domain.lapsed',
            actor: SYSTEM,
            reason,
            scope: connection.scope,
            target: { type: 'sso_connection', id: connection.id },
            data: { domain: row.domain },
          },
        ],
        mails,
      });
      config.logger.warn('The proof of a domain has lapsed.', { domain: row.domain, reason });
    } catch (error) {
      if (!isMissing(error)) throw error; // proved anew, removed, or found lapsed by another instance at the same moment
    }
  }

  async #mailsToOwners(scope: string, domain: string): Promise<Mail[]> {
    const { db, roleStore, config } = this.#core;
    const catalog = await roleStore.current();
    const roleIds = catalog
      .visibleAt([scope])
      .filter((role) => catalog.setOf([role.id]).allows(OWNER_PERMISSION))
      .map(({ id }) => id);
    const owners = await db.user.findMany({
      where: {
        deletedAt: null,
        suspendedAt: null,
        assignments: { some: { scope, roleId: { in: roleIds }, ...notEnded(this.#core) } },
      },
      orderBy: { id: 'asc' },
      take: MAX_OWNERS,
    });
    return owners.map((owner) => ({
      template: 'sso-domain-lapsed',
      to: owner.email,
      languages: null,
      data: { name: owner.username, domain, link: config.baseUrl },
    }));
  }
}
