import { z } from 'zod';
import { oneLine } from '../../core/validate.js';

export const createInput = z.strictObject({ orgId: z.string().min(1).max(128), name: oneLine(64) });

export const listQuery = z.strictObject({
  orgId: z.string().min(1).max(128).optional(),
  cursor: z.string().min(1).max(64).optional(),
  limit: z.number().optional(),
});
