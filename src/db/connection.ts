import type { PrismaLike } from './client.js';

export type Dialect = 'sqlite' | 'postgresql';

/** One opened database of the shipped kind: the client over it, and the way in for migrations. */
export interface DatabaseConnection {
  readonly dialect: Dialect;
  readonly client: PrismaLike;
  /** What has to be set in the database before its first use. */
  prepare(): Promise<void>;
  /**
   * Runs `work` in one transaction that no other process can be in at the same time, without the time limits of the client.
   *
   * Commits when `work` returns, rolls back when it throws.
   */
  exclusively<T>(work: (sql: SqlSession) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Plain SQL inside one transaction. */
export interface SqlSession {
  query(sql: string, values?: readonly string[]): Promise<Record<string, unknown>[]>;
  /** Several statements at once, without values. */
  script(sql: string): Promise<void>;
}
