import type { ImportedUser } from '../../core/users/imported-user.js';
import { type FirebaseParameters, firebaseHash } from '../../crypto/recognize-hash.js';
import type { AccountTable, SourceRow } from './sources.js';

/** Where another system keeps its users, and how a row of it becomes one of ours. */
export interface SourceSystem {
  summary: string;
  /** Whether the rows are those of a model of the app's own Prisma client. */
  isModel?: true;
  /** The table and its key; none for systems that give a file. */
  table?: string;
  key?: string;
  /** A table beside it; its rows come with each user, as `accounts`. */
  accounts?: AccountTable;
  columns: Readonly<Partial<Record<Target, string>>>;
  /** What columns alone do not say. */
  more?(row: SourceRow, given: { firebase?: FirebaseParameters }): Partial<ImportedUser>;
}

/** What a column may be read as. */
export const TARGETS = [
  'email',
  'username',
  'hash',
  'verified',
  'created',
  'suspended',
  'hostUserId',
] as const;
export type Target = (typeof TARGETS)[number];

const OWN_TABLE = { email: 'email', username: 'username', hash: 'password', created: 'created_at' } as const;

export const SYSTEMS: Readonly<Record<string, SourceSystem>> = {
  csv: {
    summary: 'a CSV file; its first line names email, username, hash, verified, created',
    columns: { email: 'email', username: 'username', hash: 'hash', verified: 'verified', created: 'created' },
  },
  jsonl: {
    summary: 'JSON objects, one a line, with email, username, hash, verified, created',
    columns: { email: 'email', username: 'username', hash: 'hash', verified: 'verified', created: 'created' },
  },
  sql: {
    summary: 'a table of your own; say --table and --map',
    table: 'users',
    key: 'id',
    columns: { email: 'email', username: 'username', hash: 'password_hash' },
  },
  prisma: {
    summary: 'a model of your own Prisma client (User); say --app, and --table where it has another name',
    isModel: true,
    columns: {},
  },
  passport: {
    summary: 'the table of an app with passport and bcrypt',
    table: 'users',
    key: 'id',
    columns: { ...OWN_TABLE, hash: 'password_hash' },
  },
  'better-auth': {
    summary: 'Better Auth: the tables user and account',
    table: 'user',
    key: 'id',
    accounts: { table: 'account', userId: 'userId' },
    columns: {
      email: 'email',
      username: 'username',
      verified: 'emailVerified',
      created: 'createdAt',
      suspended: 'banned',
    },
    more(row) {
      const accounts = accountsOf(row);
      const own = accounts.find(({ providerId }) => providerId === 'credential')?.password;
      return {
        ...(typeof own === 'string' && { passwordHash: own }),
        ...identities(accounts.map(({ providerId, accountId }) => [providerId, accountId])),
      };
    },
  },
  authjs: {
    summary: 'Auth.js with Prisma: the tables User and Account',
    table: 'User',
    key: 'id',
    accounts: { table: 'Account', userId: 'userId' },
    columns: { email: 'email', verified: 'emailVerified', hash: 'password' },
    more: (row) =>
      identities(accountsOf(row).map((account) => [account.provider, account.providerAccountId])),
  },
  auth0: {
    summary: 'an export of Auth0 with password hashes, JSON lines',
    columns: {
      email: 'email',
      username: 'username',
      hash: 'passwordHash',
      verified: 'email_verified',
      suspended: 'blocked',
    },
    more: (row) => ({ ...createdAt(row.createdAt ?? row.created_at) }),
  },
  firebase: {
    summary: 'the JSON of firebase auth:export, with --firebase-parameters',
    columns: { email: 'email', verified: 'emailVerified', suspended: 'disabled' },
    more: ({ passwordHash, salt, createdAt: at }, { firebase }) => ({
      ...createdAt(typeof at === 'string' ? Number(at) : at),
      ...(firebase !== undefined &&
        typeof passwordHash === 'string' &&
        typeof salt === 'string' && {
          passwordHash: firebaseHash(passwordHash, salt, firebase) ?? passwordHash,
        }),
    }),
  },
  django: {
    summary: 'Django: the table auth_user',
    table: 'auth_user',
    key: 'id',
    columns: { email: 'email', username: 'username', hash: 'password', created: 'date_joined' },
    more: ({ is_active: isActive, password }) => ({
      ...(!isTrue(isActive) && { isSuspended: true }),
      ...(typeof password === 'string' && password.startsWith('!') && { passwordHash: null }), // no usable password
    }),
  },
  devise: {
    summary: 'Devise (Rails) without a pepper: the table users',
    table: 'users',
    key: 'id',
    columns: {
      email: 'email',
      username: 'username',
      hash: 'encrypted_password',
      verified: 'confirmed_at',
      created: 'created_at',
    },
  },
  laravel: {
    summary: 'Laravel: the table users',
    table: 'users',
    key: 'id',
    columns: { email: 'email', hash: 'password', verified: 'email_verified_at', created: 'created_at' },
  },
  'authtuna-python': {
    summary: 'the Python AuthTuna, with personal data in clear: the table users',
    table: 'users',
    key: 'id',
    columns: { email: 'email', username: 'username', hash: 'password_hash', verified: 'email_verified' },
    more: ({ is_active: isActive, created_at: at }) => ({
      ...(!isTrue(isActive) && { isSuspended: true }),
      ...createdAt(typeof at === 'number' ? at * 1000 : at),
    }),
  },
};

