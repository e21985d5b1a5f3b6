import { z } from 'zod';
import { nameField } from '../../core/typed.js';

const parameter = z.string().min(1).max(4096);

/** The query of a callback, or the fields of its form. Providers add parameters of their own, which are left out. */
export const callbackParameters = z.object({
  code: parameter.optional(),
  state: parameter.max(128).optional(),
  error: parameter.optional(),
  error_description: parameter.optional(),
  iss: parameter.optional(),
  user: parameter.optional(),
});

export const startQuery = z.object({
  rememberMe: z.literal('true').optional(),
  /** For `sso`: whose domain says where to go. */
  email: z.string().min(3).max(320).optional(),
});

export const completeBody = z.strictObject({
  token: z.string().min(1).max(128),
  username: nameField(128).optional(),
  data: z.record(z.string().max(64), z.unknown()).optional(),
});

export const linkBody = z.strictObject({ returnTo: z.string().max(2048).optional() });
