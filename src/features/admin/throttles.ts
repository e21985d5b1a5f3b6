import type { Actor } from '../../actor.js';
import { type Page, type PageQuery, pageOf } from '../../core/page.js';
import { whenMissing } from '../../core/refusals.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { AuthTunaError } from '../../errors.js';

/** A wait that is running. What is guessed at is stored as a keyed digest, so the key says nothing by itself. */
export interface RunningWait {
  id: string;
  failures: number;
  consecutive: number;
  blockedUntil: Date;
  seenAt: Date;
}

/** Waits that are running, the last used first. */
export function listWaits(core: SignInCore, query: PageQuery): Promise<Page<RunningWait>> {
  return pageOf(query, async ({ take, after }) => {
    const rows = await core.db.throttle.findMany({
      where: { blockedUntil: { gt: core.now() } },
      orderBy: [{ seenAt: 'desc' }, { key: 'desc' }],
      take,
      ...(after !== null && { cursor: { key: after } }),
    });
    return rows.map(({ key, userId: _whose, ...row }) => ({ id: key, ...row }));
  });
}

/** Ends one wait: of a person of lower rank, or of a name that no account has. @throws AuthTunaError `not_found`, `forbidden` */
export async function endWait(core: SignInCore, id: string, actor: Actor): Promise<void> {
  await core.access.require(actor, 'users:manage');
  const wait = await core.db.throttle.findUnique({ where: { key: id } });
  if (wait === null) throw noWait();
  const { userId } = wait;
  if (userId !== null) await core.access.requireAbove(actor, userId, 'users:manage');
  await core.ledger
    .commit({
      writes: [core.db.throttle.delete({ where: { key: id, userId } })],
      facts: [{ type: 'user.unlocked', actor, target: { type: 'throttle', id } }],
    })
    .catch(whenMissing(noWait));
}

function noWait(): AuthTunaError {
  return new AuthTunaError('not_found', { message: 'There is no such wait.' });
}
