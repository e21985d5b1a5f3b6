import { newId } from '../crypto/random.js';
import type { Runtime } from './runtime.js';

/** A mail to be written in the batch that causes it: template, mailbox and what the template shows. */
export interface Mail {
  template: string;
  to: string;
  data: Readonly<Record<string, unknown>>;
  locale?: string;
}

/**
 * The write that queues a mail, sealed, for the batch of the change that causes it. A job delivers it afterwards, so a
 * dead mail server neither delays nor loses anything.
 */
export function queueMail(runtime: Runtime, mail: Mail, at: Date) {
  const id = newId(runtime.config.random);
  return runtime.db.outboxMessage.create({
    data: {
      id,
      template: mail.template,
      sealed: runtime.vault.seal(
        JSON.stringify({ to: mail.to, data: mail.data, locale: mail.locale ?? null }),
        ['OutboxMessage', 'sealed', id],
      ),
      createdAt: at,
      availableAt: at,
    },
  });
}
