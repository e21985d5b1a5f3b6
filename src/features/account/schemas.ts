import { z } from 'zod';
import { nameField } from '../../core/typed.js';

/** At least one of them. Null takes the username away; `data` holds fields of `signUp.fields`. */
export const changeBody = z
  .strictObject({
    username: nameField(128).nullable().optional(),
    data: z.record(z.string().max(64), z.unknown()).optional(),
  })
  .refine(({ username, data }) => username !== undefined || data !== undefined, {
    message: 'is required, or data',
    path: ['username'],
  });
