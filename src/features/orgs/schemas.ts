import { z } from 'zod';
import { nameField } from '../../core/typed.js';
import { SLUG, SLUG_RULE } from './slugs.js';

const MAX_METADATA = 4096; // characters of JSON

// What stands in mails and headings: one line without direction marks and without anything that a mail client would turn into a link.
const name = z
  .string()
  .trim()
  .min(1)
  .max(128)
  .refine((text) => [...text].length <= 64, 'must have at most 64 characters')
  .refine((text) => /^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]*$/u.test(text), 'must be one line of text')
  .refine((text) => !/:\/\/|\bwww\./i.test(text), 'must not hold an address of the web');
const slug = z.string().regex(SLUG, SLUG_RULE);
const metadata = z
  .record(z.string().max(64), z.json())
  .refine(
    (value) => JSON.stringify(value).length <= MAX_METADATA,
    `must have at most ${MAX_METADATA} characters`,
  );
/** Columns of the host, checked apart. */
const data = z.record(z.string().max(64), z.unknown()).optional();
const id = z.string().min(1).max(128);
const scope = z.string().min(1).max(200);
const role = z.string().min(1).max(64);
const message = z
  .string()
  .trim()
  .max(500)
  .refine((text) => /^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]*$/u.test(text), 'must be one line of text')
  .refine((text) => !/:\/\/|\bwww\./i.test(text), 'must not hold an address of the web');

const policy = z.strictObject({
  requireSecondFactor: z.boolean().optional(),
  sessionMaxSeconds: z.number().int().min(300).max(34_560_000).nullable().optional(),
  allowedEmailDomains: z.array(z.string().min(3).max(253)).max(50).optional(),
  joinByDomain: z.boolean().optional(),
});

export const orgInput = z.strictObject({
  name,
  slug: slug.optional(),
  metadata: metadata.optional(),
  data,
  /** For scripts, which act without a user, and for administrators who found it for another person. */
  ownerId: id.optional(),
});
export const orgBody = orgInput.omit({ ownerId: true });
export const orgChange = z.strictObject({
  name: name.optional(),
  slug: slug.optional(),
  metadata: metadata.optional(),
  data,
  policy: policy.optional(),
});
export const settingsBody = z.strictObject({ name: name.optional(), slug: slug.optional(), data });
export const transferInput = z.strictObject({ toUserId: id });
export const transferBody = z.strictObject({ userId: id });

export const memberInput = z.strictObject({ userId: id, role });
export const roleBody = z.strictObject({ role });

export const invitationInput = z.strictObject({
  email: z.string().min(1).max(320),
  role,
  message: message.optional(),
});

// Forms send texts.
const wholeNumber = z.union([
  z.number(),
  z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number),
]);
export const linkInput = z.strictObject({
  role,
  maxUses: wholeNumber.pipe(z.number().int().min(1).max(1000)),
  expiresInSeconds: wholeNumber
    .pipe(
      z
        .number()
        .int()
        .min(300)
        .max(30 * 86_400),
    )
    .optional(),
});

export const acceptBody = z.strictObject({ token: z.string().min(1).max(512) });

/** For a mailbox without an account. */
export const invitedSignUp = acceptBody.extend({
  username: nameField(128).nullish(),
  password: z.string().max(1024).default(''),
  data: z.record(z.string().max(64), z.unknown()).optional(),
});

export const projectInput = z.strictObject({
  orgId: id,
  name,
  slug: slug.optional(),
  metadata: metadata.optional(),
  data,
});
export const projectBody = projectInput.omit({ orgId: true });
export const projectChange = z.strictObject({
  name: name.optional(),
  slug: slug.optional(),
  metadata: metadata.optional(),
  data,
});
export const projectSettings = projectChange.pick({ name: true, data: true });
export const projectMove = z.strictObject({ orgId: id });

export const teamInput = z.strictObject({ parent: scope, name });
export const teamBody = z.strictObject({ name, parent: scope.optional() });
export const teamChange = z.strictObject({ name: name.optional() });
/** The form of a team; a team has no columns of the host. */
export const teamSettings = teamChange.extend({ data });
export const parentInput = z.strictObject({ parent: scope });

export const resourceInput = z.strictObject({
  type: z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must be a type of scope, such as document'),
  parent: scope,
  name: name.nullable().optional(),
  ownerId: id.nullable().optional(),
});
export const resourceChange = z.strictObject({ name: name.nullable().optional() });

const page = { cursor: z.string().max(200).optional(), limit: z.coerce.number().int().optional() };
const search = z.string().max(64).optional();
export const pageQuery = z.strictObject(page);
export const searchQuery = z.strictObject({ ...page, search });
export const teamQuery = z.strictObject({ ...page, parent: scope.optional() });

const roleFields = {
  description: z.string().trim().max(200),
  level: z.number().int().min(0).max(100).nullable(),
  permissions: z.array(z.string().max(100)).max(100),
  includes: z.array(role).max(20),
  at: z.array(z.string().max(64)).max(20),
};
export const orgRoleBody = z.strictObject({ name: role, ...z.object(roleFields).partial().shape });
export const orgRoleChange = z.strictObject({
  ...z.object(roleFields).partial().shape,
  description: roleFields.description.nullable().optional(),
});
