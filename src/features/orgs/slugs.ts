import type { Core } from '../../core/core.js';
import type { Random } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';

/** Lower-case letters, digits and single hyphens between them, 2 to 48 characters. */
export const SLUG = /^(?=.{2,48}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;
export const SLUG_RULE = 'must have 2 to 48 lower-case letters, digits and single hyphens between them';

// Words of our own paths, and words that a host's paths are likely to have at the same place.
const RESERVED = new Set(
  `accept account admin api assets auth authtuna billing create delete edit global health help home invitation
  invitations invite join joinable leave login logout me members new null org organization organizations orgs project projects
  resources roles search settings signin signup static status support team teams undefined users www`.split(
    /\s+/,
  ),
);

const MAX_LENGTH = 48;
const SUFFIX_BYTES = 4;

/** Whether a slug could be mistaken for a page. */
export function isReserved(slug: string): boolean {
  return RESERVED.has(slug);
}

/** A slug made of a name, `Acme & Söhne` is `acme-sohne`; with a random end where `isPlain` is false or nothing is left of the name. */
export function slugOf(name: string, random: Random, isPlain: boolean): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  if (isPlain && SLUG.test(plain) && !RESERVED.has(plain)) return plain;
  const end = random.bytes(SUFFIX_BYTES).toString('hex');
  const begin = plain.slice(0, MAX_LENGTH - end.length - 1).replace(/-+$/, '');
  return begin === '' ? `o-${end}` : `${begin}-${end}`;
}

/** Checks that an organization may take a slug; one that it had before it may take again. @throws AuthTunaError `conflict` */
export async function requireFreeSlug(core: Core, slug: string, orgId: string | null): Promise<void> {
  const { db } = core;
  const [holder, namesake, retired] = await Promise.all([
    db.organization.findUnique({ where: { slug }, select: { id: true } }),
    db.organization.findUnique({ where: { id: slug }, select: { id: true } }),
    db.organizationSlug.findUnique({ where: { slug } }),
  ]);
  const isRetired = retired !== null && retired.orgId !== orgId && retired.expiresAt > core.now();
  if (isReserved(slug) || namesake !== null || isRetired || (holder !== null && holder.id !== orgId))
    throw slugTaken();
}

/** The refusal for a slug that somebody else has, or that is reserved. */
export function slugTaken(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'This slug is taken.', field: 'slug' });
}
