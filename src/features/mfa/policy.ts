import type { Auth, User } from '../../auth.js';
import type { Grants } from '../../core/access/grants.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { isUniqueViolation } from '../../db/client.js';
import { after } from '../../time.js';

/** Whether somebody must have a second factor and has none. */
export interface Requirement {
  isRequired: boolean;
  /** The end of the days of grace; null where nothing is required, or there is no grace. */
  graceEndsAt: Date | null;
  /** Nothing but enrollment is open to them. */
  isDue: boolean;
}

/** Who must have a second factor: holders of some roles, members of some organizations, and whom the host's function says. */
export class EnrollmentPolicy {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /** False where neither an option nor an organization can require a factor of a person with these grants. */
  concerns(grants: Grants): boolean {
    const { requiredForRoles, policy } = this.#core.config.mfa;
    return requiredForRoles.length > 0 || policy !== undefined || orgIdsOf(grants).length > 0;
  }

  /** Whether the caller must set up a second factor before anything else. */
  async isDue(auth: Auth, grants: Grants): Promise<boolean> {
    // A service account cannot set up a second factor, and no way to use it asks for one.
    return (
      auth.user !== null &&
      auth.user.kind !== 'service' &&
      (await this.requirementFor(auth.user, grants, auth)).isDue
    );
  }

  /** @param grants what the user holds; @param auth the request's, for the host's function */
  async requirementFor(user: User, grants: Grants, auth: Auth): Promise<Requirement> {
    const { policy, graceDays } = this.#core.config.mfa;
    const isRequired =
      this.#holdsRequiredRole(grants) ||
      (await this.#isDemandedByOrg(grants)) ||
      (policy !== undefined && (await policy(user, auth)) === 'required');
    if (!isRequired) return { isRequired, graceEndsAt: null, isDue: false };
    const hasFactor =
      (await this.#core.signIn.factorsOf(user.id)).length > 0 ||
      (await this.#signedInByPasskey(user.id, auth));
    if (graceDays === 0) return { isRequired, graceEndsAt: null, isDue: !hasFactor };
    const graceEndsAt = after(await this.#requiredSince(user.id), graceDays * 86_400);
    return { isRequired, graceEndsAt, isDue: !hasFactor && graceEndsAt <= this.#core.now() };
  }

  /** A passkey that verified its user is two factors, also where the host has none follow a password. Once it is removed, it was. */
  async #signedInByPasskey(userId: string, auth: Auth): Promise<boolean> {
    if ((auth.session?.assuranceLevel ?? 0) < 2) return false;
    return (await this.#core.db.passkey.count({ where: { userId } })) > 0;
  }

  #holdsRequiredRole(grants: Grants): boolean {
    const { requiredForRoles } = this.#core.config.mfa;
    if (requiredForRoles.length === 0) return false;
    const wanted = new Set(requiredForRoles.flatMap((name) => grants.catalog.find(name)?.id ?? []));
    return grants.scopes.some((scope) =>
      grants.at(scope)?.roles.some((role) => [...role.closure].some((id) => wanted.has(id))),
    );
  }

  /** Whether an organization in which a role is held requires a second factor of its members. */
  async #isDemandedByOrg(grants: Grants): Promise<boolean> {
    const ids = orgIdsOf(grants);
    if (ids.length === 0) return false;
    const where = { requireSecondFactor: true, id: { in: ids } };
    return (await this.#core.db.organization.findFirst({ where, select: { id: true } })) !== null;
  }

  /** From when the days of grace count: the first time it was seen to be required. It never begins again. */
  async #requiredSince(userId: string): Promise<Date> {
    const { db } = this.#core;
    const row = await db.factorRequirement.findUnique({ where: { userId } });
    if (row !== null) return row.since;
    const since = this.#core.now();
    try {
      await db.factorRequirement.create({ data: { userId, since } });
      return since;
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      return this.#requiredSince(userId);
    }
  }
}

function orgIdsOf(grants: Grants): string[] {
  return grants.scopes.filter((scope) => scope.startsWith('org:')).map((scope) => scope.slice('org:'.length));
}
