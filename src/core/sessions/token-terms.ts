import { z } from 'zod';
import { isPermissionName, isPermissionPattern } from '../access/scope-name.js';

const MAX_SCOPES = 50;

/** Permissions and patterns, separated by single spaces, such as `project:read post:*`. @see RFC 6749 section 3.3 */
export const tokenScope = z
  .string()
  .min(1)
  .max(2048)
  .refine((text) => {
    const names = text.split(' ');
    return (
      names.length <= MAX_SCOPES && names.every((name) => isPermissionName(name) || isPermissionPattern(name))
    );
  }, 'must be names of permissions, such as project:read post:*, separated by single spaces');

/** The name by which a program calls itself: up to 64 letters, digits, `_`, `.` and `-`. */
export const tokenClientId = z.string().regex(/^[\w.-]{1,64}$/, 'must have letters, digits, _ . and - only');
