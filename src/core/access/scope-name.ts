/** What a scope's name says: `project:42` is `{ type: 'project', id: '42' }`; `global` has the empty id. */
export interface ScopeName {
  type: string;
  id: string;
}

const GLOBAL = 'global';

// No `*`, `/`, `%` or `:` in an id, so none can smuggle a separator into a path or into another scope.
const SCOPE = /^([a-z][a-z0-9_-]{0,63}):([A-Za-z0-9._~-]{1,128})$/;

const MAX_PERMISSION_LENGTH = 100;
const PERMISSION = /^[a-z0-9_-]+(?::[a-z0-9_-]+)+$/;
const PREFIX_PATTERN = /^[a-z0-9_-]+(?::[a-z0-9_-]+)*:\*$/;

/**
 * The parts of `global` or `type:id`, or null for anything else.
 *
 * Types have at most 64 characters, ids 128. `global` is a kind of its own: `global:1` is refused.
 * The value is taken as it stands; a route parameter is decoded before, never after.
 */
export function parseScope(scope: unknown): ScopeName | null {
  if (typeof scope !== 'string') return null;
  if (scope === GLOBAL) return { type: GLOBAL, id: '' };
  const [, type, id] = SCOPE.exec(scope) ?? [];
  return type === undefined || id === undefined || type === GLOBAL ? null : { type, id };
}

/** Whether the value is `global` or a well-formed `type:id`. */
export function isScope(scope: unknown): scope is string {
  return parseScope(scope) !== null;
}

/** Whether the value names one permission: two or more segments such as `org:teams:invite`, at most 100 characters. */
export function isPermissionName(name: unknown): name is string {
  return typeof name === 'string' && name.length <= MAX_PERMISSION_LENGTH && PERMISSION.test(name);
}

/** Whether the value is `*` or ends in `:*` after whole segments; a star stands nowhere else. */
export function isPermissionPattern(pattern: unknown): pattern is string {
  if (pattern === '*') return true;
  return (
    typeof pattern === 'string' && pattern.length <= MAX_PERMISSION_LENGTH && PREFIX_PATTERN.test(pattern)
  );
}

/**
 * Whether a role's entry (a name or a pattern) covers a permission, or covers another pattern whole.
 *
 * Both sides have passed `isPermissionName` or `isPermissionPattern` before.
 */
export function matches(pattern: string, permission: string): boolean {
  if (pattern === permission || pattern === '*') return true;
  return pattern.endsWith(':*') && permission.startsWith(pattern.slice(0, -1));
}
