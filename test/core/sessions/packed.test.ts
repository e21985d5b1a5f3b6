import { expect, test } from 'vitest';
import { Packer } from '../../../src/core/sessions/packed.js';

/** Columns as a host may have them beside ours. */
function row(id: string) {
  return {
    id,
    since: new Date(1_700_000_000_000) as Date | null,
    tags: ['a', 'b'],
    settings: { theme: { dark: true }, '7': 7 },
    rules: [{ isAdmin: false }],
    counts: [1n, 2n],
    days: [new Date(0)],
    key: new Uint8Array([1, 2]),
    points: 5,
  };
}

test('what is unpacked is what was packed, whatever kinds of columns there are', () => {
  const packer = new Packer<ReturnType<typeof row>>(1_600_000_000_000);
  const packed = [packer.pack({ ...row('first'), since: null }), packer.pack(row('second'))];
  expect(packed.map((each) => packer.unpack(each))).toEqual([
    { ...row('first'), since: null },
    row('second'),
  ]);
});

test('lists that only look alike as JSON stay what they are', () => {
  const packer = new Packer<{ list: unknown[] }>(0);
  const lists = [[new Date(0)], [new Date(0).toISOString()], [null], [Number.NaN]];
  const packed = lists.map((list) => packer.pack({ list }));
  expect(packed.map((each) => packer.unpack(each).list)).toEqual(lists);
});

test('whoever changes a user changes no other user and no later answer, however deep', () => {
  const packer = new Packer<ReturnType<typeof row>>(0);
  const given = row('first');
  const first = packer.pack(given);
  const second = packer.pack(row('second'));
  const change = (each: ReturnType<typeof row>) => {
    each.tags.push('c');
    each.settings.theme.dark = false;
    for (const rule of each.rules) rule.isAdmin = true;
    each.counts.push(3n);
    for (const day of each.days) day.setFullYear(2000);
    each.since?.setFullYear(2000);
    each.key[0] = 9;
  };
  change(given);
  change(packer.unpack(first));
  expect(packer.unpack(first)).toEqual(row('first'));
  expect(packer.unpack(second)).toEqual(row('second'));
});
