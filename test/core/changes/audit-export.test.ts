import { expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/core/changes/audit.js';
import { auditLines } from '../../../src/core/changes/audit-export.js';

const EMPTY: AuditEntry = {
  id: 'x1',
  at: new Date('2030-01-01T00:00:00.000Z'),
  type: 'user.updated',
  outcome: 'success',
  reason: null,
  actorId: null,
  impersonatorId: null,
  sessionId: null,
  apiKeyId: null,
  targetType: null,
  targetId: null,
  scope: null,
  ip: null,
  userAgent: null,
  requestId: null,
  data: null,
};

async function written(entries: AuditEntry[], format: 'jsonl' | 'csv'): Promise<string> {
  async function* source() {
    yield* entries;
  }
  let text = '';
  for await (const line of auditLines(source(), format)) text += line;
  return text;
}

test('no cell of a CSV file is a formula, and every cell reads back as one (AD-4)', async () => {
  const hostile = ['=HYPERLINK("//e")', '+1', '-1', '@SUM(A1)', '\tx', '\rx', 'a,b', 'a"b', 'a\nb', "'", ''];
  for (const reason of hostile) {
    const [head, line, ...rest] = parse(await written([{ ...EMPTY, reason, userAgent: reason }], 'csv'));
    expect(rest).toEqual([]);
    expect(head).toHaveLength(16);
    expect(line).toHaveLength(16);
    for (const cell of line ?? []) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
    expect([reason, `'${reason}`]).toContain(line?.[4]);
  }
});

test('a line of JSON is one entry, whatever its texts hold (AU-3)', async () => {
  const entry = { ...EMPTY, reason: 'a\r\nb\u2028"', data: { text: '=1\n' } };
  const text = await written([entry, EMPTY], 'jsonl');
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  expect(JSON.parse(lines[0] ?? '')).toEqual(JSON.parse(JSON.stringify(entry)));
});

/** RFC 4180, read by its rules. */
function parse(text: string): string[][] {
  const lines: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    lines.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '\r\n') lines.push([]);
  }
  return lines.filter((line) => line.length > 0);
}
