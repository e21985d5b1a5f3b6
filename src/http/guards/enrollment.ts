import type { Grants } from '../../core/access/grants.js';
import { AuthTunaError } from '../../errors.js';
import type { EnrollmentCheck, RequestAuth } from '../caller/request-auth.js';

/** Keeps users who must have a second factor, and have none, to the routes that set one up. Asked once per look at a session's row. */
export class EnrollmentGuard implements EnrollmentCheck {
  readonly #authPath: string;
  readonly #isDue: (auth: RequestAuth, grants: Grants) => boolean | Promise<boolean>;
  /** By what a session was found to hold; a new look at the row makes a new one. */
  readonly #known = new WeakMap<Grants, boolean>();

  constructor(authPath: string, isDue: (auth: RequestAuth, grants: Grants) => boolean | Promise<boolean>) {
    this.#authPath = authPath;
    this.#isDue = isDue;
  }

  refusalOf(auth: RequestAuth): AuthTunaError | undefined | Promise<AuthTunaError | undefined> {
    const { grants } = auth;
    if (grants === null) return undefined;
    const known = this.#known.get(grants);
    if (known !== undefined) return known ? enrollmentRequired(this.#authPath) : undefined;
    const settled = (isDue: boolean) => {
      this.#known.set(grants, isDue);
      return isDue ? enrollmentRequired(this.#authPath) : undefined;
    };
    const answer = this.#isDue(auth, grants);
    return typeof answer === 'boolean' ? settled(answer) : answer.then(settled);
  }
}

/** 403 with the address where a factor is set up. */
export function enrollmentRequired(authPath: string): AuthTunaError {
  return new AuthTunaError('enrollment_required', { enroll: `${authPath}/mfa/setup` });
}
