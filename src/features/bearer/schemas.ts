import { z } from 'zod';
import { tokenClientId, tokenScope } from '../../core/sessions/token-terms.js';
import { codeField, nameField } from '../../core/typed.js';

export const FIRST_PARTY = 'first-party';
export const SECOND_FACTOR_GRANT = 'urn:authtuna:second-factor';
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'; // RFC 8628 section 3.4
const MAX_TOKEN = 4096;

const clientId = tokenClientId.default(FIRST_PARTY);

// Unknown parameters are ignored on these routes alone: RFC 6749 section 3.2 asks for it, and clients send parameters of extensions.
const password = z.object({
  grant_type: z.literal('password'),
  username: nameField(320).pipe(z.string().min(1)),
  password: z.string().min(1).max(1024),
  scope: tokenScope.optional(),
  client_id: clientId,
});
const secondFactor = z.object({
  grant_type: z.literal(SECOND_FACTOR_GRANT),
  pending_token: z.string().min(1).max(128),
  code: codeField(),
  scope: tokenScope.optional(),
  client_id: clientId,
});
const refreshToken = z.object({
  grant_type: z.literal('refresh_token'),
  refresh_token: z.string().min(1).max(MAX_TOKEN),
  client_id: clientId,
});

const deviceCode = z.object({
  grant_type: z.literal(DEVICE_GRANT),
  device_code: z.string().min(1).max(128),
  client_id: tokenClientId,
});

export const grantType = z.object({ grant_type: z.string().min(1).max(128) });
export const GRANTS = {
  password,
  [SECOND_FACTOR_GRANT]: secondFactor,
  refresh_token: refreshToken,
  [DEVICE_GRANT]: deviceCode,
} as const;
export type TokenRequest =
  | z.output<typeof password>
  | z.output<typeof secondFactor>
  | z.output<typeof refreshToken>
  | z.output<typeof deviceCode>;

/** For `POST /auth/token/revoke` and `/introspect`. */
export const tokenBody = z.object({ token: z.string().min(1).max(MAX_TOKEN) });

export const issueInput = z.strictObject({
  amr: z
    .array(z.string().regex(/^[a-z_]{1,32}$/))
    .min(1)
    .max(8),
  scope: tokenScope.optional(),
});
