import type { z } from 'zod';
import { type Actor, requireUnrestricted } from '../../actor.js';
import { rateLimited } from '../../core/limits/throttle.js';
import { whenMissing } from '../../core/refusals.js';
import type { BearerTerms } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { SignInOptions, SignInResult } from '../../core/sign-in/sign-in.js';
import { validate } from '../../core/validate.js';
import { issueSplitToken } from '../../crypto/split-token.js';
import { isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { deviceLabel, deviceOf } from '../../net/user-agent.js';
import { after } from '../../time.js';
import { type DeviceRow, exchangeCode } from './exchange.js';
import { beginBody } from './schemas.js';
import { newUserCode, parseUserCode } from './user-code.js';

const LIFETIME_SECONDS = 900;
const INTERVAL_SECONDS = 5; // RFC 8628 section 3.2
const MAX_ATTEMPTS = 5; // at a code that another request has
const LOOKUPS = { limit: 30, windowSeconds: 600 }; // of one person; RFC 8628 section 5.1
const MAX_USER_AGENT = 200;

/** The answer to a tool that asks for access. */
export interface BegunDevice {
  deviceCode: string;
  /** As it is shown: `WDJB-MJHT`. */
  userCode: string;
  expiresInSeconds: number;
  intervalSeconds: number;
}

/** A request as shown to the person who decides: which tool asks, from where, and since when. */
export interface AskingDevice {
  userCode: string;
  /** The name that the tool gives itself, which is not checked. */
  clientId: string;
  /** Permissions and patterns that it asks for; null for everything that the person may do. */
  scopes: string[] | null;
  ip: string | null;
  /** `curl/8.5`, or `Firefox on Linux`; null when it did not say. */
  device: string | null;
  requestedAt: Date;
  expiresAt: Date;
}

/**
 * Sign-in of tools without a browser: the tool shows a code, and a person approves it on a page where they are signed in.
 *
 * Anybody can send a code to somebody else and ask them to approve it. So the page says what asks, from where and since when, a recent login is
 * asked for, and the person is mailed when the tool gets its tokens.
 * @see RFC 8628
 */
export class DeviceAuthorizations {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /** Stores a request of a tool, for 15 minutes. @throws AuthTunaError `invalid_input` */
  async begin(input: z.input<typeof beginBody>, actor: Actor): Promise<BegunDevice> {
    const { client_id: clientId, scope = null } = validate(beginBody, input);
    const { db, config, now } = this.#core;
    for (let attempt = 1; ; attempt += 1) {
      const userCode = newUserCode(config.random);
      const { token, id, secretHash } = issueSplitToken(config.random);
      const createdAt = now();
      try {
        await db.deviceAuthorization.create({
          data: {
            id,
            secretHash,
            userCodeKey: this.#keyOf(userCode),
            clientId,
            scope,
            ip: actor.ip,
            userAgent: actor.userAgent?.slice(0, MAX_USER_AGENT) ?? null,
            intervalSeconds: INTERVAL_SECONDS,
            createdAt,
            expiresAt: after(createdAt, LIFETIME_SECONDS),
          },
        });
      } catch (error) {
        if (isUniqueViolation(error) && attempt < MAX_ATTEMPTS) continue;
        throw error;
      }
      return {
        deviceCode: token,
        userCode,
        expiresInSeconds: LIFETIME_SECONDS,
        intervalSeconds: INTERVAL_SECONDS,
      };
    }
  }

  /**
   * The undecided request of a code. A person may look up 30 in ten minutes, so that codes cannot be guessed.
   *
   * @throws AuthTunaError `invalid_token` for a code that is unknown, expired or already decided; `rate_limited`
   */
  async find(typed: string, actor: Actor): Promise<AskingDevice> {
    const { row, userCode } = await this.#pending(typed, actor);
    return {
      userCode,
      clientId: row.clientId,
      scopes: row.scope?.split(' ') ?? null,
      ip: row.ip,
      device: labelOf(row.userAgent),
      requestedAt: row.createdAt,
      expiresAt: row.expiresAt,
    };
  }

  /**
   * Lets the tool have tokens for the actor, proved as their session was. It must fetch them before the request expires.
   *
   * @param actor a person with a session; the caller has asked for a recent login
   * @throws AuthTunaError what `find` throws; `forbidden` without a session; `session_revoked`
   */
  async approve(typed: string, actor: Actor): Promise<void> {
    const { db, sessions } = this.#core;
    if (actor.sessionId === undefined || actor.userId === null || actor.impersonatorId !== undefined)
      throw new AuthTunaError('forbidden');
    await requireUnrestricted(actor);
    await sessions.requireLive(actor);
    const session = await db.session.findUnique({ where: { id: actor.sessionId } });
    if (session === null || session.kind !== 'cookie') throw new AuthTunaError('forbidden');
    const { epoch, amr, assuranceLevel, authenticatedAt } = session;
    const proof = { userId: actor.userId, epoch, amr, assuranceLevel, authenticatedAt };
    await this.#decide(typed, actor, 'approved', proof);
  }

  /** Refuses the tool for good. @throws AuthTunaError what `find` throws; `unauthenticated` */
  async deny(typed: string, actor: Actor): Promise<void> {
    if (actor.userId === null) throw new AuthTunaError('unauthenticated');
    await this.#decide(typed, actor, 'denied', { userId: actor.userId });
  }

  /**
   * Exchanges a device code for a sign-in, once, after a person approved it.
   *
   * @param input.boundKey of the client, where its tokens are bound to a key
   * @throws AuthTunaError with the error of RFC 8628 section 3.5 in `details.error`; what the sign-in throws
   */
  exchange(
    input: { deviceCode: string; clientId: string; boundKey: string | null },
    actor: Actor,
    options: SignInOptions,
  ): Promise<{ result: SignInResult; terms: BearerTerms }> {
    return exchangeCode(this.#core, input, actor, options);
  }

  /** @internal What this very person decided on the request of a code; null for the requests of others. */
  async decisionOf(typed: string, actor: Actor): Promise<'approved' | 'denied' | null> {
    const userCode = parseUserCode(typed);
    if (userCode === null || actor.userId === null) return null;
    const row = await this.#core.db.deviceAuthorization.findUnique({
      where: { userCodeKey: this.#keyOf(userCode) },
    });
    if (row === null || row.userId !== actor.userId || row.status === 'pending') return null;
    return row.status === 'denied' ? 'denied' : 'approved';
  }

  async #decide(
    typed: string,
    actor: Actor,
    status: 'approved' | 'denied',
    proof: {
      userId: string;
      epoch?: number;
      amr?: string;
      assuranceLevel?: number;
      authenticatedAt?: Date;
    },
  ): Promise<void> {
    const { db, ledger, now } = this.#core;
    const { row } = await this.#pending(typed, actor);
    await ledger
      .commit({
        writes: [
          db.deviceAuthorization.update({
            where: { id: row.id, status: 'pending', expiresAt: { gt: now() } },
            data: { status, ...proof },
          }),
        ],
        facts: [
          {
            type: `device_authorization.${status}`,
            actor,
            target: { type: 'user', id: proof.userId },
            data: { clientId: row.clientId, scope: row.scope, ip: row.ip },
          },
        ],
      })
      .catch(whenMissing(noRequest));
  }

  async #pending(typed: string, actor: Actor): Promise<{ row: DeviceRow; userCode: string }> {
    const { db, limiter, now } = this.#core;
    const verdict = await limiter.take(`device code ${actor.userId ?? actor.ip}`, LOOKUPS);
    if (!verdict.allowed) throw rateLimited(verdict.resetSeconds);
    const userCode = parseUserCode(typed);
    const row =
      userCode === null
        ? null
        : await db.deviceAuthorization.findUnique({ where: { userCodeKey: this.#keyOf(userCode) } });
    if (userCode === null || row === null || row.status !== 'pending' || row.expiresAt <= now())
      throw noRequest();
    return { row, userCode };
  }

  #keyOf(userCode: string): string {
    return this.#core.keys.lookup(`device authorization ${userCode}`);
  }
}

function labelOf(userAgent: string | null): string | null {
  if (userAgent === null) return null;
  const device = deviceOf(userAgent);
  return device.browser === null && device.os === null ? userAgent.slice(0, 60) : deviceLabel(device);
}

function noRequest(): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: 'No tool waits for this code. Check what you typed, or have the tool show a new one.',
  });
}
