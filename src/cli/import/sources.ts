import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { DatabaseConnection } from '../../db/connection.js';
import { openDatabase } from '../../db/open.js';
import { startProblem } from '../../db/start-problem.js';
import { AuthTunaError } from '../../errors.js';

/** A row of another system, by its own names. */
export type SourceRow = Readonly<Record<string, unknown>>;

const PAGE = 1000;
const NAME = /^[A-Za-z_][A-Za-z0-9_.]{0,126}$/;

/** The lines of a file of JSON objects; an array, or an object with `users`, is taken whole. */
export async function* jsonRows(path: string): AsyncIterable<SourceRow> {
  const start = await firstCharacter(path);
  if (start === '[' || path.endsWith('.json')) {
    const whole = JSON.parse(readFileSync(path, 'utf8')) as SourceRow[] | { users: SourceRow[] };
    yield* Array.isArray(whole) ? whole : whole.users;
    return;
  }
  let number = 0;
  for await (const line of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    number += 1;
    if (line.trim() !== '') yield parsedLine(line, `${path}:${number}`);
  }
}

async function firstCharacter(path: string): Promise<string | undefined> {
  for await (const chunk of createReadStream(path, { encoding: 'utf8', end: 64 }))
    return String(chunk).trim()[0];
  return undefined;
}

function parsedLine(line: string, where: string): SourceRow {
  try {
    return JSON.parse(line) as SourceRow;
  } catch (error) {
    throw new AuthTunaError('invalid_input', { message: `${where} is no JSON.` }, { cause: error });
  }
}

/** The rows of a CSV file as RFC 4180 has it, by the names of its first line. */
export async function* csvRows(path: string): AsyncIterable<SourceRow> {
  let names: string[] | null = null;
  let record = '';
  for await (const line of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    record = record === '' ? line : `${record}\n${line}`;
    if ((record.split('"').length - 1) % 2 === 1) continue; // a line end inside of quotes
    if (record.trim() === '') continue;
    const cells = cellsOf(record.replace(/^\uFEFF/, ''));
    record = '';
    if (names === null) names = cells;
    else yield Object.fromEntries(names.map((name, index) => [name, cells[index] ?? '']));
  }
}

function cellsOf(record: string): string[] {
  return [...record.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '').trim() : quoted.replaceAll('""', '"'),
  );
}

/** A table of the users' identities and passwords, with the column that names the user. */
export interface AccountTable {
  table: string;
  userId: string;
}

/**
 * The rows of a table, by its key, a thousand at a time; nothing is locked in between.
 *
 * @param place.accounts each row comes with its rows of that table, as `accounts`
 * @throws AuthTunaError `invalid_input` where the database or a table cannot be read
 */
export async function* tableRows(
  url: string,
  { table, key, accounts }: { table: string; key: string; accounts?: AccountTable | undefined },
): AsyncIterable<SourceRow> {
  const path = /^file:(?:\/\/)?([^?]+)/.exec(url)?.[1];
  if (path !== undefined && !existsSync(decodeURIComponent(path)))
    throw new AuthTunaError('invalid_input', { message: `--source-url ${url}: there is no such file.` });
  const connection = openDatabase(url);
  const from = quoted(table);
  let last: unknown;
  try {
    for (;;) {
      const after = last === undefined ? '' : `WHERE ${from}.${quoted(key)} > ${literal(last)}`;
      const rows = await connection.exclusively((sql) =>
        sql.query(`SELECT * FROM ${from} ${after} ORDER BY ${from}.${quoted(key)} LIMIT ${PAGE}`),
      );
      yield* accounts === undefined ? rows : await withAccounts(connection, rows, key, accounts);
      if (rows.length < PAGE) return;
      last = rows.at(-1)?.[key];
    }
  } catch (error) {
    if (error instanceof AuthTunaError && error.code === 'invalid_input') throw error;
    const message = `${startProblem(error, url)}\nSay --table, --key or --accounts where your tables and columns have other names.`;
    throw new AuthTunaError('invalid_input', { message });
  } finally {
    await connection.close();
  }
}

async function withAccounts(
  connection: DatabaseConnection,
  rows: readonly SourceRow[],
  key: string,
  { table, userId }: AccountTable,
): Promise<SourceRow[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => literal(row[key])).join(', ');
  const found = await connection.exclusively((sql) =>
    sql.query(`SELECT * FROM ${quoted(table)} WHERE ${quoted(userId)} IN (${ids})`),
  );
  const byUser = new Map<unknown, SourceRow[]>();
  for (const row of found) byUser.set(row[userId], [...(byUser.get(row[userId]) ?? []), row]);
  return rows.map((row) => ({ ...row, accounts: byUser.get(row[key]) ?? [] }));
}

/** @throws AuthTunaError `invalid_input` for a name that could be more than a name */
export function quoted(name: string): string {
  if (!NAME.test(name))
    throw new AuthTunaError('invalid_input', { message: `${name} is not the name of a table or column.` });
  return name
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}

/** A key that the database itself gave, as it is compared: numbers as they are, all others as texts. */
function literal(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return `'${String(value).replaceAll("'", "''")}'`;
}
