import { z } from 'zod';

/** Null takes the username away. */
export const changeBody = z.strictObject({ username: z.string().min(1).max(128).nullable() });
