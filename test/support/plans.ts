import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import type { TestDatabase } from './database.js';
import type { Statement } from './host-prisma.js';

/** How the database would read the tables of a statement without the help of an index; empty when an index narrows every read. */
export function fullScansOf(database: TestDatabase, sql: string): Promise<string[]> {
  return database.dialect === 'sqlite'
    ? onSqlite(database.url, sql)
    : onPostgresql(database.url, `EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${sql}`);
}

async function onSqlite(url: string, sql: string): Promise<string[]> {
  const connection = await new PrismaLibSql({ url }).connect();
  try {
    const args = [...sql].filter((character) => character === '?').map(() => null);
    const argTypes = args.map(() => ({ scalarType: 'string' as const, arity: 'scalar' as const }));
    const { rows } = await connection.queryRaw({ sql: `EXPLAIN QUERY PLAN ${sql}`, args, argTypes });
    return rows.map((row) => String(row.at(-1))).filter((line) => /^SCAN (?!CONSTANT)/.test(line));
  } finally {
    await connection.dispose();
  }
}

/** As {@link fullScansOf} on PostgreSQL, for a statement with its parameters. */
export async function fullScansWith(url: string, { query, params }: Statement): Promise<string[]> {
  return onPostgresql(url, `EXPLAIN (FORMAT JSON) ${query}`, JSON.parse(params) as unknown[]);
}

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  Plans?: PlanNode[];
}

async function onPostgresql(url: string, explain: string, params: unknown[] = []): Promise<string[]> {
  const pool = (await new PrismaPg({ connectionString: url, max: 1 }).connect()).underlyingDriver();
  try {
    // On tables this small the planner would choose a scan although there is an index.
    await pool.query('SET enable_seqscan = off');
    const { rows } = await pool.query(explain, params);
    return nodesOf(rows[0]['QUERY PLAN'][0].Plan)
      .filter(
        (node) => /Scan$/.test(node['Node Type']) && !/^(Bitmap Heap|Subquery|CTE)/.test(node['Node Type']),
      )
      .filter((node) => node['Index Cond'] === undefined)
      .map((node) => `${node['Node Type']} of ${node['Relation Name'] ?? node['Index Name']}`);
  } finally {
    await pool.end();
  }
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}
