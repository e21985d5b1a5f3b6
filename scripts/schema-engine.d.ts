export function diff(
  dialect: 'sqlite' | 'postgresql',
  migrations: readonly { name: string; sql: string }[],
  postgresqlUrl?: string,
  schema?: string,
): Promise<string>;
