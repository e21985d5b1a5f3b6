import { z } from 'zod';
import { codeField, nameField } from '../../core/typed.js';

const email = z.string().min(1).max(320);

export const requestBody = z.strictObject({ email });

export const consumeLinkBody = z.strictObject({
  token: z.string().min(1).max(128),
  /** As it is shown in the asking browser: eight letters and digits, grouped or not. */
  code: codeField().optional(),
  rememberMe: z.boolean().optional(),
  /** For a link that makes an account. */
  username: nameField(128).optional(),
  data: z.record(z.string().max(64), z.unknown()).optional(),
});

export const consumeCodeBody = z.strictObject({
  email,
  code: codeField(),
  rememberMe: z.boolean().optional(),
});
