/** One user of another system. */
export interface ImportedUser {
  /** The id of a row that our user model has already, where your own users are ours as well: the row is completed, and none is made. */
  id?: string | undefined;
  email: string;
  username?: string | null | undefined;
  /** As the other system stored it: bcrypt, argon2, scrypt or PBKDF2; see docs/existing-app.md. */
  passwordHash?: string | null | undefined;
  /** Whether the other system had confirmed the address. Default false. */
  emailVerified?: boolean | undefined;
  createdAt?: Date | undefined;
  isSuspended?: boolean | undefined;
  /** Identities at providers, which sign in as before. */
  socialAccounts?: readonly { provider: string; subject: string }[] | undefined;
  /** The host's own columns, such as `hostUserId`. */
  data?: Readonly<Record<string, unknown>> | undefined;
}

export interface ImportOptions {
  /** Reads, checks and reports, and stores nothing. Default false. */
  dryRun?: boolean;
  /** Called after each batch. */
  onProgress?: (report: ImportReport) => void;
}

/** What came of an import. */
export interface ImportReport {
  read: number;
  imported: number;
  /** Rows whose address has an account already: an earlier run, or a person who signed up meanwhile. They are left as they are. */
  existing: number;
  /** Imported, but with no password that could be taken over: the person chooses one by "forgot password". */
  withoutPassword: number;
  /** Rows that were not imported, and rows of which something was left out; the first 1000. */
  problems: ImportProblem[];
  problemCount: number;
}

export interface ImportProblem {
  /** The number of the row, from 1. */
  row: number;
  email: string;
  problem:
    | 'invalid_email'
    | 'same_address_twice'
    | 'unknown_hash'
    | 'invalid_username'
    | 'username_taken'
    | 'no_such_user'
    | 'has_capitals'
    | 'conflict';
  isImported: boolean;
}

/** A row that is ready to be stored. */
export interface Prepared {
  row: number;
  id: string;
  given: ImportedUser;
  email: string;
  username: string | null;
  usernameKey: string | null;
  hash: string | null;
}
