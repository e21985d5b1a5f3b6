import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import { canonicalDomain } from '../../core/identifiers.js';
import { invalid } from '../../core/refusals.js';
import { AuthTunaError } from '../../errors.js';
import {
  type ConnectionRow,
  commitToConnection,
  type DomainRow,
  domainTaken,
  managedConnection,
  type SsoDomain,
  toDomain,
} from './connection.js';
import type { DomainRecords } from './domain-records.js';

const CHALLENGE_BYTES = 20; // 160 bits: no zone holds such a value by chance

/** The e-mail domains of connections, and their proof by DNS. */
export class SsoDomains {
  readonly #core: Core;
  readonly #records: DomainRecords;

  constructor(core: Core, records: DomainRecords) {
    this.#core = core;
    this.#records = records;
  }

  /** {@link SsoConnectionManager.addDomain} */
  async add(id: string, name: string, actor: Actor): Promise<SsoDomain> {
    const row = await managedConnection(this.#core, id, actor);
    const domain = canonicalDomain(name);
    if (domain === null) throw invalid('domain', 'invalid_format', 'must be a domain such as example.com');
    const challenge = this.#core.config.random.bytes(CHALLENGE_BYTES).toString('base64url');
    const created = {
      connectionId: id,
      domain,
      challenge,
      verifiedDomain: null,
      verifiedAt: null,
      checkedAt: null,
      required: false,
      createdAt: this.#core.now(),
    };
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_domain.added',
      writes: [this.#core.db.ssoDomain.create({ data: created })],
      data: {
        domain,
      },
    });
    return toDomain(created);
  }

  /** {@link SsoConnectionManager.verifyDomain} */
  async verify(id: string, name: string, actor: Actor): Promise<SsoDomain> {
    const { row, domain } = await this.#domain(id, name, actor);
    const { record } = toDomain(domain);
    const published = (await this.#records.lookUp(record.name)) ?? [];
    if (!published.includes(record.value))
      throw new AuthTunaError('conflict', {
        message: `The TXT record ${record.name} does not hold ${record.value} yet. A new record can take an hour to be seen.`,
        reason: 'record_not_found',
      });
    const now = this.#core.now();
    const verified = { verifiedDomain: domain.domain, verifiedAt: now, checkedAt: now };
    const holder = await this.#core.db.ssoDomain.findUnique({
      where: { verifiedDomain: domain.domain },
      include: { connection: { select: { scope: true } } },
    });
    const former = holder === null || holder.connectionId === id ? null : holder;
    if (former !== null && published.includes(toDomain(former).record.value)) throw domainTaken();
    const { ssoDomain } = this.#core.db;
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_domain.verified',
      writes: [
        ...(former === null
          ? []
          : [
              ssoDomain.update({
                where: { ...keyOf(former), verifiedDomain: former.domain },
                data: { verifiedDomain: null, verifiedAt: null, checkedAt: null, required: false },
              }),
            ]),
        ssoDomain.update({ where: keyOf(domain), data: verified }),
      ],
      data: { domain: domain.domain },
      further:
        former === null
          ? []
          : [
              {
                type: 'sso_domain.removed',
                actor,
                scope: former.connection.scope,
                target: { type: 'sso_connection', id: former.connectionId },
                reason: 'proved_by_another',
                data: { domain: domain.domain },
              },
            ],
    });
    return toDomain({ ...domain, ...verified });
  }

  /** {@link SsoConnectionManager.requireSso} */
  async requireSso(id: string, name: string, required: boolean, actor: Actor): Promise<SsoDomain> {
    const { row, domain } = await this.#domain(id, name, actor);
    if (required && domain.verifiedDomain === null)
      throw new AuthTunaError('conflict', { message: 'Prove the domain first.' });
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_domain.updated',
      writes: [this.#core.db.ssoDomain.update({ where: keyOf(domain), data: { required } })],
      data: { domain: domain.domain, required },
    });
    return toDomain({ ...domain, required });
  }

  /** {@link SsoConnectionManager.removeDomain} */
  async remove(id: string, name: string, actor: Actor): Promise<void> {
    const { row, domain } = await this.#domain(id, name, actor);
    await commitToConnection(this.#core, row, actor, {
      type: 'sso_domain.removed',
      writes: [this.#core.db.ssoDomain.delete({ where: keyOf(domain) })],
      data: { domain: domain.domain },
    });
  }

  async #domain(id: string, name: string, actor: Actor): Promise<{ row: ConnectionRow; domain: DomainRow }> {
    const row = await managedConnection(this.#core, id, actor);
    const domain = row.domains.find((entry) => entry.domain === canonicalDomain(name));
    if (domain === undefined)
      throw new AuthTunaError('not_found', { message: 'The connection has no such domain.' });
    return { row, domain };
  }
}

function keyOf({ connectionId, domain }: DomainRow) {
  return { connectionId_domain: { connectionId, domain } };
}
