import type { User } from '../auth.js';
import { AuthTunaError, misconfigured } from '../errors.js';
import { inTime } from '../time.js';
import { Prisma, type PrismaClient } from './generated/sqlite/client.js';
import { type HostUserMapping, withHostUser } from './host-user.js';
import { delegateName, hostModelName, type ModelNames } from './schema/model-names.js';

/** The models of authtuna.prisma as a client spells them: `user`, `oneTimeToken`, … */
export type ModelName = Uncapitalize<Prisma.ModelName>;

type ScalarsOf<M extends ModelName> = Prisma.TypeMap['model'][Capitalize<M>]['payload']['scalars'];

/** Some of the users, as the database is asked for them. */
export type UserFilter = Prisma.UserWhereInput;

const METHODS = [
  'findUnique',
  'findUniqueOrThrow',
  'findFirst',
  'findMany',
  'create',
  'createMany',
  'update',
  'updateMany',
  'delete',
  'deleteMany',
  'upsert',
  'count',
] as const;
type Method = (typeof METHODS)[number];

const METHODS_WITH_WHERE: ReadonlySet<string> = new Set<Method>([
  'findUnique',
  'findUniqueOrThrow',
  'update',
  'updateMany',
  'delete',
  'deleteMany',
  'upsert',
]);

/**
 * The database as managers see it, whichever client is behind it.
 *
 * Typed by the shipped SQLite client, whose filters both databases understand. `$transaction` takes arrays only:
 * another request's write can join an interactive transaction and vanish with it.
 */
export type Db = { readonly [M in ModelName]: Pick<PrismaClient[M], Method> } & {
  $transaction<T extends readonly Prisma.PrismaPromise<unknown>[]>(
    batch: readonly [...T],
  ): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }>;
  $disconnect(): Promise<void>;
};

/** What is used of one model of a client: our columns among its columns, and the methods that managers call. */
// Generated argument types of two clients never match each other, so the arguments are `any` here and nowhere else.
// biome-ignore-start lint/suspicious/noExplicitAny: see above
export interface DelegateLike<Scalars> {
  readonly [key: symbol]: { types: { payload: { scalars: Scalars } } };
  findUnique(args: any): any;
  findUniqueOrThrow(args: any): any;
  findFirst(args: any): any;
  findMany(args: any): any;
  create(args: any): any;
  createMany(args: any): any;
  update(args: any): any;
  updateMany(args: any): any;
  delete(args: any): any;
  deleteMany(args: any): any;
  upsert(args: any): any;
  count(args: any): any;
}

/**
 * A generated Prisma client, of either provider, that has the models of authtuna.prisma.
 *
 * Further models, columns and relations are welcome; a client that lacks a model or a column does not compile.
 */
export type PrismaLike = { readonly [M in ModelName]: DelegateLike<ScalarsOf<M>> } & {
  $transaction(batch: any[]): Promise<any>;
  $disconnect(): Promise<void>;
};
/** A generated Prisma client whose models may have other names than in authtuna.prisma; see the option `models`. */
export interface AnyPrisma {
  $transaction(batch: any[]): Promise<any>;
  $disconnect(): Promise<void>;
}
// biome-ignore-end lint/suspicious/noExplicitAny: see above

type InternalColumn = 'sessionEpoch' | 'usernameKey' | 'unconfirmedUntil';

/** The columns of the user model of a client, the host's own among them, without those that only this library reads. */
export type UserOf<P> = P extends {
  readonly user: { readonly [key: symbol]: { types: { payload: { scalars: infer Scalars } } } };
}
  ? Omit<Scalars, InternalColumn>
  : never;

/** {@link UserOf} for a client whose user model has another name: `UserOfModel<typeof prisma, 'authUser'>`. */
export type UserOfModel<P, K extends keyof P> = UserOf<{ readonly user: P[K] }>;

/** The columns that the host added to its user model. */
export type ExtraColumns<U> = Omit<U, keyof User>;

/** The columns that a host added to a model of ours, which is called `K` in the host's client. */
export type AddedColumns<P, K extends PropertyKey, M extends ModelName> = P extends {
  readonly [N in K]: { readonly [key: symbol]: { types: { payload: { scalars: infer Scalars } } } };
}
  ? Omit<Scalars, keyof ScalarsOf<M>>
  : unknown;

