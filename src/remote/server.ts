import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AuthTunaError, isErrorCode } from '../errors.js';
import { outbound } from '../net/outbound.js';
import { rememberAtMost } from '../remember.js';

const MAX_CALLERS = 10_000;
const REFUSAL_MS = 1000; // how long a refusal is repeated from memory, so that a flood does not become requests

/** What a request of a client carries, as the AuthTuna server reads it. */
export interface Credential {
  cookie?: string;
  authorization?: string;
  apiKey?: string;
  ip: string | null;
  userAgent?: string;
}

/** A permission or a role, and where. */
export type Check = { permission: string; scope: string } | { role: string; scope: string };

const date = z.string().transform((text) => new Date(text));
const orNull = date.nullable();
const userShape = z.looseObject({
  id: z.string(),
  createdAt: date.optional(),
  updatedAt: date.optional(),
  emailVerifiedAt: orNull.optional(),
  lastLoginAt: orNull.optional(),
});
const verifyShape = z.object({
  method: z.enum(['anonymous', 'session', 'access_token', 'api_key']),
  user: userShape.nullable(),
  session: z
    .looseObject({
      id: z.string(),
      createdAt: date,
      lastSeenAt: date,
      expiresAt: date,
      authenticatedAt: date,
    })
    .nullable(),
  apiKey: z
    .looseObject({
      id: z.string(),
      createdAt: date,
      expiresAt: orNull,
      lastUsedAt: orNull,
      revokedAt: orNull,
      exposedAt: orNull,
    })
    .nullable(),
  refusal: z.string().nullable(),
  results: z.array(z.boolean()),
  validForSeconds: z.number().min(0).max(3600),
});
const handOverShape = z.object({
  user: userShape,
  amr: z.array(z.string()),
  assuranceLevel: z.number(),
  authenticatedAt: date,
});
const canShape = z.object({ allowed: z.boolean(), validForSeconds: z.number().min(0).max(3600) });

/** A person whom the AuthTuna server has handed over, and how they proved who they are there. */
export type HandedOver = z.output<typeof handOverShape>;

/** What the AuthTuna server said of a credential. */
export type Answer = z.output<typeof verifyShape>;

/** A credential, ready to be asked about. */
export interface Presented {
  id: string;
  credential: Credential;
}

/** What a credential is worth, and the results of checks in their order. */
export interface Verified {
  answer: Answer;
  results: boolean[];
}

interface Known {
  answer: Answer;
  results: Map<string, boolean>;
  /** Milliseconds, taken before the question was sent: what was said counts from then on. */
  askedAt: number;
}

/**
 * Asks an AuthTuna server, and remembers its answers for as long as that server itself believes what it has read.
 *
 * Questions for unsafe methods are always sent. A server that cannot be reached is `unavailable`, and never a yes.
 */
export class RemoteServer {
  readonly #base: string;
  readonly #key: string;
  readonly #now: () => number;
  readonly #known = rememberAtMost<Known>(MAX_CALLERS);
  /** Questions about the same credential that are on their way, so that many requests of one client ask once. */
  readonly #underWay = new Map<string, Promise<Known>>();

  constructor(base: string, key: string, now: () => number) {
    this.#base = base;
    this.#key = key;
    this.#now = now;
  }

  /**
   * What a credential is worth, and the results of checks in their order.
   *
   * @param isLatest the question is sent although the answer is known: for unsafe methods
   * @throws AuthTunaError `unavailable`; what the server refuses a request for, such as `malformed_request`
   */
  async verify(
    presented: Presented,
    checks: readonly Check[],
    options: { isLatest: boolean },
  ): Promise<Verified> {
    const remembered = options.isLatest ? undefined : this.remembered(presented, checks);
    if (remembered !== undefined) return remembered;
    const names = checks.map(nameOf);
    return verifiedOf(await this.#ask(presented, checks, names, options.isLatest), names);
  }

  /** The same from memory, at once; undefined where the server must be asked. */
  remembered({ id }: Presented, checks: readonly Check[]): Verified | undefined {
    const known = this.#known.get(id);
    if (known === undefined || !this.#isFresh(known)) return undefined;
    const names = checks.map(nameOf);
    return names.every((name) => known.results.has(name)) ? verifiedOf(known, names) : undefined;
  }

  /** Whether a user holds a permission at a scope, right now: nothing says whether the answer is for a change. @throws AuthTunaError `unavailable` */
  async can(userId: string, permission: string, scope: string): Promise<boolean> {
    const { allowed } = await this.#post('/can', { userId, permission, scope }, canShape);
    return allowed;
  }

  /** Spends a hand-over. @throws AuthTunaError `invalid_token`, `unavailable` */
  async acceptHandOver(token: string, input: { audience: string; nonce: string }): Promise<HandedOver> {
    return this.#post('/hand-over', { token, ...input }, handOverShape).catch((error: unknown) => {
      // Text that cannot be a token or a nonce is an invalid token.
      throw isInvalidInput(error) ? new AuthTunaError('invalid_token') : error;
    });
  }

