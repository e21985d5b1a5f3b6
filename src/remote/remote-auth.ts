import type { Request } from 'express';
import type { Actor } from '../actor.js';
import type { ApiKey, Auth, Session } from '../auth.js';
import { AuthTunaError, isErrorCode } from '../errors.js';
import { isSafeMethod } from '../http/guards/csrf.js';
import type { Answer, Check, Presented, RemoteServer, Verified } from './server.js';

/** `req.auth` of a server that asks another one. */
export class RemoteAuth implements Auth {
  readonly #server: RemoteServer;
  readonly #req: Request;
  readonly #presented: Presented | null;
  readonly #answer: Answer | null;

  /** @param answer null for a request without a credential */
  constructor(server: RemoteServer, req: Request, presented: Presented | null, answer: Answer | null) {
    this.#server = server;
    this.#req = req;
    this.#presented = presented;
    this.#answer = answer;
  }

  get method(): Auth['method'] {
    return this.#answer?.method ?? 'anonymous';
  }

  get user(): Express.User | null {
    return (this.#answer?.user ?? null) as Express.User | null;
  }

  get session(): Session | null {
    return (this.#answer?.session ?? null) as Session | null;
  }

  get apiKey(): ApiKey | null {
    return (this.#answer?.apiKey ?? null) as ApiKey | null;
  }

  get actor(): Actor {
    const { user, session, apiKey } = this;
    return {
      userId: user?.id ?? null,
      ip: this.#presented?.credential.ip ?? null,
      userAgent: this.#req.headers['user-agent'] ?? null,
      ...(session !== null && { sessionId: session.id }),
      ...(session?.impersonatorId != null && { impersonatorId: session.impersonatorId }),
      ...(apiKey !== null && { apiKeyId: apiKey.id }),
    };
  }

  async can(permission: string, scope = 'global'): Promise<boolean> {
    return (await this.decide([{ permission, scope }]))[0] === true;
  }

  async hasRole(role: string, scope = 'global'): Promise<boolean> {
    return (await this.decide([{ role, scope }]))[0] === true;
  }

  async require(permission: string, scope = 'global'): Promise<void> {
    const isAllowed = await this.can(permission, scope);
    const { refusal } = this;
    if (refusal !== null) throw refusal;
    if (!isAllowed) throw new AuthTunaError('forbidden');
  }

  /** @internal The results of checks, asked of the server where the method is unsafe, or with `isFresh`. */
  async decide(
    checks: readonly Check[],
    options: { isFresh: boolean } = { isFresh: false },
  ): Promise<boolean[]> {
    if (this.#presented === null || this.user === null) return checks.map(() => false);
    const isLatest = options.isFresh || !isSafeMethod(this.#req.method);
    return this.#held(await this.#server.verify(this.#presented, checks, { isLatest }));
  }

  /** @internal The same from memory, at once; undefined where the server must be asked. */
  remembered(checks: readonly Check[]): boolean[] | undefined {
    if (this.#presented === null || this.user === null || !isSafeMethod(this.#req.method)) return undefined;
    const known = this.#server.remembered(this.#presented, checks);
    return known === undefined ? undefined : this.#held(known);
  }

  #held({ answer, results }: Verified): boolean[] {
    // The credential may have ended, or become another person's, since the request began.
    return results.map((isHeld) => isHeld && answer.refusal === null && answer.user?.id === this.user?.id);
  }

  /** @internal Asks the server once more. @throws AuthTunaError the reason why the user is not, or no longer, to pass */
  async confirm(): Promise<void> {
    if (this.#presented === null) throw new AuthTunaError('unauthenticated');
    const { answer } = await this.#server.verify(this.#presented, [], { isLatest: true });
    if (answer.refusal !== null) throw refusalOf(answer.refusal);
    if (answer.user?.id !== this.user?.id) throw new AuthTunaError('unauthenticated');
  }

  /** @internal Why there is no user, or why the user may do nothing for now; null where nothing stands against it. */
  get refusal(): AuthTunaError | null {
    const code = this.#answer === null ? 'unauthenticated' : this.#answer.refusal;
    return code === null ? null : refusalOf(code);
  }
}

function refusalOf(code: string): AuthTunaError {
  return new AuthTunaError(isErrorCode(code) ? code : 'unauthenticated');
}
