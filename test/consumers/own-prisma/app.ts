// Compiled, not run: what a host with its own client may write, and what must not compile.
import type { Request } from 'express';
import type { User } from '../../../src/auth.js';
import { type ExtraColumns, guardDb, type PrismaLike, type UserOf } from '../../../src/db/client.js';
import type { PrismaClient as PostgresqlClient } from './generated/postgresql/client/client.js';
import type { PrismaClient as SqliteClient } from './generated/sqlite/client/client.js';

declare const prisma: PostgresqlClient;
declare const onSqlite: SqliteClient;

declare global {
  namespace Express {
    interface User extends UserOf<typeof prisma> {}
  }
}

function create<P extends PrismaLike>(options: { prisma: P }): UserOf<P> {
  guardDb(options.prisma);
  return null as unknown as UserOf<P>;
}

const user = create({ prisma });
export const plan: string = user.plan;
export const base: User = user;
export const extra: ExtraColumns<typeof user> = {
  plan: 'pro',
  displayName: null,
  passwordHash: null,
};
export const samePlan: string = create({ prisma: onSqlite }).plan;
export const planOf = (req: Request & { user: Express.User }): string => req.user.plan;

// @ts-expect-error plan is a string
export const number: number = user.plan;
// @ts-expect-error the epoch is ours alone
export const epoch = user.sessionEpoch;
// @ts-expect-error nor is the look-alike key shown
export const key = user.usernameKey;
// @ts-expect-error an address is no column of the host's own
export const more: ExtraColumns<typeof user> = { plan: 'pro', displayName: null, email: 'x' };
// @ts-expect-error relations are no columns
export const posts = user.posts;

declare const withoutSessions: Omit<PostgresqlClient, 'session'>;
// @ts-expect-error a client lacks a model
create({ prisma: withoutSessions });

declare const wrongColumn: Omit<PostgresqlClient, 'counter'> & { counter: PostgresqlClient['lease'] };
// @ts-expect-error a model lacks our columns
create({ prisma: wrongColumn });

const db = guardDb(prisma);
export const rows: Promise<[{ name: string }, { count: number }]> = db.$transaction([
  db.counter.create({ data: { name: 'a', value: 1 } }),
  db.counter.updateMany({ where: { name: 'a' }, data: { value: 2 } }),
]);
// @ts-expect-error no interactive transactions
db.$transaction(async () => {});
