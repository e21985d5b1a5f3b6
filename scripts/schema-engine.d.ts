export function diff(
  dialect: 'sqlite' | 'postgresql',
  migrations: readonly { name: string; sql: string }[],
  postgresqlUrl?: string,
): Promise<string>;
