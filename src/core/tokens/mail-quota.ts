import { type Actor, isSystem } from '../../actor.js';
import { AuthTunaError } from '../../errors.js';
import { networkKeys } from '../../net/addresses.js';
import type { RateLimiter, SpacedLimit } from '../limits/rate-limiter.js';
import type { Runtime } from '../runtime.js';

/** What a mail that anybody can ask for is sent for. */
export interface MailRequest {
  /** `verify_email`, `reset_password`, … */
  purpose: string;
  /** In its canonical spelling; whether anybody has it makes no difference. */
  address: string;
  /** Who asks. `SYSTEM` asks as often as it likes. */
  actor: Actor;
}

/** A mail that was not sent, because mails were asked for too often. It says nothing about an account. */
export interface HeldMail {
  /** After so many seconds one may ask again. */
  retryAfterSeconds: number;
  /** A mail of the same kind was asked for less than a minute ago, and that one was not held back. */
  isRepeat: boolean;
}

type LimitName = 'mailNetwork' | 'mailPurpose' | 'mailAddress';

const GAP_SECONDS = 60;
/** Purposes whose mail leaves another purpose without need for a while. */
const ALSO_STARTS: Readonly<Record<string, string>> = { sign_up: 'verify_email' };

/**
 * How many mails strangers may make the library send: 3 an hour to one address, 10 an hour from one network, and 5 a day of one purpose to
 * one address from one network, a minute apart. The last leaves the owner's own requests alone when somebody elsewhere uses theirs up.
 *
 * @see docs/requirements.md EM-8
 */
export class MailQuota {
  readonly #runtime: Runtime;
  readonly #limiter: RateLimiter;

  constructor(runtime: Runtime, limiter: RateLimiter) {
    this.#runtime = runtime;
    this.#limiter = limiter;
  }

  /**
   * Uses the quota once and does `work`; what is used is given back when `work` throws, because only a mail that is stored may use it up.
   *
   * @param work is told null when the mail may be sent, otherwise until when it is held back; it then sends nothing and answers as ever
   * @throws AuthTunaError `unavailable` when it cannot be counted; what `work` throws
   */
  async spend<T>(request: MailRequest, work: (held: HeldMail | null) => Promise<T>): Promise<T> {
    if (isSystem(request.actor)) return work(null);
    const taken: [string, SpacedLimit][] = [];
    const giveBack = () => Promise.all(taken.map(([key, limit]) => this.#limiter.giveBack(key, limit)));
    const held = await this.#take(request, taken);
    if (held !== null) {
      await giveBack();
      return work(held);
    }
    try {
      return await work(null);
    } catch (error) {
      await giveBack();
      throw error;
    }
  }

  /** Uses each limit, noting it in `taken`, up to one that refuses. */
  async #take(request: MailRequest, taken: [string, SpacedLimit][]): Promise<HeldMail | null> {
    const { purpose, address, actor } = request;
    const { mailAddress, mailNetwork, mailPurpose } = this.#runtime.config.rateLimits;
    const { network } = networkKeys(actor.ip);
    const limits: [LimitName, string, SpacedLimit][] = [
      ['mailNetwork', `mail ${network}`, mailNetwork],
      ['mailPurpose', `mail ${purpose} ${address} ${network}`, { ...mailPurpose, gapSeconds: GAP_SECONDS }],
      ['mailAddress', `mail ${address}`, mailAddress],
    ];
    for (const [name, key, limit] of limits) {
      const { allowed, resetSeconds } = await this.#limiter.take(key, limit);
      if (!allowed) return this.#hold(purpose, name, resetSeconds);
      taken.push([key, limit]);
    }
    const further = ALSO_STARTS[purpose];
    if (further !== undefined) {
      const key = `mail ${further} ${address} ${network}`;
      if ((await this.#limiter.take(key, mailPurpose)).allowed) taken.push([key, mailPurpose]);
    }
    return null;
  }

  /** Logs why a mail is not sent, without the address. */
  #hold(purpose: string, name: LimitName, retryAfterSeconds: number): HeldMail {
    const { logger, rateLimits } = this.#runtime.config;
    const { limit, windowSeconds } = rateLimits[name];
    const isRepeat = name === 'mailPurpose' && retryAfterSeconds <= GAP_SECONDS;
    const why = isRepeat
      ? 'one of the same kind was asked for less than a minute ago'
      : `rateLimits.${name} allows ${limit} in ${windowSeconds} s`;
    const level = isRepeat ? 'info' : 'warn';
    logger[level](`A mail that was asked for was not sent: ${why}.`, { purpose, retryAfterSeconds });
    return { retryAfterSeconds, isRepeat };
  }
}

/** 429 with the time after which the mail may be asked for again. */
export function mailHeld({ retryAfterSeconds }: HeldMail): AuthTunaError {
  return new AuthTunaError('rate_limited', { reason: 'mail_held', retryAfterSeconds });
}
