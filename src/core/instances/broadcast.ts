import { equalInConstantTime, hmac } from '../../crypto/digest.js';
import { newId } from '../../crypto/random.js';
import { type Bus, TOPIC_KINDS, type Topic } from '../invalidation.js';
import type { Runtime } from '../runtime.js';
import type { Channel, OpenChannel } from './channel.js';
import { postgresqlChannel } from './channel-postgresql.js';
import { redisChannel } from './channel-redis.js';

/** Whether instances hear of each other's changes at once. Without it they notice within `session.recheckSeconds`. */
export interface BroadcastHealth {
  /** `none` where each instance is on its own: SQLite without `redisUrl`. */
  kind: 'postgresql' | 'redis' | 'none';
  isUp: boolean;
  /** Since when it has been up or down; null before the first attempt, and for `none`. */
  since: Date | null;
}

const MAX_PAYLOAD = 7000; // PostgreSQL refuses notifications of 8000 bytes and more
const MAX_TOPICS = 500; // beyond, forgetting everything is cheaper than telling what
const TOPIC = new RegExp(`^(?:all|roles|webhooks|(?:${TOPIC_KINDS.join('|')}):[!-~]{1,300})$`);
const PING_MS = 5000;
const PING_ANSWER_MS = 2000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;

/** The channel that the options ask for: Redis where `redisUrl` is set, the PostgreSQL server otherwise, null on SQLite. */
export function channelOf(runtime: Runtime): Channel | null {
  const { redisUrl, databaseUrl, origin } = runtime.config;
  // One Redis serves several apps; one database is one app's.
  if (redisUrl !== undefined) return redisChannel(redisUrl, `authtuna ${origin}`);
  if (databaseUrl !== undefined && /^postgres(ql)?:/.test(databaseUrl)) return postgresqlChannel(databaseUrl);
  return null;
}

/**
 * Tells the other instances what is no longer true, and this one what they say.
 *
 * Only an optimization: what is lost costs latency, because nothing is trusted longer than `session.recheckSeconds`. The connection is
 * proven by sending a message around to itself every five seconds. After an interruption everything in memory is dropped on this side, and
 * on the others when something could not be sent. Messages carry a MAC, so that another program on the bus cannot empty the caches.
 */
export class Broadcast implements Bus {
  readonly #runtime: Runtime;
  readonly #channel: Channel | null;
  readonly #sender: string;
  #open: OpenChannel | null = null;
  #health: BroadcastHealth;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = true;
  #hasMissed = false;
  #failures = 0;
  #attempt: Promise<void> = Promise.resolve();
  #pingArrived: (() => void) | null = null;

  constructor(runtime: Runtime, channel: Channel | null = channelOf(runtime)) {
    this.#runtime = runtime;
    this.#channel = channel;
    this.#sender = newId(runtime.config.random);
    this.#health = { kind: channel?.kind ?? 'none', isUp: false, since: null };
  }

