import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import { changedFields, requireHostColumns } from '../../core/host-columns.js';
import { canonicalDomain } from '../../core/identifiers.js';
import { invalid } from '../../core/refusals.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import { requireAt } from './guard.js';
import { type OrgPolicy, type OrgRow, requireOrg, scopeOf } from './organization.js';
import { requireFreeSlug, slugTaken } from './slugs.js';

const RETIRED_SECONDS = 90 * 86_400; // how long an old slug still leads to its organization

export interface OrgChange {
  name?: string | undefined;
  slug?: string | undefined;
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Columns of the host. */
  data?: Readonly<Record<string, unknown>> | undefined;
  policy?: { [K in keyof OrgPolicy]?: OrgPolicy[K] | undefined } | undefined;
}

/** {@link OrgManager.update} */
export async function updateOrg(core: Core, id: string, change: OrgChange, actor: Actor): Promise<OrgRow> {
  const scope = scopeOf(id);
  await requireAt(core, actor, 'org:manage', scope);
  const before = await requireOrg(core, id);
  requireHostColumns('organization', change.data);
  const { name, slug, metadata } = change;
  const isRenamed = slug !== undefined && slug !== before.slug;
  if (isRenamed) await requireFreeSlug(core, slug, id);
  const now = core.now();
  const { db } = core;
  const retired = { orgId: id, expiresAt: after(now, RETIRED_SECONDS) };
  try {
    await core.ledger.commit({
      writes: [
        ...(name === undefined ? [] : [db.scopeNode.update({ where: { id: scope }, data: { name } })]),
        db.organization.update({
          where: { id, slug: before.slug },
          data: {
            ...change.data,
            updatedAt: now,
            ...(name !== undefined && { name }),
            ...(isRenamed && { slug }),
            ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
            ...policyColumns(change.policy ?? {}),
          },
        }),
        ...(isRenamed
          ? [
              db.organizationSlug.deleteMany({ where: { slug } }),
              db.organizationSlug.upsert({
                where: { slug: before.slug },
                create: { slug: before.slug, ...retired },
                update: retired,
              }),
            ]
          : []),
      ],
      facts: [
        {
          type: 'org.updated',
          actor,
          target: { type: 'org', id },
          scope,
          data: {
            fields: changedFields(change),
            ...(isRenamed && { slug: { from: before.slug, to: slug } }),
            ...(change.policy !== undefined && { policy: change.policy }),
          },
        },
      ],
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw slugTaken();
    if (!isMissing(error)) throw error;
    await requireOrg(core, id);
    throw new AuthTunaError('conflict', {
      message: 'The organization changed at the same moment. Try again.',
    });
  }
  return requireOrg(core, id);
}

function policyColumns({ allowedEmailDomains, ...policy }: NonNullable<OrgChange['policy']>) {
  const { requireSecondFactor, sessionMaxSeconds, joinByDomain } = policy;
  return {
    ...(requireSecondFactor !== undefined && { requireSecondFactor }),
    ...(sessionMaxSeconds !== undefined && { sessionMaxSeconds }),
    ...(joinByDomain !== undefined && { joinByDomain }),
    ...(allowedEmailDomains !== undefined && {
      allowedEmailDomains: [...new Set(allowedEmailDomains.map(requireDomain))].join(' '),
    }),
  };
}

function requireDomain(name: string): string {
  const domain = canonicalDomain(name);
  if (domain === null)
    throw invalid(
      'policy.allowedEmailDomains',
      'invalid_format',
      `${name} is not a domain such as acme.example`,
    );
  return domain;
}
