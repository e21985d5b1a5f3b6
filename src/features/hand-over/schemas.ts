import { z } from 'zod';

const origin = z
  .string()
  .max(256)
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text,
    'must be an origin, such as https://files.example.com',
  );

const fields = { audience: origin, nonce: z.string().min(16).max(128) };

export const issueInput = z.strictObject(fields);
export const acceptInput = z.strictObject(fields);
