import type { DatabaseConnection } from './connection.js';
import { openSqlite } from './embedded.js';
import { openPostgresql } from './postgresql.js';

/** Opens the database of a URL: `file:…` and `libsql:…` are SQLite, `postgresql:…` is PostgreSQL. Nothing is connected to yet. */
export function openDatabase(url: string): DatabaseConnection {
  return /^postgres(ql)?:/.test(url) ? openPostgresql(url) : openSqlite(url);
}
