/** Every permission a catalog stands for: `{ project: ['read'] }` is `project:read`. */
export type PermissionOf<C extends Readonly<Record<string, readonly string[]>>> = {
  [R in keyof C & string]: `${R}:${C[R][number]}`;
}[keyof C & string];

/**
 * Declares permissions so that their names become types: a guard with a misspelled one does not compile.
 *
 * @example
 * const permissions = definePermissions({ project: ['read', 'update'], post: ['create'] });
 */
export function definePermissions<const C extends Readonly<Record<string, readonly string[]>>>(
  catalog: C,
): C {
  return Object.freeze(catalog);
}
