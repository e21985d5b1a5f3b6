import type { Response } from 'express';
import type { HeldMail } from '../../core/tokens/mail-quota.js';
import type { Views } from './views.js';

/**
 * Under which names a browser keeps the address that waits to be confirmed: a message was sent to it; it was asked for again, by somebody who
 * need not have an account; it is held back.
 */
export const WAITING = { sent: 'waiting', again: 'waiting_again', held: 'waiting_held' } as const;

/** What the page of an address that waits to be confirmed shows next: where the message went, or when it can be asked for again. */
export function keepWaiting(views: Views, res: Response, address: string, held: HeldMail | null): void {
  views.keep(res, held === null || held.isRepeat ? WAITING.sent : WAITING.held, address);
  if (held !== null) views.notice(res, 'mail_held', { seconds: String(held.retryAfterSeconds) });
}
