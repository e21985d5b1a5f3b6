import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

/** An id of a requirement: `LG-3`; `I-4`, a rule above all others; `D12`, a defect; `W3`, a rule about the session cookie. */
const ID = /\b(?:[A-Z]{2}-\d{1,3}|I-\d|D\d{1,2}|W\d)\b/g;

const defined = [...read('docs/requirements.md').matchAll(/^- \*\*([A-Z]+-?\d+)\*\*/gm)].map(([, id]) => id);

/** The TypeScript files of a folder, without generated ones and without the projects of hosts. */
function filesOf(folder: string): string[] {
  return readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.ts') && !/\/generated\/|^test\/consumers\//.test(file));
}

test('docs/requirements.md gives each id once, and numbers each group without a gap', () => {
  const groups = new Map<string, number[]>();
  for (const id of defined) {
    const [, group = '', number] = /^([A-Z]+)-?(\d+)$/.exec(id ?? '') ?? [];
    groups.set(group, [...(groups.get(group) ?? []), Number(number)]);
  }
  for (const [group, numbers] of groups) expect(numbers, group).toEqual(numbers.map((_, index) => index + 1));
  expect([...groups.keys()]).toEqual(expect.arrayContaining(['PW', 'LG', 'SS', 'RB', 'PX', 'I', 'W']));
  expect(groups.get('D')).toHaveLength(48);
});

test('every id that src or test names is in docs/requirements.md', () => {
  const used = [...filesOf('src'), ...filesOf('test')].flatMap((file) =>
    [...read(file).matchAll(ID)].map(([id]) => ({ id, file })),
  );
  expect(used.length).toBeGreaterThan(300); // so that a broken search does not pass for a complete list
  const missing = used.filter(({ id }) => !defined.includes(id));
  expect(missing.map(({ id, file }) => `${id} in ${file}`)).toEqual([]);
});
