// The app's own tables, in the same database as AuthTuna's: SQLite, or PostgreSQL where DATABASE_URL says so.
import { createClient } from '@libsql/client';
import pg from 'pg';

/** Opens a database. @returns a function that runs one statement with `?` for each value and gives its rows */
export function openDatabase(url) {
  if (url.startsWith('file:')) {
    const client = createClient({ url });
    return async (sql, ...values) => (await client.execute({ sql, args: values })).rows;
  }
  const pool = new pg.Pool({ connectionString: url, allowExitOnIdle: true });
  return async (sql, ...values) => {
    let number = 0;
    return (
      await pool.query(
        sql.replace(/\?/g, () => `$${++number}`),
        values,
      )
    ).rows;
  };
}
