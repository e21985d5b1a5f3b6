export function startPostgresql(parent?: string): Promise<{
  /** The URL of a database on this server. */
  urlOf(database: string): string;
  stop(): Promise<void>;
}>;
