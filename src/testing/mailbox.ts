import type { MailTransport, OutgoingMail } from '../config/options.js';

/** Takes every mail instead of sending it: `createAuthTuna({ …, mail: { from, transport: mailbox } })`. */
export class TestMailbox implements MailTransport {
  readonly mails: OutgoingMail[] = [];

  async send(mail: OutgoingMail): Promise<void> {
    this.mails.push(mail);
  }

  /** The newest mail to an address, or undefined. */
  latestTo(address: string): OutgoingMail | undefined {
    return this.mails.findLast((mail) => mail.to === address);
  }
}
