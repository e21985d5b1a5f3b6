import { describeFields } from './schema/client-schema.js';

/** A new user as the function that makes the host's row sees it. */
export interface NewHostUser {
  /** The id of our user. */
  id: string;
  email: string;
  username: string | null;
  /** Fields of `signUp.fields` and of `users.create` that are no columns of our user model. */
  data: Readonly<Record<string, unknown>>;
}

/** How the host's own user row is made, together with ours. */
export interface HostUserMapping {
  /** The relation of our user model that leads to the host's. */
  relation: string;
  create(user: NewHostUser): Record<string, unknown>;
  /** The columns of our user model, those that the host added included. */
  columns: ReadonlySet<string>;
  /** The columns of the relation; where they are given, the host's row exists already. */
  foreignKeys: readonly string[];
}

/** Adds the creation of the host's row to the creation of ours: Prisma writes both in one transaction. */
export function withHostUser(
  args: Record<string, unknown> | undefined,
  { relation, create, columns, foreignKeys }: HostUserMapping,
): Record<string, unknown> {
  const given = (args?.data ?? {}) as Record<string, unknown>;
  if (foreignKeys.some((column) => given[column] !== undefined)) return { ...args };
  const entries = Object.entries(given);
  const own = Object.fromEntries(entries.filter(([name]) => columns.has(name)));
  const others = Object.fromEntries(entries.filter(([name]) => !columns.has(name) && name !== relation));
  const nested = given[relation] ?? {
    create: create({
      id: String(own.id),
      email: String(own.email),
      username: typeof own.username === 'string' ? own.username : null,
      data: others,
    }),
  };
  return { ...args, data: { ...own, [relation]: nested } };
}

/** The columns of a model of a client that are no part of a relation. */
export function columnsOf(client: object, model: string): ReadonlySet<string> {
  return new Set(
    describeFields(client, model)
      .filter(({ kind }) => kind !== 'object')
      .map(({ name }) => name),
  );
}
