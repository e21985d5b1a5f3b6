// node scripts/matrix.js [--short] [--package authtuna.tgz] [--express 4.18,5] [--node 20,22,24,26] [--only esm,jest] [--keep]
//
// Runs the program of the README, with its guard, from the packed package, as hosts run it: on each Express and Node, as ES module, CommonJS
// and TypeScript, through tsx, esbuild, Vitest and Jest. In each it must answer 401 to a stranger, 403 to a user without the permission and
// 200 to a user. Prints a table and exits with 1 if a cell failed.
//
// --short  the Node that runs this, ES module and CommonJS: what .ci/run calls
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from './free-port.js';

const LIMIT_MS = 60_000;
const root = fileURLToPath(new URL('..', import.meta.url));
const CHECKER = fileURLToPath(new URL('matrix-check.js', import.meta.url));
const thisNode = process.versions.node.split('.')[0];

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    package: { type: 'string' },
    express: { type: 'string', default: '4.18,5' },
    node: { type: 'string' },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

/** What a form needs installed, the files of its folder, what to do once, and how it is started. */
const FORMS = {
  esm: { files: (program) => ({ 'app.mjs': program }), start: ['app.mjs'] },
  commonjs: { files: (program) => ({ 'app.cjs': asCommonJs(program) }), start: ['app.cjs'] },
  // `module: commonjs` with the resolution that belongs to it in TypeScript 5, which knows no `exports`.
  'ts commonjs': {
    tools: ['typescript@5.9'],
    files: (program) => ({
      'package.json': '{ "private": true, "type": "commonjs" }',
      'app.ts': asMain(typed(program)),
      'tsconfig.json': tsconfig({ module: 'commonjs', esModuleInterop: true }),
    }),
    prepare: ['typescript/bin/tsc', '-p', '.'],
    start: ['out/app.js'],
  },
  'ts nodenext': {
    tools: ['typescript-latest'],
    files: (program) => ({
      'package.json': '{ "private": true, "type": "module" }',
      'app.ts': typed(program),
      'tsconfig.json': tsconfig({ module: 'nodenext' }),
    }),
    prepare: ['typescript-latest/bin/tsc', '-p', '.'],
    start: ['out/app.js'],
  },
  'ts bundler': {
    tools: ['typescript-latest'],
    files: (program) => ({
      'package.json': '{ "private": true, "type": "module" }',
      'app.ts': typed(program),
      'tsconfig.json': tsconfig({ module: 'esnext', moduleResolution: 'bundler' }),
    }),
    prepare: ['typescript-latest/bin/tsc', '-p', '.'],
    start: ['out/app.js'],
  },
  tsx: {
    tools: ['tsx'],
    files: (program) => ({
      'package.json': '{ "private": true, "type": "module" }',
      'app.ts': typed(program),
    }),
    start: ['--import', 'tsx', 'app.ts'],
  },
  esbuild: {
    tools: ['esbuild'],
    files: (program) => ({ 'app.ts': typed(program) }),
    prepare: [
      ...['esbuild/bin/esbuild', 'app.ts', '--bundle', '--platform=node', '--format=esm'],
      ...['--packages=external', '--outfile=out/app.mjs'],
    ],
    isBinary: true,
    start: ['out/app.mjs'],
  },
  vitest: {
    tools: ['vitest'],
    files: (program) => ({ 'app.mjs': program, 'app.test.mjs': testFile("import { test } from 'vitest';") }),
    start: ['MODULES/vitest/vitest.mjs', 'run', '--root', '.'],
    isTest: true,
  },
  // Jest has modules of its own and cannot require() an ES module; with this flag it imports them.
  jest: {
    tools: ['jest'],
    files: (program) => ({
      'package.json':
        '{ "private": true, "type": "module", "jest": { "transform": {}, "testTimeout": 60000 } }',
      'app.js': program,
      'app.test.js': testFile("import { test } from '@jest/globals';", './app.js'),
    }),
    start: ['--experimental-vm-modules', 'MODULES/jest/bin/jest.js', '--rootDir', '.', '--forceExit'],
    isTest: true,
  },
};

const versions = {
  express: options.express.split(','),
  node: options.node?.split(',') ?? (options.short ? [thisNode] : ['20', '22', '24', '26']),
};
const forms = options.only?.split(',') ?? (options.short ? ['esm', 'commonjs'] : Object.keys(FORMS));
for (const form of forms)
  if (!(form in FORMS)) fail(`there is no form ${form}: ${Object.keys(FORMS).join(', ')}`);