/** The models of authtuna.prisma, each with its columns. */
export const MODELS: readonly {
  readonly model: ModelName;
  /** As in authtuna.prisma: `User`. */
  readonly name: string;
  readonly columns: readonly string[];
}[] = Object.values(Prisma.ModelName).map((name) => ({
  model: delegateName(name) as ModelName,
  name,
  columns: Object.values(Prisma[`${name}ScalarFieldEnum`]),
}));

const OUR_COLUMNS = new Map(MODELS.map(({ model, columns }) => [model, new Set(columns)]));

/** Columns of a model that only the library writes. */
export function ourColumns(model: ModelName): ReadonlySet<string> {
  return OUR_COLUMNS.get(model) ?? new Set();
}

/** Columns of the user model that only the library writes. */
export const OUR_USER_COLUMNS: ReadonlySet<string> = ourColumns('user');

/** True for the violation of a unique constraint (Prisma's P2002). */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === 'P2002';
}

/** True when the row that an `update`, `delete` or `findUniqueOrThrow` names is not there (Prisma's P2025). */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'P2025';
}

/**
 * The client as managers may use it: it answers in time or says that it cannot, and never mistakes a missing filter for all rows.
 *
 * - An `undefined` anywhere in the arguments, or no `where` where one is due, rejects with a TypeError before the database is asked:
 *   a client without `strictUndefinedChecks` turns `deleteMany({ where: { id: undefined } })` into "every row".
 * - A zero byte or half a surrogate pair in a text is `invalid_input`: see {@link isStorableText}.
 * - A unique violation and a missing row pass through as Prisma's errors; see {@link isUniqueViolation}, {@link isMissing}.
 * - A row that refers to one that is gone is `conflict`, with the reason `reference_gone`.
 * - Everything else that fails, and a call longer than `timeoutMs` (2000), is `unavailable` with the error as cause.
 *
 * Calls stay Prisma's lazy promises: those of one tick are still batched, and a batch for `$transaction` may hold them.
 * @throws AuthTunaError `misconfigured` when the client lacks one of the models, or reads from replicas
 */
export function guardDb(client: AnyPrisma, options: DbOptions = {}): Db {
  const { timeoutMs = 2000, models, hostUser } = options;
  const delegates = client as unknown as Record<string, Delegate | undefined>;
  const nameIn = (name: string) => delegateName(hostModelName(models, name));
  const missing = MODELS.map(({ name }) => nameIn(name)).filter((name) => !delegates[name]);
  if (missing.length > 0) {
    throw misconfigured(
      `PrismaClient lacks the models ${missing.join(', ')}: run npx authtuna init, which puts them into your schema folder, and npx prisma generate`,
    );
  }

  // The methods that @prisma/extension-read-replicas adds.
  if ('$replica' in client)
    throw misconfigured(
      'prisma is a client that reads from replicas, which are behind: a session that was ended would still count there. Give the client of the primary, as it is before $extends(readReplicas(…))',
    );

  const db: Record<string, unknown> = {
    $disconnect: () => client.$disconnect(),
    $transaction: (batch: unknown) => {
      if (!Array.isArray(batch)) return refused(new TypeError('$transaction takes an array of calls'));
      const wrong = (batch as PrismaPromise[]).find((call) => call[REFUSAL] !== undefined);
      return wrong ?? withinTime(client.$transaction(batch), timeoutMs);
    },
  };
  for (const { model, name } of MODELS) {
    const delegate = delegates[nameIn(name)] as Delegate;
    const guarded: Record<string, unknown> = {};
    for (const method of METHODS) {
      guarded[method] = (args?: Record<string, unknown>) => {
        const call = `${model}.${method}`;
        if (METHODS_WITH_WHERE.has(method) && args?.where === undefined)
          return refused(new TypeError(`${call}: where is missing`));
        const refusal = args === undefined ? null : refusalOf(args, `${call}: `, '');
        if (refusal !== null) return refused(refusal);
        const isNewUser = hostUser !== undefined && model === 'user' && method === 'create';
        return guardPromise(delegate[method](isNewUser ? withHostUser(args, hostUser) : args), timeoutMs);
      };
    }
    db[model] = guarded;
  }
  return db as Db;
}

