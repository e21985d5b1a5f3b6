import { z } from 'zod';
import { oneLine } from '../../core/validate.js';
import { parseCidr } from '../../net/addresses.js';
import { KEY_KINDS } from './format.js';

const DAY = 86_400;
export const DEFAULT_LIFETIME_SECONDS = 90 * DAY;
/** @see docs/requirements.md AK-6 */
export const MAX_LIFETIME_SECONDS = 366 * DAY;
const MIN_LIFETIME_SECONDS = 60;
export const DEFAULT_OVERLAP_SECONDS = DAY;
const MAX_OVERLAP_SECONDS = 30 * DAY;
const MAX_GRANTS = 50;
const MAX_ADDRESSES = 20;

const grant = z.strictObject({ role: z.string().min(1).max(100), scope: z.string().min(1).max(200) });

/** An address or a network in its one spelling: `192.0.2.0/24`. */
const network = z
  .string()
  .max(64)
  .transform((text, context) => {
    const cidr = parseCidr(text.trim());
    if (cidr !== null) return `${cidr.address}/${cidr.prefix}`;
    context.addIssue({ code: 'custom', message: 'must be an address or a network such as 192.0.2.0/24' });
    return z.NEVER;
  });

const fields = {
  name: oneLine(64),
  kind: z.enum(KEY_KINDS).default('secret'),
  grants: z.array(grant).max(MAX_GRANTS).optional(),
  expiresInSeconds: z
    .int()
    .min(MIN_LIFETIME_SECONDS)
    .max(MAX_LIFETIME_SECONDS)
    .default(DEFAULT_LIFETIME_SECONDS),
  allowedIps: z.array(network).max(MAX_ADDRESSES).default([]),
};

/** What a person says of a new key of their own. */
export const createBody = z.strictObject(fields);

/** What code says of a new key. */
export const createInput = z.strictObject({
  ...fields,
  userId: z.string().min(1).max(64),
  rateLimit: z
    .strictObject({ limit: z.int().min(1).max(1_000_000), windowSeconds: z.int().min(1).max(DAY) })
    .optional(),
});

export const rotateBody = z.strictObject({
  overlapSeconds: z.int().min(0).max(MAX_OVERLAP_SECONDS).optional(),
});

export const leakedBody = z.strictObject({ key: z.string().min(1).max(256) });

/** What the page's form sends: a lifetime in days, and each grant as `role scope`. */
export const createForm = z
  .strictObject({
    name: fields.name,
    lifetimeDays: z.enum(['30', '90', '366']).default('90'),
    grants: z.union([z.string(), z.array(z.string()).max(MAX_GRANTS)]).optional(),
  })
  .transform(({ name, lifetimeDays, grants }) => ({
    name,
    expiresInSeconds: Number(lifetimeDays) * DAY,
    ...(grants !== undefined && {
      grants: [grants].flat().map((text) => {
        const [role = '', scope = ''] = text.split(' ');
        return { role, scope };
      }),
    }),
  }));

export const pageQuery = z.strictObject({
  cursor: z.string().min(1).max(64).optional(),
  limit: z.coerce.number().int().min(1).max(100).optional(),
});
