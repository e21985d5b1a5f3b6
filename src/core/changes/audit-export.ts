import type { Runtime } from '../runtime.js';
import { AUDIT_COLUMNS, type AuditEntry, toEntry } from './audit-entry.js';
import { type AuditFilter, conditionsOf } from './audit-query.js';

const ROWS = 500;

/** The entries that match, the oldest first, read a few hundred at a time: memory does not grow with the log. */
export async function* exportAudit(runtime: Runtime, filter: AuditFilter): AsyncGenerator<AuditEntry> {
  const { base, alternatives } = await conditionsOf(runtime, filter);
  const matches =
    alternatives.length === 1
      ? { AND: [base, alternatives[0] ?? {}] }
      : { AND: [base], OR: [...alternatives] };
  let last: { at: Date; id: string } | null = null;
  for (;;) {
    const after: object =
      last === null ? {} : { at: { gte: last.at }, NOT: { at: last.at, id: { lte: last.id } } };
    const rows = await runtime.db.auditEntry.findMany({
      where: { AND: [matches, after] },
      orderBy: [{ at: 'asc' }, { id: 'asc' }],
      take: ROWS,
    });
    for (const row of rows) yield toEntry(row);
    const end = rows.at(-1);
    if (end === undefined || rows.length < ROWS) return;
    last = { at: end.at, id: end.id };
  }
}

export type AuditFormat = 'jsonl' | 'csv';

/** The lines of a file: one JSON object a line, or RFC 4180 with a head, whose cells no spreadsheet takes for formulas. */
export async function* auditLines(
  entries: AsyncIterable<AuditEntry>,
  format: AuditFormat,
): AsyncGenerator<string> {
  if (format === 'csv') yield `${AUDIT_COLUMNS.join(',')}\r\n`;
  for await (const entry of entries)
    yield format === 'csv'
      ? `${AUDIT_COLUMNS.map((name) => cell(entry[name])).join(',')}\r\n`
      : `${JSON.stringify(entry)}\n`;
}

// Spreadsheets run a cell that begins with one of these, quoted or not (CWE-1236). An apostrophe makes it text.
const FORMULA = /^[=+\-@\t\r]/;

function cell(value: AuditEntry[keyof AuditEntry]): string {
  if (value === null) return '';
  const text =
    value instanceof Date ? value.toISOString() : typeof value === 'string' ? value : JSON.stringify(value);
  return `"${(FORMULA.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
}
