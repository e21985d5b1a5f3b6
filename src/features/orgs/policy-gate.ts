import type { Core } from '../../core/core.js';
import { domainOf } from '../../core/identifiers.js';
import type { GateVerdict, SignInGate } from '../../core/sign-in/sign-in.js';
import type { UserRow } from '../../core/user.js';
import { AuthTunaError } from '../../errors.js';
import { wordsOf } from './organization.js';

/** What organizations demand of their members when they sign in, and when they take another address. */
export class OrgPolicyGate implements SignInGate {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The shortest session that one of the user's organizations allows. */
  async admit(user: UserRow): Promise<GateVerdict> {
    const orgs = await this.#orgsOf(user.id, { sessionMaxSeconds: { not: null } });
    const limits = orgs.flatMap(({ sessionMaxSeconds }) => sessionMaxSeconds ?? []);
    return limits.length === 0 ? {} : { sessionMaxSeconds: Math.min(...limits) };
  }

  /** Keeps members at addresses of the domains that their organizations allow. @throws AuthTunaError `forbidden` */
  async requireMayTake(newEmail: string, user: UserRow): Promise<void> {
    const orgs = await this.#orgsOf(user.id, { allowedEmailDomains: { not: '' } });
    const domain = domainOf(newEmail) ?? '';
    const refusing = orgs.find(({ allowedEmailDomains }) => !wordsOf(allowedEmailDomains).includes(domain));
    if (refusing !== undefined)
      throw new AuthTunaError('forbidden', {
        message: `Members of ${refusing.name} need an address of ${refusing.allowedEmailDomains.replaceAll(' ', ', ')}.`,
      });
  }

  /** The organizations with such a policy in which the user holds a role. */
  async #orgsOf(userId: string, condition: object) {
    const { db, access } = this.#core;
    if ((await db.organization.findFirst({ where: condition, select: { id: true } })) === null) return [];
    const grants = await access.grantsOf(userId);
    const ids = (grants?.scopes ?? [])
      .filter((scope) => scope.startsWith('org:'))
      .map((scope) => scope.slice('org:'.length));
    return db.organization.findMany({ where: { AND: [{ id: { in: ids } }, condition] } });
  }
}
