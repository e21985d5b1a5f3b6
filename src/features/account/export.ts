import type { Actor } from '../../actor.js';
import type { User } from '../../auth.js';
import type { Core } from '../../core/core.js';
import { type HistoryEntry, history } from './history.js';

/** A part of what is known of a person, kept by one subject: its passkeys, its linked accounts. Never a secret, never another person's. */
export interface PersonalData {
  /** The name of the part in the export. */
  name: string;
  of(userId: string): Promise<unknown>;
}

/** Everything that is kept of a person, as JSON. */
export interface PersonalDataExport {
  /** Of this form; it changes when a part is renamed or taken away. */
  version: 1;
  exportedAt: Date;
  user: User;
  parts: Readonly<Record<string, unknown>>;
}

const MAX_HISTORY = 10_000;

/** {@link AccountManager.exportData} */
export async function exportData<U extends User>(
  core: Core<U>,
  sources: readonly PersonalData[],
  userId: string,
  actor: Actor,
): Promise<PersonalDataExport> {
  if (actor.userId !== userId) await core.access.requireAbove(actor, userId, 'users:manage');
  const user = await core.users.get(userId);
  const parts: Record<string, unknown> = {};
  for (const source of [...ownParts(core), ...sources]) parts[source.name] = await source.of(userId);
  await core.audit.record({ type: 'user.exported', actor, target: { type: 'user', id: userId } });
  return { version: 1, exportedAt: core.now(), user, parts };
}

function ownParts<U extends User>(core: Core<U>): PersonalData[] {
  return [
    { name: 'sessions', of: (userId) => core.sessions.list(userId) },
    {
      name: 'roles',
      of: async (userId) =>
        (await core.roles.assignmentsOf(userId)).map(({ role, scope, expiresAt }) => ({
          role,
          scope,
          expiresAt,
        })),
    },
    {
      name: 'password',
      async of(userId) {
        const row = await core.db.password.findUnique({ where: { userId } });
        return row === null ? null : { changedAt: row.changedAt };
      },
    },
    { name: 'history', of: (userId) => wholeHistory(core, userId) },
  ];
}

async function wholeHistory<U extends User>(core: Core<U>, userId: string): Promise<HistoryEntry[]> {
  const all: HistoryEntry[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof history>> = await history(core, userId, {
      limit: 100,
      ...(cursor !== null && { cursor }),
    });
    all.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null && all.length < MAX_HISTORY);
  return all;
}
