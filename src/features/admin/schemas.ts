import { z } from 'zod';
import { oneLine } from '../../core/validate.js';
import { BULK_ACTIONS } from './bulk.js';

const cursor = z.string().min(1).max(300).optional();
const limit = z.coerce.number().optional();
const scope = z.string().min(1).max(200);
const name = z.string().min(1).max(100);
const id = z.string().min(1).max(512);
const page = { cursor, limit };
/** A confirmation that a page shows; see `admin.done` of the texts. */
const done = { done: z.string().max(300).optional() };
const reason = oneLine(500);
const moment = z
  .string()
  .max(40)
  .transform((text, context) => {
    const date = new Date(text);
    if (Number.isNaN(date.getTime()))
      context.addIssue({ code: 'custom', message: 'must be a date such as 2030-01-31' });
    return date;
  });
/** Names separated by spaces, commas or lines, as a form sends them, or a list. */
const names = z.union([
  z.array(name).max(200),
  z
    .string()
    .max(10_000)
    .transform((text) => text.split(/[\s,]+/).filter((part) => part !== '')),
]);
const level = z.union([
  z.int().min(0).max(100),
  z.null(),
  z.literal('none').transform(() => null),
  z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number from 0 to 100')
    .transform(Number),
]);

export const pageQuery = z.strictObject({ ...page, ...done });
export const nothing = z.strictObject({ ...done });
export const usersQuery = z.strictObject({
  ...page,
  ...done,
  search: z.string().max(64).optional(),
  role: z.string().max(100).optional(),
  scope: z.string().max(200).optional(),
  status: z.enum(['active', 'suspended', 'deleted', '']).optional(),
});
export const userBody = z.strictObject({
  email: z.string().min(1).max(512),
  username: z.string().min(1).max(128).nullable().optional(),
  password: z.string().min(1).max(1024).optional(),
  emailVerified: z.boolean().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});
export const userChangeBody = z.strictObject({
  email: z.string().min(1).max(512).optional(),
  username: z.string().min(1).max(128).nullable().optional(),
  emailVerified: z.boolean().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});
export const suspendBody = z.strictObject({ reason, until: moment.optional() });
export const reasonBody = z.strictObject({ reason });
export const optionalReasonBody = z.strictObject({ reason: reason.optional() });
export const assignmentBody = z.strictObject({ role: name, scope, expiresAt: moment.optional() });
export const assignmentQuery = z.strictObject({ role: name, scope });
export const roleBody = z.strictObject({
  name,
  description: z.string().max(500).optional(),
  level: level.optional(),
  permissions: names.optional(),
  includes: names.optional(),
  at: names.optional(),
});
export const roleChangeBody = z.strictObject({
  description: z.string().max(500).nullable().optional(),
  level: level.optional(),
  includes: names.optional(),
  at: names.optional(),
});
export const permissionNameBody = z.strictObject({ permission: name });
export const roleNameBody = z.strictObject({ role: name });
export const permissionBody = z.strictObject({
  name,
  description: z.string().max(500).optional(),
  tool: z.string().max(100).optional(),
});
export const permissionChangeBody = z.strictObject({
  description: z.string().max(500).nullable().optional(),
  tool: z.string().max(100).nullable().optional(),
});
export const scopesQuery = z.strictObject({ ...page, ...done, parent: z.string().max(200).optional() });
export const scopeBody = z.strictObject({
  id: scope,
  parent: scope.nullable().optional(),
  name: oneLine(200).optional(),
  ownerId: z.string().min(1).max(64).nullable().optional(),
});
export const scopeMoveBody = z.strictObject({ parent: scope.nullable() });
export const whyQuery = z.strictObject({
  user: z.string().max(512).optional(),
  permission: z.string().max(100).optional(),
  scope: z.string().max(200).optional(),
});
export const mailsQuery = z.strictObject({
  ...page,
  ...done,
  status: z.enum(['waiting', 'dead', 'sent']).optional(),
});
export const statsQuery = z.strictObject({
  ...done,
  days: z.coerce.number().int().min(1).max(90).optional(),
});
const auditFilter = {
  type: z.string().max(100).optional(),
  actor: id.optional().or(z.literal('')),
  target: id.optional().or(z.literal('')),
  scope: z.string().max(200).optional(),
  within: z.string().max(200).optional(),
  outcome: z.enum(['success', 'failure', 'denied', '']).optional(),
  from: z.union([z.literal(''), moment]).optional(),
  to: z.union([z.literal(''), moment]).optional(),
  q: z.string().max(64).optional(),
};
export const auditQuery = z.strictObject({ ...page, ...auditFilter });
export const auditExportQuery = z.strictObject({
  ...auditFilter,
  format: z.enum(['jsonl', 'csv']).default('jsonl'),
});

