import { z } from 'zod';

const EVENT = /^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+$/;
const MAX_OVERLAP_SECONDS = 30 * 86_400;

const url = z.string().min(1).max(2048).regex(/^\S*$/, 'must not hold spaces');
const events = z.union([
  z.literal('*'),
  z.array(z.string().max(100).regex(EVENT, 'must look like user.created')).min(1).max(200),
]);
const page = { cursor: z.string().min(1).max(64).optional(), limit: z.number().optional() };

export const createInput = z.strictObject({ url, events });
export const updateInput = z.strictObject({
  url: url.optional(),
  events: events.optional(),
  enabled: z.boolean().optional(),
});
export const rotateInput = z.strictObject({
  overlapSeconds: z.int().min(0).max(MAX_OVERLAP_SECONDS).default(86_400),
});
export const listQuery = z.strictObject(page);
export const deliveriesQuery = z.strictObject({
  ...page,
  status: z.enum(['waiting', 'delivered', 'dead']).optional(),
});
