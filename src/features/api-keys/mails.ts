import type { Actor } from '../../actor.js';
import { type Mail, noticeTo } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import type { Runtime } from '../../core/runtime.js';
import { isActive, type UserRow } from '../../core/user.js';
import { SERVICE } from '../../core/users/service-account.js';

const MANAGE = 'apikeys:manage';
const MAX_READERS = 5;

/** A key as mails speak of it. */
interface MailedKey {
  name: string;
  createdById: string | null;
}

/** The page on which people look after their keys. */
function pageOf({ config }: Runtime): string {
  return `${config.baseUrl}${config.paths.auth}/api-keys/manage`;
}

/** Tells a person of a new key. A service account gets no mail: the person who makes the key looks after the account. */
export function createdMail(
  runtime: Runtime,
  owner: UserRow,
  key: { name: string; expiresAt: Date },
  actor: Actor,
): Mail[] {
  if (owner.kind === SERVICE) return [];
  const { to, data } = noticeTo(runtime, owner, actor);
  const more = { keyName: key.name, expiresAt: key.expiresAt, link: pageOf(runtime) };
  return [{ template: 'api-key-created', to, data: { ...data, ...more } }];
}

/** Tells that somebody else had a key, or that logs have it. */
export async function exposedMail(
  core: Core,
  owner: UserRow,
  key: MailedKey & { isRevoked: boolean },
  actor: Pick<Actor, 'ip' | 'userAgent'>,
): Promise<Mail[]> {
  const { readers, account } = await readersOf(core, owner, key);
  return readers.map((reader) => {
    const { to, data } = noticeTo(core, reader, actor);
    const more = { keyName: key.name, isRevoked: key.isRevoked, account, link: pageOf(core) };
    return { template: 'api-key-exposed', to, data: { ...data, ...more }, languages: null };
  });
}

/** Tells that a key ends soon. */
export async function expiringMail(
  core: Core,
  owner: UserRow,
  key: MailedKey & { expiresAt: Date },
): Promise<Mail[]> {
  const { readers, account } = await readersOf(core, owner, key);
  return readers.map(({ username, email }) => ({
    template: 'api-key-expiring',
    to: email,
    data: { name: username, keyName: key.name, expiresAt: key.expiresAt, account, link: pageOf(core) },
    languages: null,
  }));
}

/**
 * The people who read mails about a key. For a service account, whose name is given then: who made the key, for as long as they look after the
 * account, and otherwise five of those who do.
 */
async function readersOf(
  core: Core,
  owner: UserRow,
  { createdById }: MailedKey,
): Promise<{ readers: UserRow[]; account: string | null }> {
  if (owner.kind !== SERVICE) return { readers: [owner], account: null };
  const { access, db, now } = core;
  const row = await db.serviceAccount.findUnique({ where: { userId: owner.id } });
  if (row === null) return { readers: [], account: null };
  const maker = createdById === null ? null : await db.user.findUnique({ where: { id: createdById } });
  const isInCharge =
    maker !== null && isActive(maker, now()) && (await access.can(maker.id, MANAGE, row.scope));
  if (isInCharge) return { readers: [maker], account: row.name };
  const { items } = await access.usersWith(MANAGE, row.scope, { limit: MAX_READERS * 2 });
  const users = await db.user.findMany({
    where: { id: { in: items.map(({ id }) => id) }, kind: { not: SERVICE } },
    orderBy: { id: 'asc' },
    take: MAX_READERS,
  });
  return { readers: users, account: row.name };
}