/** How a client is used. */
export interface DbOptions {
  /** Longest time of one call, in milliseconds. Default 2000. */
  timeoutMs?: number;
  /** What the host calls our models. */
  models?: ModelNames | undefined;
  /** The host's own user row that is created together with ours. */
  hostUser?: HostUserMapping | undefined;
}

type Delegate = Record<Method, (args?: Record<string, unknown>) => PrismaPromise>;

/** Prisma's lazy promise: it runs when first awaited, or when a transaction asks for it. */
interface PrismaPromise extends PromiseLike<unknown> {
  requestTransaction?(transaction: unknown): PromiseLike<unknown>;
  [REFUSAL]?: Error;
}

const REFUSAL = Symbol('authtuna.refusal');

/**
 * A call that is refused for its arguments: it rejects when awaited, as one that fails in the database. Thrown at once it would pass by the
 * `Promise.all` in which it stands, and the promise beside it would reject unheard, which ends the process.
 */
function refused(error: Error): Promise<unknown> & PrismaPromise {
  const fail = () => Promise.reject(error);
  return {
    // biome-ignore lint/suspicious/noThenProperty: lazy like Prisma's promise
    then: (fulfilled, rejected) => fail().then(fulfilled, rejected),
    catch: (rejected) => fail().catch(rejected),
    finally: (settled) => fail().finally(settled),
    requestTransaction: fail,
    [REFUSAL]: error,
    [Symbol.toStringTag]: 'PrismaPromise',
  };
}

function guardPromise(promise: PrismaPromise, timeoutMs: number): Promise<unknown> & PrismaPromise {
  let outcome: Promise<unknown> | undefined;
  const run = () => {
    outcome ??= withinTime(promise, timeoutMs);
    return outcome;
  };
  return {
    // biome-ignore lint/suspicious/noThenProperty: it stands in for Prisma's promise, lazy like it
    then: (fulfilled, rejected) => run().then(fulfilled, rejected),
    catch: (rejected) => run().catch(rejected),
    finally: (settled) => run().finally(settled),
    // Inside a batch the transaction as a whole is guarded.
    requestTransaction: (transaction) => promise.requestTransaction?.(transaction) ?? promise,
    [Symbol.toStringTag]: 'PrismaPromise',
  };
}

async function withinTime(call: PromiseLike<unknown>, timeoutMs: number): Promise<unknown> {
  try {
    return await inTime('the database', timeoutMs, () => call);
  } catch (error) {
    throw asKnown(error);
  }
}

function asKnown(error: unknown): unknown {
  if (isUniqueViolation(error) || isMissing(error)) return error;
  // A foreign key: the row that is referred to went at the same moment. The database is not down, and asking again will tell.
  if (codeOf(error) === 'P2003')
    return new AuthTunaError(
      'conflict',
      { message: 'Something else changed at the same moment. Try again.', reason: 'reference_gone' },
      { cause: error },
    );
  // Arguments that Prisma does not understand: a mistake in the code, not a database that is down.
  if (error instanceof Error && error.name === 'PrismaClientValidationError') return error;
  return new AuthTunaError('unavailable', { retryAfterSeconds: 1 }, { cause: error });
}

function refusalOf(value: object, call: string, path: string): Error | null {
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined) return new TypeError(`${call}${path}${key} is undefined`);
    if (typeof inner === 'string' && !isStorableText(inner))
      return new AuthTunaError('invalid_input', { message: `No text may hold ${UNSTORABLE}.` });
    const refusal = isContainer(inner) ? refusalOf(inner, call, `${path}${key}.`) : null;
    if (refusal !== null) return refusal;
  }
  return null;
}

export const UNSTORABLE = 'a zero byte or half a character';

/**
 * Whether a text is one that every database stores and gives back as it is. PostgreSQL fails at a zero byte as if it were down, and both
 * databases turn a lone surrogate into U+FFFD, so that two different texts become one.
 */
export function isStorableText(text: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(text);
}

function isContainer(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as { code?: unknown }).code : undefined;
}
