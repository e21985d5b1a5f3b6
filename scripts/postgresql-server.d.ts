export function startPostgresql(parent?: string): Promise<{
  /** The URL of a database on this server. */
  urlOf(database: string): string;
  stop(): Promise<void>;
}>;

export interface PostgresqlServer {
  readonly port: number;
  urlOf(database: string): string;
  /** Resolves when it answers, a replica to queries that only read. */
  start(): Promise<void>;
  /** Ends at once, as in a crash. */
  crash(): Promise<void>;
  /** Ends, and removes its files. */
  stop(): Promise<void>;
}

export function createPrimary(
  parent?: string,
  settings?: Record<string, string>,
): Promise<{
  primary: PostgresqlServer;
  replica(name: string, port: number): Promise<PostgresqlServer>;
  remove(): void;
}>;
