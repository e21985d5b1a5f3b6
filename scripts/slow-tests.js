// node scripts/slow-tests.js [seconds]
//
// After a whole run: writes the test files that took longer than so many seconds on SQLite (default 5) to test/slow.json. `npm run test:quick`
// leaves them out.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const seconds = Number(process.argv[2] ?? 5);
const cache = new URL('../node_modules/.vite/vitest/', import.meta.url);
const [folder] = readdirSync(cache);
const { results } = JSON.parse(readFileSync(new URL(`${folder}/results.json`, cache), 'utf8'));
const slow = results
  .filter(([name, { duration }]) => name.startsWith('sqlite:') && duration > seconds * 1000)
  .map(([name]) => name.slice('sqlite:'.length))
  .filter((file) => !/^test\/(e2e|race)\//.test(file))
  .sort();
writeFileSync(new URL('../test/slow.json', import.meta.url), `${JSON.stringify(slow, null, 2)}\n`);
console.log(`${slow.length} of ${results.length} files took longer than ${seconds} s`);