  async #ask(
    presented: Presented,
    checks: readonly Check[],
    names: readonly string[],
    isLatest: boolean,
  ): Promise<Known> {
    const question = `${presented.id} ${names.join(' ')}`;
    const present = isLatest ? undefined : this.#underWay.get(question);
    if (present !== undefined) return present;
    const asked = this.#send(presented, checks, names);
    if (isLatest) return asked;
    this.#underWay.set(question, asked);
    try {
      return await asked;
    } finally {
      this.#underWay.delete(question);
    }
  }

  async #send(
    { id, credential }: Presented,
    checks: readonly Check[],
    names: readonly string[],
  ): Promise<Known> {
    const askedAt = this.#now();
    const answer = await this.#post('/verify', { ...credential, checks }, verifyShape);
    const before = this.#known.get(id);
    // Decisions of one and the same answer stay together: a later one replaces them all.
    const others = before !== undefined && before.askedAt === askedAt ? before.results : [];
    const results = new Map([
      ...others,
      ...names.map((name, at) => [name, answer.results[at] === true] as const),
    ]);
    const known = { answer, results, askedAt };
    if (before === undefined || before.askedAt <= askedAt) this.#known.set(id, known);
    return known;
  }

  #isFresh({ answer, askedAt }: Known): boolean {
    const age = this.#now() - askedAt;
    const limit = answer.validForSeconds * 1000;
    return age >= 0 && age < (answer.user === null ? Math.min(limit, REFUSAL_MS) : limit);
  }

  async #post<S extends z.ZodType>(path: string, body: object, shape: S): Promise<z.output<S>> {
    const { status, json } = await outbound(
      this.#base + path,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', 'x-api-key': this.#key },
        body: JSON.stringify(body),
      },
      { allowLoopback: true, publicOnly: false },
    );
    const answer = status === 200 ? shape.safeParse(json) : null;
    if (answer?.success === true) return answer.data;
    const { code, detail } = (json ?? {}) as { code?: unknown; detail?: unknown };
    // Refusals of the client's own request; everything else is a fault between the two servers.
    if (status === 422) throw new AuthTunaError('invalid_input');
    if ((status === 400 || status === 429) && typeof code === 'string' && isErrorCode(code))
      throw new AuthTunaError(code, {
        ...(status === 429 && { retryAfterSeconds: 1 }),
        ...(typeof detail === 'string' && { message: detail }),
      });
    const said = answer?.error.message ?? String(detail ?? code ?? '');
    const isKey = status === 401 || status === 403;
    const cure = isKey
      ? '. It refused the key of this server: the owner of the key needs tokens:introspect at global.'
      : '';
    throw new AuthTunaError(
      'unavailable',
      { retryAfterSeconds: 5 },
      { cause: new Error(`The AuthTuna server answered ${status}: ${said}${cure}`) },
    );
  }
}

function isInvalidInput(error: unknown): boolean {
  return error instanceof AuthTunaError && error.code === 'invalid_input';
}

/** A credential with the digest by which it is remembered, so that the memory holds none. */
export function presentedAs(credential: Credential): Presented {
  const id = createHash('sha256').update(JSON.stringify(credential)).digest('base64url');
  return { id, credential };
}

function nameOf(check: Check): string {
  return 'role' in check ? `role ${check.role} ${check.scope}` : `may ${check.permission} ${check.scope}`;
}

function verifiedOf({ answer, results }: Known, names: readonly string[]): Verified {
  return { answer, results: names.map((name) => results.get(name) === true) };
}
