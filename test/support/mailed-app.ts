import type { AuthTunaOptions, OutgoingMail } from '../../src/index.js';
import { TestMailbox } from '../../src/testing/index.js';
import { startApp, type TestInstance } from './app.js';
import { PageVisitor } from './page-visitor.js';

const UNLIMITED = { limit: 10_000, windowSeconds: 60 };

export interface MailedApp extends TestInstance {
  mailbox: TestMailbox;
  /** The newest mail to an address, after everything queued was delivered. @throws Error when there is none */
  mailTo(address: string): Promise<OutgoingMail>;
  /** How many mails an address got. */
  mailsTo(address: string): Promise<OutgoingMail[]>;
  /** A browser without scripts, with a jar of its own. */
  visitor(): PageVisitor;
}

/** An instance that mails, with allowances that no test uses up; `rateLimits` of the options brings them back. */
export async function startMailedApp(
  options: Partial<AuthTunaOptions> = {},
  shared: Parameters<typeof startApp>[1] = {},
): Promise<MailedApp> {
  const mailbox = new TestMailbox();
  const app = await startApp(
    {
      mail: { from: 'Harbour <noreply@harbour.example>', transport: mailbox },
      appName: 'Harbour',
      rateLimits: {
        signUp: UNLIMITED,
        mailRequest: UNLIMITED,
        mailToken: UNLIMITED,
        mailAddress: UNLIMITED,
        mailNetwork: UNLIMITED,
        mailPurpose: UNLIMITED,
      },
      ...options,
    },
    shared,
  );
  const mailsTo = async (address: string) => {
    await app.authTuna.mailer.deliver();
    return mailbox.mails.filter((mail) => mail.to === address);
  };
  return {
    ...app,
    mailbox,
    mailsTo,
    async mailTo(address) {
      const mail = (await mailsTo(address)).at(-1);
      if (mail === undefined) throw new Error(`no mail to ${address}`);
      return mail;
    },
    visitor: () => new PageVisitor(app.browser()),
  };
}

/** The link of a mail that leads to a path, as a path with its query. */
export function linkIn(mail: OutgoingMail, path: string): string {
  const found = [...mail.text.matchAll(/https?:\/\/[^\s<>"]+/g)]
    .map(([url]) => new URL(url))
    .find((url) => url.pathname === path);
  if (found === undefined) throw new Error(`no link to ${path} in:\n${mail.text}`);
  return found.pathname + found.search;
}

/** The token of that link. */
export function tokenIn(mail: OutgoingMail, path: string): string {
  return new URLSearchParams(linkIn(mail, path).split('?')[1]).get('token') ?? '';
}
