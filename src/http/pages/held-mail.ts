import type { Response } from 'express';
import { type HeldMail, mailHeld } from '../../core/tokens/mail-quota.js';
import type { Views } from './views.js';

/**
 * Tells a person, on a page, that a mail was held back and when one may ask again: the same for every address. A script is told nothing.
 *
 * After a mail of the same kind the page goes on, with a notice; that mail is on its way.
 * @throws AuthTunaError `rate_limited` where no mail is on its way: the form is shown again
 * @see docs/requirements.md EM-8
 */
export function tellHeldMail(views: Views, res: Response, held: HeldMail | null, wantsPage: boolean): void {
  if (held === null || !wantsPage) return;
  if (!held.isRepeat) throw mailHeld(held);
  views.notice(res, 'mail_held', { seconds: String(held.retryAfterSeconds) });
}
