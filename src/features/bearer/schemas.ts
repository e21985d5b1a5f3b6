import { z } from 'zod';
import { isPermissionName, isPermissionPattern } from '../../core/access/scope-name.js';

export const FIRST_PARTY = 'first-party';
export const SECOND_FACTOR_GRANT = 'urn:authtuna:second-factor';
const MAX_TOKEN = 4096;
const MAX_SCOPES = 50;

/** Permissions and patterns, separated by single spaces, such as `project:read post:*`. @see RFC 6749 section 3.3 */
const scope = z
  .string()
  .min(1)
  .max(2048)
  .refine((text) => {
    const names = text.split(' ');
    return (
      names.length <= MAX_SCOPES && names.every((name) => isPermissionName(name) || isPermissionPattern(name))
    );
  }, 'must be names of permissions, such as project:read post:*, separated by single spaces');
const clientId = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'must have letters, digits, _ . and - only')
  .default(FIRST_PARTY);

// Unknown parameters are ignored on these routes alone: RFC 6749 section 3.2 asks for it, and clients send parameters of extensions.
const password = z.object({
  grant_type: z.literal('password'),
  username: z.string().min(1).max(320),
  password: z.string().min(1).max(1024),
  scope: scope.optional(),
  client_id: clientId,
});
const secondFactor = z.object({
  grant_type: z.literal(SECOND_FACTOR_GRANT),
  pending_token: z.string().min(1).max(128),
  code: z.string().min(1).max(64),
  scope: scope.optional(),
  client_id: clientId,
});
const refreshToken = z.object({
  grant_type: z.literal('refresh_token'),
  refresh_token: z.string().min(1).max(MAX_TOKEN),
  client_id: clientId,
});

export const grantType = z.object({ grant_type: z.string().min(1).max(128) });
export const GRANTS = { password, [SECOND_FACTOR_GRANT]: secondFactor, refresh_token: refreshToken } as const;
export type TokenRequest =
  | z.output<typeof password>
  | z.output<typeof secondFactor>
  | z.output<typeof refreshToken>;

/** For `POST /auth/token/revoke` and `/introspect`. */
export const tokenBody = z.object({ token: z.string().min(1).max(MAX_TOKEN) });

export const issueInput = z.strictObject({
  amr: z
    .array(z.string().regex(/^[a-z_]{1,32}$/))
    .min(1)
    .max(8),
  scope: scope.optional(),
});
