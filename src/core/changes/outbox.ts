import type { Actor } from '../../actor.js';
import { newId } from '../../crypto/random.js';
import { deviceLabel, deviceOf } from '../../net/user-agent.js';
import type { Runtime } from '../runtime.js';
import type { MailData, MailName } from './mail-data.js';

/** A mail to be written in the batch that causes it: template, mailbox and what the template shows. */
export type Mail = {
  [N in MailName]: {
    template: N;
    /** An address in its canonical spelling. */
    to: string;
    data: Omit<MailData[N], 'to' | 'locale'>;
    /** Languages as `Accept-Language` lists them: the mail is written in the first there are texts for; otherwise in the configured one. */
    languages?: string | null;
    /** Goes nowhere: it stands in for one that would have been sent if the address had an account. */
    isStandIn?: true;
  };
}[MailName];

/** A row as far as its contents go. */
export interface SealedMail {
  id: string;
  template: string;
  sealed: string;
}

type QueuedListener = () => void;

/** Mails that wait in the database: written with the change that causes them, delivered by `mail/mailer.ts`. */
export class Outbox {
  readonly #runtime: Runtime;
  #latest = 0;
  #listener: QueuedListener | null = null;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * The write that queues a mail, sealed, for the batch of the change that causes it. Delivered afterwards, so a dead
   * mail server neither delays nor loses anything.
   */
  write(mail: Mail, at: Date) {
    const { config, db, keys, vault } = this.#runtime;
    const { template, ...contents } = mail;
    const id = newId(config.random);
    // Mails of one moment keep the order in which they were written.
    this.#latest = Math.max(at.getTime(), this.#latest + 1);
    return db.outboxMessage.create({
      data: {
        id,
        template,
        recipient: keys.lookup(`mail ${mail.to}`),
        sealed: vault.seal(JSON.stringify(contents, markDates), placeOf(id)),
        createdAt: new Date(this.#latest),
        availableAt: at,
      },
    });
  }

  /** What a row holds; null when it was sealed with a secret that is no longer known, or is another row's. */
  open(row: SealedMail): Mail | null {
    const json = this.#runtime.vault.open(row.sealed, placeOf(row.id));
    return json === null ? null : { ...JSON.parse(json, reviveDates), template: row.template };
  }

  /** The one that is told when mails were stored, so that they leave at once and not with the next round of a job. */
  onQueued(listener: QueuedListener): void {
    this.#listener = listener;
  }

  announce(): void {
    this.#listener?.();
  }
}

/**
 * Whom a notice goes to and what every notice says: who is meant, where the owner looks at the account, who did it.
 *
 *     mails: [{ template: 'password-changed', ...noticeTo(runtime, user, actor) }]
 *
 * For the templates that say more: `{ to, data: { ...data, passkeyName } }`.
 */
export function noticeTo(
  runtime: Runtime,
  user: { email: string; username: string | null },
  actor: Pick<Actor, 'ip' | 'userAgent'>,
): { to: string; data: Omit<MailData['password-changed'], 'to' | 'locale'> } {
  const { baseUrl, paths } = runtime.config;
  return {
    to: user.email,
    data: {
      name: user.username,
      link: `${baseUrl}${paths.account}/security`,
      activity: activityOf(runtime, actor),
    },
  };
}

/** Who did something, as a mail tells it: now, with what device, from what address. */
export function activityOf(
  runtime: Runtime,
  actor: Pick<Actor, 'ip' | 'userAgent'>,
): { at: Date; device: string | null; ip: string | null } {
  const device = actor.userAgent === null ? null : deviceOf(actor.userAgent);
  const isKnown = device !== null && (device.browser !== null || device.os !== null);
  return { at: runtime.now(), device: isKnown ? deviceLabel(device) : null, ip: actor.ip };
}

function placeOf(id: string): string[] {
  return ['OutboxMessage', 'sealed', id];
}

/** Dates become objects that no text of a person can be mistaken for. */
function markDates(this: Record<string, unknown>, key: string, value: unknown): unknown {
  return this[key] instanceof Date ? { $date: value } : value;
}

function reviveDates(_key: string, value: unknown): unknown {
  const isDate = typeof value === 'object' && value !== null && '$date' in value;
  return isDate ? new Date(String(value.$date)) : value;
}
