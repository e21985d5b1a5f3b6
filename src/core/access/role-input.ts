import { invalid, requireKnownFields } from '../refusals.js';
import { isPermissionName, isPermissionPattern } from './scope-name.js';

export interface RoleInput {
  name: string;
  description?: string;
  level?: number | null;
  permissions?: readonly string[];
  includes?: readonly string[];
  at?: readonly string[];
  /** The scope that defines this role for itself; visible and assignable only there and below. */
  ownedBy?: string;
}

export interface RoleChange {
  description?: string | null;
  level?: number | null;
  at?: readonly string[];
  includes?: readonly string[];
  /** Replaces them all. */
  permissions?: readonly string[];
}

/** The fields of {@link RoleChange}, for `requireKnownFields`. */
export const CHANGE_FIELDS = ['description', 'level', 'permissions', 'includes', 'at'];
const INPUT_FIELDS = ['name', ...CHANGE_FIELDS, 'ownedBy'];

const ROLE_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const SCOPE_TYPE = /^[a-z][a-z0-9_-]*$/;

/** @throws AuthTunaError `invalid_input` */
export function checkInput(input: RoleInput): void {
  requireKnownFields(input, INPUT_FIELDS);
  const problem = checkRole(input);
  if (problem !== null) throw invalid(problem.field, 'invalid_format', problem.message);
}

/** What is wrong with a role as it was described, or null. */
export function checkRole(input: RoleInput): { field: string; message: string } | null {
  if (!ROLE_NAME.test(input.name))
    return { field: 'name', message: 'must be lower-case letters, digits, - and _, beginning with a letter' };
  const { level } = input;
  if (level !== undefined && level !== null && (!Number.isInteger(level) || level < 0 || level > 100)) {
    return { field: 'level', message: 'must be a whole number from 0 to 100, or null' };
  }
  const odd = input.permissions?.find((entry) => !isPermissionName(entry) && !isPermissionPattern(entry));
  if (odd !== undefined)
    return {
      field: 'permissions',
      message: `${odd} is neither a permission such as project:read nor a pattern such as project:*`,
    };
  const type = input.at?.find((entry) => !SCOPE_TYPE.test(entry));
  return type === undefined
    ? null
    : { field: 'at', message: `${type} is not a type of scope, such as project` };
}
