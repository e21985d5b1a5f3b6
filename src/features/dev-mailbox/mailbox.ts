import type { Config } from '../../config/config.js';
import type { Clock, Logger, MailTransport, OutgoingMail } from '../../config/options.js';

/** A mail that was not sent, and when it would have been. */
export interface KeptMail extends OutgoingMail {
  id: string;
  at: Date;
}

const MAX_MAILS = 100;

/** The mailbox of a developer's machine; null where the base URL is not a loopback one, or a transport is configured. */
/** The config, with a mailbox of this machine where the base URL is a loopback one and no transport is configured. */
export function withDevMailbox(config: Config): { config: Config; devMailbox: DevMailbox | null } {
  const isDevelopment = !config.isSecure; // http: is refused everywhere but on a loopback host
  if (!isDevelopment || config.mail !== undefined) return { config, devMailbox: null };
  const url = `${config.baseUrl}${config.paths.auth}/dev/mailbox`;
  const devMailbox = new DevMailbox(config.clock, config.logger, url);
  const mail = { from: 'noreply@localhost', transport: devMailbox };
  return { config: Object.freeze({ ...config, mail }), devMailbox };
}

/** Where mails go on a developer's machine while no transport is configured: kept in memory, the last 100, for `/auth/dev/mailbox`. */
export class DevMailbox implements MailTransport {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #url: string;
  readonly #mails: KeptMail[] = [];
  #count = 0;

  /** @param url where the mailbox is looked at; logged with the first mail */
  constructor(clock: Clock, logger: Logger, url: string) {
    this.#clock = clock;
    this.#logger = logger;
    this.#url = url;
  }

  async send(mail: OutgoingMail): Promise<void> {
    if (this.#count === 0)
      this.#logger.info(`No mail transport is configured; mails are kept at ${this.#url}`);
    this.#count += 1;
    this.#mails.unshift({ ...mail, id: String(this.#count), at: this.#clock.now() });
    this.#mails.length = Math.min(this.#mails.length, MAX_MAILS);
  }

  /** Newest first. */
  list(): readonly KeptMail[] {
    return this.#mails;
  }

  find(id: string): KeptMail | null {
    return this.#mails.find((mail) => mail.id === id) ?? null;
  }
}