const work = mkdtempSync(join(tmpdir(), 'authtuna-matrix-'));
const failures = [];
try {
  const tarball = options.package === undefined ? pack() : resolve(options.package);
  const nodes = Object.fromEntries(versions.node.map((version) => [version, nodeOf(version)]));
  const rows = [];
  for (const express of versions.express) {
    const project = projectOf(express, tarball);
    for (const form of forms) {
      const folder = prepared(project, form);
      const cells = [];
      for (const version of versions.node)
        cells.push(await cellOf(express, form, folder, nodes[version], version));
      rows.push([express, form, ...cells]);
      console.error(rows.at(-1).join('  '));
    }
  }
  print(rows);
} finally {
  if (options.keep) console.error(`kept ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
for (const failure of failures) console.error(`\n${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;

function fail(problem) {
  console.error(problem);
  process.exit(2);
}

function print(rows) {
  const head = ['Express', 'form', ...versions.node.map((version) => `Node ${version}`)];
  for (const line of [head, head.map(() => '---'), ...rows]) console.log(`| ${line.join(' | ')} |`);
  const cells = rows.length * versions.node.length;
  console.log(`\n${cells - failures.length} of ${cells} answer 401, 403, 200`);
}

function pack() {
  if (!existsSync(join(root, 'dist/index.js'))) fail('build first: npm run build');
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', work], {
    cwd: root,
    stdio: 'ignore',
  });
  return join(
    work,
    readdirSync(work).find((name) => name.endsWith('.tgz')),
  );
}

/** The path of a Node of this major version: the one that runs this, or one from the npm registry. */
function nodeOf(major) {
  if (major === thisNode) return process.execPath;
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const folder = join(work, `node-${major}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  npmInstall(folder, [`${name}@${major}`]);
  return join(folder, 'node_modules', name, 'bin/node');
}

/** A folder with the package, an Express and the tools of all forms. */
function projectOf(express, tarball) {
  const folder = join(work, `express-${express}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const tools = [...new Set(forms.flatMap((form) => FORMS[form].tools ?? []))];
  const isTyped = tools.some((tool) => tool.startsWith('typescript'));
  npmInstall(folder, [
    tarball,
    `express@${express}`,
    ...tools.map((tool) => (tool === 'typescript-latest' ? 'typescript-latest@npm:typescript@latest' : tool)),
    ...(isTyped ? ['@types/node@20', `@types/express@${express.split('.')[0]}`] : []),
  ]);
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules/express/package.json'), 'utf8'));
  console.error(`Express ${version}`);
  return folder;
}

function npmInstall(folder, packages) {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** The folder of a form with its files, compiled where it must be. */
function prepared(project, form) {
  const { files, prepare, isBinary } = FORMS[form];
  const folder = join(project, form.replaceAll(' ', '-'));
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files(readmeProgram()))) writeFileSync(join(folder, name), text);
  if (prepare === undefined) return folder;
  const [tool, ...rest] = prepare;
  const path = join(project, 'node_modules', tool);
  try {
    const command = isBinary === true ? [path, rest] : [process.execPath, [path, ...rest]];
    execFileSync(...command, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    console.error(`${form} was not compiled:\n${error.stdout}${error.stderr}`);
  }
  return folder;
}

async function cellOf(express, form, folder, node, version) {
  const { start, isTest } = FORMS[form];
  const port = await freePort();
  rmSync(join(folder, 'authtuna.db'), { force: true });
  const args = start.map((word) => word.replace('MODULES', join(folder, '../node_modules')));
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    PORT: String(port),
    AUTHTUNA_SECRET: 'only-for-this-test-0123456789abcdef',
    MATRIX_CHECK: CHECKER,
  };
  const child = spawn(node, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const problem = isTest === true ? await testProblem(ended) : await answerProblem(child, port, ended);
  clearTimeout(timer);
  if (problem === null) return 'ok';
  failures.push(`Express ${express}, ${form}, Node ${version}: ${problem}\n${output.trim()}`);
  return 'FAILED';
}

async function testProblem(ended) {
  const [code] = await ended;
  return code === 0 ? null : `the test ended with ${code}`;
}

async function answerProblem(child, port, ended) {
  const { answers } = await import(CHECKER);
  try {
    const given = await Promise.race([answers(port), ended.then(([code]) => `ended with ${code}`)]);
    return String(given) === '401,403,200' ? null : `answered ${given}`;
  } catch (error) {
    return error.message;
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

/** The first program of the README, with the guard of the example that follows it. */
function readmeProgram() {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, program] = /```js run\n([\s\S]*?)```/.exec(readme);
  const [guard] = /^const mayRead = [\s\S]*?^\}\);$/m.exec(readme);
  const end = 'app.use(authTuna.errorHandler());';
  return program.replace(end, `${guard}\n${end}`);
}

function asMain(program) {
  const imports = program.match(/^import .*$/gm).join('\n');
  return `${imports}\nasync function main() {\n${program.replaceAll(/^import .*\n/gm, '')}}\nvoid main();\n`;
}

function asCommonJs(program) {
  return asMain(program).replaceAll(/^import (\{[^}]*\}|\w+) from ('[^']+');/gm, 'const $1 = require($2);');
}

/** TypeScript knows that a variable of the environment may be missing. */
function typed(program) {
  return program.replace('process.env.AUTHTUNA_SECRET', "process.env.AUTHTUNA_SECRET ?? ''");
}

function tsconfig(compilerOptions) {
  return JSON.stringify({
    compilerOptions: {
      target: 'es2023',
      strict: true,
      skipLibCheck: true,
      types: ['node'],
      rootDir: '.',
      outDir: 'out',
      ...compilerOptions,
    },
    files: ['app.ts'],
  });
}

function testFile(imports, program = './app.mjs') {
  return `import assert from 'node:assert/strict';
${imports}
test('the program answers 401, 403 and 200', async () => {
  await import('${program}');
  const { answers } = await import(process.env.MATRIX_CHECK);
  assert.deepEqual(await answers(process.env.PORT), [401, 403, 200]);
}, 60_000);
`;
}
