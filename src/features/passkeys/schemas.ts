import { z } from 'zod';
import { nameField } from '../../core/typed.js';

const base64url = (max: number) =>
  z
    .string()
    .regex(/^[\w-]*$/, 'must be base64url')
    .max(max);
const extensions = z.record(z.string(), z.unknown()).default({});

/** `PublicKeyCredential.toJSON()` after `create()`. */
export const registrationResponse = z.object({
  id: base64url(1400).min(1),
  rawId: base64url(1400).min(1),
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
  clientExtensionResults: extensions,
  response: z.object({
    clientDataJSON: base64url(4096).min(1),
    attestationObject: base64url(16_384).min(1),
    transports: z.array(z.string().max(32)).max(10).optional(),
  }),
});

/** `PublicKeyCredential.toJSON()` after `get()`. */
export const authenticationResponse = z.object({
  id: base64url(1400).min(1),
  rawId: base64url(1400).min(1),
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
  clientExtensionResults: extensions,
  response: z.object({
    clientDataJSON: base64url(4096).min(1),
    authenticatorData: base64url(2048).min(1),
    signature: base64url(2048).min(1),
    userHandle: base64url(88).nullish(),
  }),
});

export const registerOptionsBody = z.strictObject({
  email: z.string().max(320).default(''),
  username: nameField(128).optional(),
  data: z.record(z.string().max(64), z.unknown()).optional(),
});

/** What the ceremony is for; left out, the waiting sign-in is completed, else the session raised, else a sign-in made. */
export const signInOptionsBody = z.strictObject({
  purpose: z.enum(['sign_in', 'second_factor', 'step_up']).optional(),
});

export const signInBody = authenticationResponse.extend({
  ...signInOptionsBody.shape,
  rememberMe: z.boolean().optional(),
});

export const registerBody = registrationResponse.extend({ name: z.string().max(64).optional() });

export const renameBody = z.strictObject({ name: z.string().trim().min(1).max(64) });

export type RegistrationResponse = z.output<typeof registrationResponse>;
export type AuthenticationResponse = z.output<typeof authenticationResponse>;
