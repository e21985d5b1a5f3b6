import { type Actor, AuthTunaError, SYSTEM } from '../../src/index.js';
import type { TestInstance } from './app.js';

/** A user as an actor. */
export const as = (userId: string): Actor => ({ userId, ip: null, userAgent: null });

/** A person who holds `user` and, if named, one more role. @returns the id */
export async function person(
  { authTuna }: Pick<TestInstance, 'authTuna'>,
  name: string,
  role?: string,
  scope = 'global',
): Promise<string> {
  const { id } = await authTuna.users.create({ email: `${name}@example.com` });
  if (role !== undefined) await authTuna.roles.assign({ userId: id, role, scope }, SYSTEM);
  return id;
}

/** `done`, or the code of the refusal. */
export function codeOf(change: Promise<unknown>): Promise<string> {
  return change.then(
    () => 'done',
    (error: unknown) => {
      if (error instanceof AuthTunaError) return error.code;
      throw error;
    },
  );
}

/** The answer to each of several calls that run at once. */
export async function codesOf(calls: Record<string, Promise<unknown>>): Promise<Record<string, string>> {
  const answers = Object.entries(calls).map(async ([what, call]) => [what, await codeOf(call)] as const);
  return Object.fromEntries(await Promise.all(answers));
}

/** That code as the answer to each of them. */
export function every(calls: Record<string, unknown>, code: string): Record<string, string> {
  return Object.fromEntries(Object.keys(calls).map((what) => [what, code]));
}
