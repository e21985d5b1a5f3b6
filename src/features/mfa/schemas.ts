import { z } from 'zod';
import { codeField } from '../../core/typed.js';

const code = codeField();

export const codeBody = z.strictObject({ code });

export const verifyBody = z.strictObject({ code, trustDevice: z.boolean().optional() });

export const tokenBody = z.strictObject({ token: z.string().min(1).max(128) });
