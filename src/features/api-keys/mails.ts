import type { Actor } from '../../actor.js';
import { type Mail, noticeTo } from '../../core/changes/outbox.js';
import type { Core } from '../../core/core.js';
import type { Runtime } from '../../core/runtime.js';
import { isActive, type UserRow } from '../../core/user.js';
import { SERVICE } from '../../core/users/service-account.js';

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
  const reader = await readerOf(core, owner, key);
  if (reader === null) return [];
  const { to, data } = noticeTo(core, reader.user, actor);
  const { account } = reader;
  const more = { keyName: key.name, isRevoked: key.isRevoked, account, link: pageOf(core) };
  return [{ template: 'api-key-exposed', to, data: { ...data, ...more }, languages: null }];
}

/** Tells that a key ends soon. */
export async function expiringMail(
  core: Core,
  owner: UserRow,
  key: MailedKey & { expiresAt: Date },
): Promise<Mail[]> {
  const reader = await readerOf(core, owner, key);
  if (reader === null) return [];
  const { user, account } = reader;
  const data = {
    name: user.username,
    keyName: key.name,
    expiresAt: key.expiresAt,
    account,
    link: pageOf(core),
  };
  return [{ template: 'api-key-expiring', to: user.email, data, languages: null }];
}

/** The person who reads mails about a key: its owner, or who made it for a service account, whose name is given then. */
async function readerOf(
  { db, now }: Core,
  owner: UserRow,
  { createdById }: MailedKey,
): Promise<{ user: UserRow; account: string | null } | null> {
  if (owner.kind !== SERVICE) return { user: owner, account: null };
  if (createdById === null) return null;
  const [user, row] = await Promise.all([
    db.user.findUnique({ where: { id: createdById } }),
    db.serviceAccount.findUnique({ where: { userId: owner.id } }),
  ]);
  return user === null || row === null || !isActive(user, now()) ? null : { user, account: row.name };
}
