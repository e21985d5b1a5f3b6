import type { Actor } from '../../actor.js';
import { notBefore, type Page, type PageQuery, pageOf } from '../../core/page.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';

/** A mail of the outbox, without its contents. */
export interface QueuedMail {
  id: string;
  template: string;
  /** Null once it was sent, and where its secret is not configured any more. */
  to: string | null;
  createdAt: Date;
  availableAt: Date;
  sentAt: Date | null;
  deadAt: Date | null;
  attempts: number;
  lastError: string | null;
}

export type MailStatus = 'waiting' | 'dead' | 'sent';

/** Mails of one status, the newest first. */
export function listMails(
  core: SignInCore,
  { status = 'waiting', ...query }: PageQuery & { status?: MailStatus },
): Promise<Page<QueuedMail>> {
  const where =
    status === 'sent'
      ? { sentAt: { not: null } }
      : { sentAt: null, deadAt: status === 'dead' ? { not: null } : null };
  return pageOf(query, async ({ take, after }) => {
    const last =
      after === null ? undefined : await core.db.outboxMessage.findUnique({ where: { id: after } });
    const rows = await core.db.outboxMessage.findMany({
      where: { AND: [where, notBefore('createdAt', last)] },
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      take,
    });
    return rows.map((row) => {
      const { id, template, createdAt, availableAt, sentAt, deadAt, attempts, lastError } = row;
      const to = sentAt === null ? (core.ledger.outbox.open(row)?.to ?? null) : null;
      return { id, template, to, createdAt, availableAt, sentAt, deadAt, attempts, lastError };
    });
  });
}

/** Checks that an actor may have a mail tried again: their own, one to a person of lower rank, or one to an address that no account has. */
export async function requireMayRetry(core: SignInCore, id: string, actor: Actor): Promise<void> {
  await core.access.require(actor, 'users:manage');
  const row = await core.db.outboxMessage.findUnique({ where: { id } });
  const to = row === null ? undefined : core.ledger.outbox.open(row)?.to;
  const user = to === undefined ? null : await core.users.findByEmail(to);
  if (user !== null && user.id !== actor.userId)
    await core.access.requireAbove(actor, user.id, 'users:manage');
}