/** A row of another system as one of ours. @param columns which of its columns is read as what */
export function importedUser(
  row: SourceRow,
  system: SourceSystem,
  columns: SourceSystem['columns'],
  given: { firebase?: FirebaseParameters },
): ImportedUser {
  const read = (target: Target) => {
    const column = columns[target];
    return column === undefined ? undefined : row[column];
  };
  const username = textOf(read('username'));
  const hash = textOf(read('hash'));
  const hostUserId = read('hostUserId');
  const verified = read('verified');
  return {
    email: textOf(read('email')) ?? '',
    ...(username !== null && { username }),
    ...(hash !== null && { passwordHash: hash }),
    emailVerified: verified !== undefined && isTrue(verified),
    ...createdAt(read('created')),
    ...(isTrue(read('suspended')) && { isSuspended: true }),
    ...(hostUserId !== undefined && { data: { hostUserId } }),
    ...system.more?.(row, given),
  };
}

/** Providers that name a person there as they do here, under our names. Microsoft gives each app another name for a person. */
const PROVIDERS = new Map(
  'apple discord facebook github gitlab google slack spotify twitch x'.split(' ').map((name) => [name, name]),
).set('twitter', 'x');

function accountsOf({ accounts }: SourceRow): readonly SourceRow[] {
  return Array.isArray(accounts) ? accounts : [];
}

/** Identities from pairs of provider and subject; a user has one of each provider here. */
function identities(pairs: readonly (readonly [unknown, unknown])[]): Partial<ImportedUser> {
  const subjects = new Map<string, string>();
  for (const [name, subject] of pairs) {
    const provider = PROVIDERS.get(String(name));
    const text = textOf(subject);
    if (provider !== undefined && text !== null && !subjects.has(provider)) subjects.set(provider, text);
  }
  if (subjects.size === 0) return {};
  return { socialAccounts: [...subjects].map(([provider, subject]) => ({ provider, subject })) };
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined || value === '') return null;
  return String(value);
}

/** A flag, a number or a time: databases and files say yes in many ways. */
function isTrue(value: unknown): boolean {
  if (typeof value === 'string') return !/^(|0|false|f|no|null)$/i.test(value.trim());
  return value !== null && value !== undefined && value !== false && value !== 0 && value !== 0n;
}

function createdAt(value: unknown): { createdAt?: Date } {
  if (value === null || value === undefined || value === '') return {};
  const date =
    value instanceof Date
      ? value
      : new Date(typeof value === 'number' || typeof value === 'bigint' ? Number(value) : String(value));
  return Number.isNaN(date.getTime()) ? {} : { createdAt: date };
}

/** @internal The names of what may be read, for a usage error. */
export function isTarget(name: string): name is Target {
  return (TARGETS as readonly string[]).includes(name);
}
