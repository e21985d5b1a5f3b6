import type { Actor } from '../../actor.js';
import { sha256 } from '../../crypto/digest.js';
import type { HeldMail } from '../tokens/mail-quota.js';
import type { SignInCore } from './create-sign-in.js';

/** Where the mailed link confirms an address with one press, and leads to. */
export interface AskingBrowser {
  /** A value that only this browser has. */
  browserId: string;
  /** A path of this site. */
  returnTo: string;
}

/**
 * Mails the link that confirms an address again. An address that is confirmed already gets a mail that says so; one without an account none.
 *
 * @param asking the browser of a person who proved to be the one who made the account. Default: the link goes on working in the browser that
 * signed up, because the browser that asks may be the owner's, who knows nothing of the sign-up.
 * @returns null, or until when the mail is held back: for every address alike
 * @throws AuthTunaError `invalid_input` for what is no address
 */
export async function requestVerification(
  core: SignInCore,
  email: string,
  actor: Actor,
  asking?: AskingBrowser,
): Promise<HeldMail | null> {
  const { links, signUp, db } = core;
  return links.request({
    type: 'user.verification_requested',
    purpose: 'verify_email',
    address: links.addressOf(email),
    actor,
    async issue(recipient) {
      const former = await db.oneTimeToken.findFirst({
        where: { purpose: 'verify_email', subject: recipient.id },
        orderBy: { createdAt: 'desc' },
      });
      const { browser = null, returnTo = null } = JSON.parse(former?.data ?? '{}') as Partial<
        Record<string, string>
      >;
      const bound =
        asking === undefined
          ? { browser, returnTo }
          : { browser: sha256(asking.browserId), returnTo: asking.returnTo };
      const issued = await signUp.verification(recipient, bound);
      if (recipient.emailVerifiedAt == null) return issued;
      // The same work as for others; the link stays here, and the mail says that there is nothing left to confirm.
      return { ...issued, mail: signUp.alreadyRegistered(recipient, bound.returnTo, 'already-confirmed') };
    },
  });
}