const url = z.string().min(1).max(2048);
/** Types as a list, or as a form sends them; `*` for all. */
const events = z.union([
  z.array(name).max(200),
  z
    .string()
    .max(20_000)
    .transform((text): '*' | string[] => {
      const types = text.split(/[\s,]+/).filter((part) => part !== '');
      return types.length === 1 && types[0] === '*' ? '*' : types;
    }),
]);
export const webhookBody = z.strictObject({ url, events });
export const webhookChangeBody = z.strictObject({
  url: url.optional(),
  events: events.optional(),
  enabled: z.boolean().optional(),
});
export const rotateBody = z.strictObject({ overlapSeconds: z.number().optional() });
export const deliveriesQuery = z.strictObject({
  ...page,
  ...done,
  status: z.enum(['waiting', 'delivered', 'dead']).optional(),
});

const orgName = z.string().min(1).max(200);
const slug = z.string().min(1).max(100);
/** The manager of organizations reads these more closely. */
export const orgsQuery = z.strictObject({
  ...page,
  ...done,
  search: z.string().max(64).optional(),
  /** Whom the form for a new organization names as its owner. */
  owner: z.string().max(128).optional(),
});
export const orgBody = z.strictObject({ name: orgName, slug: slug.optional() });
export const newOrgBody = orgBody.extend({ ownerId: z.string().min(1).max(128).optional() });
export const orgChangeBody = z.strictObject({
  name: orgName.optional(),
  slug: slug.optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  policy: z
    .strictObject({
      requireSecondFactor: z.boolean().optional(),
      sessionMaxSeconds: z.number().nullable().optional(),
      allowedEmailDomains: z.array(z.string().max(253)).max(50).optional(),
      joinByDomain: z.boolean().optional(),
    })
    .optional(),
});
/** What the form sends: a box that is not ticked is not sent, and no domains are none. */
export const orgPolicyForm = z.strictObject({
  requireSecondFactor: z.boolean().default(false),
  joinByDomain: z.boolean().default(false),
  allowedEmailDomains: names.default([]),
});
export const transferBody = z.strictObject({ userId: id });
export const apiKeysQuery = z.strictObject({ ...page, ...done, user: z.string().max(512).optional() });
export const serviceAccountsQuery = z.strictObject({ ...page, ...done, org: z.string().max(128).optional() });
export const serviceAccountBody = z.strictObject({ orgId: z.string().min(1).max(128), name: oneLine(64) });
/** The manager of API keys reads these more closely. */
export const keyBody = z.strictObject({
  name: oneLine(64),
  kind: z.enum(['secret', 'publishable', 'master', 'test']).optional(),
  grants: z
    .array(z.strictObject({ role: name, scope }))
    .max(50)
    .optional(),
  expiresInSeconds: z.number().optional(),
  allowedIps: z.array(z.string().max(64)).max(20).optional(),
});
const DAY = 86_400;
export const keyForm = z
  .strictObject({ name: oneLine(64), lifetimeDays: z.enum(['30', '90', '366']).default('90') })
  .transform(({ name: label, lifetimeDays }) => ({
    name: label,
    expiresInSeconds: Number(lifetimeDays) * DAY,
  }));

const MAX_AT_ONCE = 50; // a form of more fields than 64 is refused
/** One id is a text, in an address and in a form. */
const users = z
  .union([id.transform((one) => [one]), z.array(id)])
  .refine((ids) => ids.length >= 1 && ids.length <= MAX_AT_ONCE, `must be 1 to ${MAX_AT_ONCE} ids`);
const action = z.enum(BULK_ACTIONS);
export const bulkQuery = z.strictObject({ ...done, action, users });
export const bulkBody = z
  .strictObject({ action, users, reason: reason.optional(), until: moment.optional() })
  .superRefine((body, context) => {
    if (body.action === 'suspend' && body.reason === undefined)
      context.addIssue({ code: 'invalid_type', expected: 'string', path: ['reason'], input: undefined });
  });