  get health(): BroadcastHealth {
    return { ...this.#health };
  }

  /** Connects, and goes on trying in the background when that fails. Settles after the first attempt; never rejects. */
  async start(): Promise<void> {
    if (this.#channel === null || !this.#isStopped) return;
    this.#isStopped = false;
    this.#runtime.invalidation.attach(this);
    this.#attempt = this.#connect(this.#channel);
    await this.#attempt;
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#runtime.invalidation.attach(null);
    clearTimeout(this.#timer);
    this.#pingArrived?.();
    await this.#attempt;
    clearTimeout(this.#timer);
    const open = this.#open;
    this.#open = null;
    this.#health = { ...this.#health, isUp: false, since: this.#runtime.now() };
    await open?.close();
  }

  async publish(topics: readonly Topic[]): Promise<void> {
    if (topics.length === 0) return;
    if (this.#open === null || !this.#health.isUp) {
      this.#hasMissed = true;
      return;
    }
    try {
      for (const part of inParts(topics)) await this.#open.send(this.#seal(part));
    } catch (error) {
      this.#hasMissed = true;
      this.#lost(this.#open, error);
    }
  }

  async #connect(channel: Channel): Promise<void> {
    let opened: OpenChannel | null = null;
    try {
      opened = await channel.open(
        (payload) => this.#receive(payload),
        (error) => this.#lost(opened, error),
      );
      if (this.#isStopped) return await opened.close();
      this.#open = opened;
      await this.#ping(opened);
    } catch (error) {
      if (opened === null) this.#failed(channel, error);
      else this.#lost(opened, error);
      return;
    }
    if (this.#isStopped || this.#open !== opened) return;
    this.#failures = 0;
    this.#health = { ...this.#health, isUp: true, since: this.#runtime.now() };
    this.#runtime.invalidation.receive(['all']); // messages that were sent in the meantime are lost
    if (this.#hasMissed) {
      this.#hasMissed = false;
      await this.publish(['all']);
    }
    this.#later(PING_MS, () => this.#keepProving(opened));
  }

  async #keepProving(opened: OpenChannel): Promise<void> {
    try {
      await this.#ping(opened);
      if (this.#open === opened) this.#later(PING_MS, () => this.#keepProving(opened));
    } catch (error) {
      this.#lost(opened, error);
    }
  }

  /** Sends a message around; a pooler that swallows notifications, or a peer that is gone without a word, shows here. */
  async #ping(opened: OpenChannel): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<void>((resolve, reject) => {
      this.#pingArrived = resolve;
      timer = setTimeout(() => reject(new Error('a message to itself did not come back')), PING_ANSWER_MS);
      timer.unref();
    });
    answer.catch(() => {}); // when sending fails first
    try {
      await opened.send(`ping ${this.#sender}`);
      await answer;
    } finally {
      clearTimeout(timer);
      this.#pingArrived = null;
    }
  }

  #lost(opened: OpenChannel | null, error: unknown): void {
    if (opened === null || this.#open !== opened || this.#channel === null) return;
    this.#open = null;
    opened.close().catch(() => {}); // it is gone already
    this.#failed(this.#channel, error);
  }

  #failed(channel: Channel, error: unknown): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    if (this.#health.isUp || this.#health.since === null) {
      const { recheckSeconds } = this.#runtime.config.session;
      this.#runtime.config.logger.warn(
        `The broadcast over ${channel.kind} is down: other instances notice changes within ${recheckSeconds} s instead of at once.`,
        { error },
      );
      this.#health = { ...this.#health, isUp: false, since: this.#runtime.now() };
    }
    const share = 0.5 + this.#runtime.config.random.bytes(1).readUInt8() / 512;
    const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures) * share;
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#later(delay, () => {
      this.#attempt = this.#connect(channel);
    });
  }

  #later(delay: number, work: () => void): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, delay);
    this.#timer.unref();
  }

  #seal(topics: readonly Topic[]): string {
    const key = this.#runtime.keys.current('bus');
    const body = JSON.stringify([this.#sender, ...topics]);
    return `${key.kid}.${hmac(key.bytes, body).toString('base64url')}.${body}`;
  }

  #receive(payload: string): void {
    if (payload === `ping ${this.#sender}`) this.#pingArrived?.();
    if (payload.startsWith('ping ')) return;
    const topics = this.#topicsOf(payload);
    if (topics !== null) this.#runtime.invalidation.receive(topics);
  }

  /** What another instance says; null for its own echo and for everything that is none of ours. */
  #topicsOf(payload: string): Topic[] | null {
    if (payload.length > MAX_PAYLOAD) return null;
    const [kid = '', mac = ''] = payload.split('.', 2);
    const body = payload.slice(kid.length + mac.length + 2);
    const key = this.#runtime.keys.find('bus', kid);
    if (key === null || !equalInConstantTime(hmac(key.bytes, body).toString('base64url'), mac)) return null;
    const message: unknown = JSON.parse(body); // ours, or the MAC would not fit
    if (!Array.isArray(message)) return null;
    const [sender, ...topics] = message;
    if (sender === this.#sender) return null;
    // A later version may know further topics; what is not known here is not held here.
    return topics.filter((topic): topic is Topic => typeof topic === 'string' && TOPIC.test(topic));
  }
}

function inParts(topics: readonly Topic[]): Topic[][] {
  if (topics.length > MAX_TOPICS) return [['all']];
  const parts: Topic[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const topic of topics) {
    length += topic.length + 3;
    if (length > MAX_PAYLOAD - 200) {
      parts.push([]);
      length = topic.length + 3;
    }
    parts.at(-1)?.push(topic);
  }
  return parts;
}
