// node bench/start.js [--runs 5] [--database-url URL]
//
// Processor time and memory from the start of Node to the first answer, step by step: medians over processes of their own, on a database that has
// its tables. Build first.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

if (process.argv[2] === 'child') await child(process.argv[3]);
else parent();

function parent() {
  const { values } = parseArgs({
    options: { runs: { type: 'string', default: '5' }, 'database-url': { type: 'string' } },
  });
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-start-'));
  const url = values['database-url'] ?? `file:${join(folder, 'start.db')}`;
  const run = () => {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['--expose-gc', fileURLToPath(import.meta.url), 'child', url],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  };
  run(); // makes the tables
  const results = Array.from({ length: Number(values.runs) }, run);
  rmSync(folder, { recursive: true, force: true });
  console.log('| step | CPU ms | in all | MiB |\n| --- | --- | --- | --- |');
  let sum = 0;
  for (const [index, { name }] of results[0].entries()) {
    const [cpu, rss] = ['cpu', 'rss'].map((key) => median(results.map((steps) => steps[index][key])));
    sum += cpu;
    console.log(`| ${name} | ${Math.round(cpu)} | ${Math.round(sum)} | ${Math.round(rss)} |`);
  }
}

function median(numbers) {
  return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

async function child(databaseUrl) {
  const steps = [];
  let before = 0;
  const step = (name) => {
    const { user, system } = process.cpuUsage();
    const spent = (user + system) / 1000;
    steps.push({ name, cpu: spent - before, rss: process.memoryUsage.rss() / 1024 / 1024 });
    before = spent;
  };
  step('Node');
  const { default: express } = await import('express');
  step('import Express');
  const { createAuthTuna } = await import('../dist/index.js');
  step('import AuthTuna');
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: ['only-for-this-measurement-0123456789'],
    databaseUrl,
    logger: { debug() {}, info() {}, warn() {}, error: console.error },
  });
  step('createAuthTuna()');
  const app = express().use(authTuna.session(), authTuna.router());
  app.get('/me', authTuna.requireUser(), (_req, res) => res.json({}));
  app.use(authTuna.errorHandler());
  step('session(), router()');
  await authTuna.ready();
  step('ready()');
  const server = app.listen(0);
  await new Promise((resolve) => server.once('listening', resolve));
  await fetch(`http://localhost:${server.address().port}/me`).then((answer) => answer.text());
  step('first answer');
  await fetch(`http://localhost:${server.address().port}/auth/login`, {
    headers: { accept: 'text/html' },
  }).then((answer) => answer.text());
  step('first page');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  globalThis.gc();
  step('two seconds later');
  process.stdout.write(JSON.stringify(steps));
  process.exit();
}
