// npm run bench                  everything, about three quarters of an hour
// npm run bench -- --short       less of everything, under a minute on an idle machine: shows that it works, not how fast it is
//   --only throughput,logins     some measurements
//   --rows 'AuthTuna;passport'   only rows whose names begin so, beside Express alone
//   --peers                      without this library
//   --before ../old              also an earlier version of this library, in the same run: a checkout of it that is built
//   --out results.md             write the report to a file too

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { CORES, canPin, LOAD_CORE, pinSelf, SERVER_CORE } from './support/cores.js';

const MEASUREMENTS = ['throughput', 'spread', 'steady-rate', 'logins', 'login-flood', 'memory', 'decision'];

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string', default: MEASUREMENTS.join(',') },
    rows: { type: 'string', default: '' },
    peers: { type: 'boolean', default: false },
    before: { type: 'string' },
    out: { type: 'string' },
  },
});
const chosen = options.only.split(',');
const unknown = chosen.filter((name) => !MEASUREMENTS.includes(name));
if (unknown.length > 0)
  throw new Error(`--only: no measurement ${unknown.join(', ')}; there are ${MEASUREMENTS.join(', ')}`);

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
if (!existsSync(here('node_modules'))) execFileSync('npm', ['ci'], { cwd: here('.'), stdio: 'inherit' });
if (!options.peers && !existsSync(here('../dist/index.js'))) {
  throw new Error('AuthTuna is not built: npm run build, or measure the peers alone with --peers');
}

pinSelf(LOAD_CORE);
const started = performance.now();
const log = (message) =>
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0)} s  ${message}\n`);
const { startDatabases } = await import('./support/databases.js');
const databases = await startDatabases();
const sections = [];
try {
  for (const name of chosen) {
    const { title, measure } = await import(`./${name}.js`);
    log(title);
    const report = await measure({
      databases,
      log,
      short: options.short,
      peersOnly: options.peers,
      names: options.rows.split(';'),
      before: options.before && pathToFileURL(resolve(options.before, 'dist/index.js')).href,
    });
    sections.push(`## ${title}\n\n${report}\n`);
  }
} finally {
  await databases.stop();
}

const minutes = ((performance.now() - started) / 60_000).toFixed(1);
const where = canPin
  ? `server on core ${SERVER_CORE}, load and PostgreSQL on core ${LOAD_CORE}`
  : 'not pinned to cores, so more noise than usual';
const form = options.short
  ? 'Short form: it shows that everything runs; the numbers are rough.'
  : 'Long form.';
const machine = `Node.js ${process.version}, ${CORES} × ${cpus()[0]?.model ?? process.arch}; ${where}.`;
const report = `# Benchmark\n\n${form} ${machine} Took ${minutes} minutes.\n\n${sections.join('\n')}`;
process.stdout.write(`${report}\n`);
if (options.out) await writeFile(options.out, report);
process.exit();
