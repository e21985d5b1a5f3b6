import type { Config } from '../../config/config.js';
import type { Clock, Logger, MailTransport, OutgoingMail } from '../../config/options.js';
import { equalInConstantTime } from '../../crypto/digest.js';

/** A mail that was not sent, and when it would have been. */
export interface KeptMail extends OutgoingMail {
  id: string;
  at: Date;
}

const MAX_MAILS = 100;
const KEY_BYTES = 16;

/** The config, with a mailbox of this machine where the base URL is a loopback one and no transport is configured. */
export function withDevMailbox(config: Config): { config: Config; devMailbox: DevMailbox | null } {
  const isDevelopment = !config.isSecure; // http: is refused everywhere but on a loopback host
  if (!isDevelopment || config.mail !== undefined) return { config, devMailbox: null };
  const url = `${config.baseUrl}${config.paths.auth}/dev/mailbox`;
  const key = config.random.bytes(KEY_BYTES).toString('base64url');
  const devMailbox = new DevMailbox(config.clock, config.logger, { url, key });
  const mail = { from: 'noreply@localhost', transport: devMailbox };
  return { config: Object.freeze({ ...config, mail }), devMailbox };
}

/** Where mails go on a developer's machine while no transport is configured: kept in memory, the last 100, for `/auth/dev/mailbox`. */
export class DevMailbox implements MailTransport {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #url: string;
  readonly #key: string;
  readonly #mails: KeptMail[] = [];
  #count = 0;

  /** @param at where the mailbox is looked at, and the key that opens it; both are logged at start */
  constructor(clock: Clock, logger: Logger, at: { url: string; key: string }) {
    this.#clock = clock;
    this.#logger = logger;
    this.#url = at.url;
    this.#key = at.key;
  }

  async send(mail: OutgoingMail): Promise<void> {
    this.#count += 1;
    this.#mails.unshift({ ...mail, id: String(this.#count), at: this.#clock.now() });
    this.#mails.length = Math.min(this.#mails.length, MAX_MAILS);
  }

  /** Logs where the mails are, with the key. */
  announce(): void {
    this.#logger.info(
      `No mail transport is configured; mails of this process are kept at ${this.#url}?key=${this.#key}`,
    );
  }

  /** Whether a text is the key that was logged at start. */
  isKey(text: unknown): boolean {
    return typeof text === 'string' && equalInConstantTime(text, this.#key);
  }

  /** Newest first. */
  list(): readonly KeptMail[] {
    return this.#mails;
  }

  find(id: string): KeptMail | null {
    return this.#mails.find((mail) => mail.id === id) ?? null;
  }
}
