import { z } from 'zod';

const MAX_CHECKS = 50;
const name = z.string().min(1).max(100);
const scope = z.string().min(1).max(200).default('global');

/** A permission or a role, and where. */
const check = z.union([z.strictObject({ permission: name, scope }), z.strictObject({ role: name, scope })]);

/** The credential of a request that another server received, and what it asks about its sender. */
export const verifyBody = z.strictObject({
  cookie: z.string().max(8192).optional(),
  authorization: z.string().max(4200).optional(),
  apiKey: z.string().max(256).optional(),
  ip: z.string().max(64).nullable(),
  userAgent: z.string().max(512).optional(),
  checks: z.array(check).max(MAX_CHECKS).default([]),
});

const text = z.string().min(1).max(256);
export const handOverBody = z.strictObject({ token: text, audience: text, nonce: text });

export const canBody = z.strictObject({ userId: z.string().min(1).max(64), permission: name, scope });
