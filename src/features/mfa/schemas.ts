import { z } from 'zod';

const code = z.string().min(1).max(64);

export const codeBody = z.strictObject({ code });

export const verifyBody = z.strictObject({ code, trustDevice: z.boolean().optional() });

export const tokenBody = z.strictObject({ token: z.string().min(1).max(128) });
