import type { Session } from '../../auth.js';
import { notBefore, type Page, type PageQuery, pageOf } from '../../core/page.js';
import { toSession } from '../../core/sessions/session-row.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';

/** A live session and the address of its owner. */
export interface OwnedSession extends Session {
  email: string;
}

/** Everybody's sessions, the newest first. Those that ended, or are past their absolute limit, are left out. */
export function listSessions(core: SignInCore, query: PageQuery): Promise<Page<OwnedSession>> {
  return pageOf(query, async ({ take, after }) => {
    const last = after === null ? undefined : await core.db.session.findUnique({ where: { id: after } });
    const rows = await core.db.session.findMany({
      where: {
        AND: [
          { revokedAt: null, absoluteExpiresAt: { gt: core.now() } },
          notBefore('absoluteExpiresAt', last),
        ],
      },
      include: { user: { select: { email: true } } },
      orderBy: [{ absoluteExpiresAt: 'desc' }, { id: 'desc' }],
      take,
    });
    return rows.map((row) => ({ ...toSession(row), email: row.user.email }));
  });
}
