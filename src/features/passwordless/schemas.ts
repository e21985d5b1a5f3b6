import { z } from 'zod';

const email = z.string().min(1).max(320);

export const requestBody = z.strictObject({ email });

export const consumeLinkBody = z.strictObject({
  token: z.string().min(1).max(128),
  /** As it is shown in the asking browser: eight letters and digits, grouped or not. */
  code: z.string().min(1).max(16).optional(),
  /** For a link that makes an account. */
  username: z.string().max(128).optional(),
  data: z.record(z.string().max(64), z.unknown()).optional(),
});

export const consumeCodeBody = z.strictObject({ email, code: z.string().min(1).max(12) });
