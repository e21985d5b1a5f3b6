import type { Actor } from '../../actor.js';
import { mayAssign } from '../../core/access/delegation.js';
import { GLOBAL_CHAIN } from '../../core/access/grants.js';
import { userStays } from '../../core/access/org-owners.js';
import type { CompiledRole } from '../../core/access/role-catalog.js';
import { standingAt } from '../../core/access/role-core.js';
import { addNode } from '../../core/access/scope-nodes.js';
import type { Core } from '../../core/core.js';
import { requireHostColumns } from '../../core/host-columns.js';
import { noUser } from '../../core/refusals.js';
import { SERVICE } from '../../core/users/service-account.js';
import { newId } from '../../crypto/random.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError, misconfigured } from '../../errors.js';
import { type OrgRow, requireOrg, scopeOf } from './organization.js';
import { requireFreeSlug, slugOf, slugTaken } from './slugs.js';

export interface OrgInput {
  name: string;
  slug?: string | undefined;
  metadata?: Readonly<Record<string, unknown>> | undefined;
  ownerId?: string | undefined;
  /** Columns of the host. */
  data?: Readonly<Record<string, unknown>> | undefined;
}

/** {@link OrgManager.create} */
export async function createOrg(core: Core, input: OrgInput, actor: Actor): Promise<OrgRow> {
  await core.access.require(actor, 'org:create');
  const ownerId = input.ownerId ?? actor.userId;
  if (ownerId !== null && ownerId !== actor.userId) await requireMayFoundFor(core, ownerId, actor);
  const owner = ownerId === null ? null : await core.db.user.findUnique({ where: { id: ownerId } });
  if (ownerId !== null && (owner === null || owner.deletedAt !== null)) throw noUser();
  if (owner?.kind === SERVICE)
    throw new AuthTunaError('forbidden', { message: 'A service account cannot own an organization.' });
  const ownerRole = await ownerRoleOf(core);
  requireHostColumns('organization', input.data);

  const { db, config } = core;
  const id = newId(config.random);
  const scope = scopeOf(id);
  const now = core.now();
  const slug = await freeSlugFor(core, input);
  const row = {
    ...input.data,
    id,
    slug,
    name: input.name,
    metadata: JSON.stringify(input.metadata ?? {}),
    ownerCount: ownerId === null ? 0 : 1,
    createdAt: now,
    updatedAt: now,
  };
  const node = { id: scope, parentId: null, ownerId: null, name: input.name, registeredById: null };
  await addNode(core, node, () => ({
    writes: [
      ...(ownerId === null
        ? []
        : [
            userStays(db, ownerId),
            db.roleAssignment.create({
              data: {
                userId: ownerId,
                roleId: ownerRole.id,
                scope,
                assignedById: actor.userId,
                assignedAt: now,
              },
            }),
          ]),
      db.organizationSlug.deleteMany({ where: { slug, expiresAt: { lte: now } } }),
      db.organization.create({ data: row }),
    ],
    facts: [
      {
        type: 'org.created',
        actor,
        target: { type: 'org', id },
        scope,
        data: { name: row.name, slug, ownerId },
      },
    ],
    invalidates: ownerId === null ? [] : [`user:${ownerId}`],
  })).catch((error: unknown) => {
    throw isUniqueViolation(error) ? slugTaken() : isMissing(error) ? noUser() : error;
  });
  return requireOrg(core, id);
}

/**
 * Founding for another person is giving that person `org_owner`: who may give it at `global` may. A refusal is recorded.
 *
 * @throws AuthTunaError `forbidden`
 */
async function requireMayFoundFor(core: Core, ownerId: string, actor: Actor): Promise<void> {
  const standing = await standingAt(core, actor, GLOBAL_CHAIN);
  if (standing === null || mayAssign(standing, await ownerRoleOf(core))) return;
  await core.audit.record({
    type: 'org.created',
    actor,
    outcome: 'denied',
    target: { type: 'user', id: ownerId },
    scope: 'global',
  });
  throw new AuthTunaError('forbidden', { message: 'You may not found organizations for others.' });
}

async function ownerRoleOf({ roleStore }: Core): Promise<CompiledRole> {
  const role = (await roleStore.current()).find('org_owner');
  if (role === null) throw misconfigured('The role org_owner is missing: call ready() first');
  return role;
}

/** The slug that was asked for, or one made of the name. @throws AuthTunaError `conflict` for one that is taken */
async function freeSlugFor(core: Core, { name, slug }: OrgInput): Promise<string> {
  if (slug !== undefined) {
    await requireFreeSlug(core, slug, null);
    return slug;
  }
  const { random } = core.config;
  const plain = slugOf(name, random, true);
  return requireFreeSlug(core, plain, null).then(
    () => plain,
    () => slugOf(name, random, false),
  );
}
