// node scripts/longest.js [--check]: prints the longest functions, classes and files of src. With --check it fails for a function above 80
// lines or a class above 300. A comment right above that begins with "Long:" and gives the reason allows one.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const LIMITS = { function: 80, class: 300 };
const PRINTED = 5;

const root = fileURLToPath(new URL('../', import.meta.url));
const files = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
  .map((file) => `src/${file.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.ts') && !file.startsWith('src/db/generated/'));

// The formatter puts the beginning and the end of a block at the same indentation, so no parser is needed.
const CLASS = /^(\s*)(?:export )?(?:default )?(?:abstract )?class (\w+)/;
const FUNCTIONS = [
  /^(\s*)(?:export )?(?:default )?(?:async )?function\*? ?(\w+)/,
  /^(\s*)(?:export )?const (\w+) = (?:async )?(?:<[^>]*>)?\([^)]*(?:\)[^=]*=> \{)?$/,
  /^(\s*)(?:(?:static|async|override|get|set|readonly) )*\*?(#?\w+)(?:<[^(]*>)?\([^)]*(?:\)(?:: [^{;]*)? \{)?$/,
  /^(\s*)(?:readonly )?(#?\w+)(?:: | = )(?:async )?\([^)]*\)(?:: [^=]*)? => \{$/,
];
const KEYWORDS = new Set([
  'if',
  'for',
  'while',
  'switch',
  'catch',
  'return',
  'super',
  'await',
  'throw',
  'function',
]);

/** The functions and classes of a file, with the number of their lines. */
function blocksOf(file) {
  const lines = readFileSync(root + file, 'utf8')
    .trimEnd()
    .split('\n');
  return lines.flatMap((line, index) => {
    const [kind, match] = headOf(line);
    if (match === null || KEYWORDS.has(match[2])) return [];
    const length = lengthOf(lines, index, match[1]);
    return length === null
      ? []
      : [{ kind, name: match[2], where: `${file}:${index + 1}`, length, why: whyOf(lines, index) }];
  });
}

function headOf(line) {
  const asClass = CLASS.exec(line);
  if (asClass !== null) return ['class', asClass];
  return ['function', FUNCTIONS.map((pattern) => pattern.exec(line)).find((match) => match !== null) ?? null];
}

/** Lines up to the brace that closes the block; null for a call or a signature without a body. */
function lengthOf(lines, begin, indent) {
  let hasBody = lines[begin].endsWith('{');
  for (let i = begin + 1; i < lines.length; i += 1) {
    const line = lines[i];
    if (!line.startsWith(indent) || /^\s/.test(line.slice(indent.length))) continue;
    const rest = line.slice(indent.length);
    if (/^[)}].*\{$/.test(rest)) hasBody = true;
    else if (rest.startsWith('}') && hasBody) return i - begin + 1;
    else if (rest !== '') return null;
  }
  return null;
}

/** The reason for its length, from the comment right above. */
function whyOf(lines, index) {
  for (let i = index - 1; i >= 0 && /^\s*(?:\/\/|\/?\*)/.test(lines[i]); i -= 1) {
    const reason = /(?:\/\/|\*) Long: (.+)/.exec(lines[i]);
    if (reason !== null) return reason[1];
  }
  return null;
}

function print(title, rows) {
  console.log(`\n${title}`);
  for (const { length, name, where, why } of rows.slice(0, PRINTED))
    console.log(`${String(length).padStart(5)}  ${name}  ${where}${why === null ? '' : `  (${why})`}`);
}

const byLength = (rows) => rows.sort((a, b) => b.length - a.length);
const blocks = byLength(files.flatMap(blocksOf));
print(
  'Longest functions',
  blocks.filter(({ kind }) => kind === 'function'),
);
print(
  'Longest classes',
  blocks.filter(({ kind }) => kind === 'class'),
);
print(
  'Longest files',
  byLength(
    files.map((where) => ({
      length: readFileSync(root + where, 'utf8')
        .trimEnd()
        .split('\n').length,
      name: '',
      where,
      why: null,
    })),
  ),
);

if (process.argv.includes('--check')) {
  const tooLong = blocks.filter(({ kind, length, why }) => length > LIMITS[kind] && why === null);
  for (const { kind, name, where, length } of tooLong)
    console.error(
      `\n${where}: the ${kind} ${name} has ${length} lines, more than ${LIMITS[kind]}; split it, or write above it: // Long: <the reason>`,
    );
  if (tooLong.length > 0) process.exit(1);
}
