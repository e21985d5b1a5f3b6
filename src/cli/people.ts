import { AuthTunaError } from '../errors.js';
import type { Parts } from '../parts.js';

type User = Awaited<ReturnType<Parts['authTuna']['users']['get']>>;

/** The user of an address, a username or an id. @throws AuthTunaError `not_found` */
export async function findPerson({ users }: Parts['authTuna'], who: string): Promise<User> {
  const user = (await users.findByEmail(who)) ?? (await users.findByUsername(who)) ?? (await users.find(who));
  if (user === null) throw new AuthTunaError('not_found', { message: `There is no user ${who}.` });
  return user;
}
