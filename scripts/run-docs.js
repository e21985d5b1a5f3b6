// node scripts/run-docs.js <root> [part of a page's name]
//
// Checks the code of README.md, SECURITY.md, CONTRIBUTING.md and docs/*.md. Runs in the current folder, which must be a project with
// authtuna, express, typescript and their types installed. What happens to a block depends on the language of its fence:
//
// | fence           | what happens                                                                                                       |
// | --------------- | ------------------------------------------------------------------------------------------------------------------ |
// | js run          | a whole program: runs as an ES module, and again with require(). If it listens on PORT it must answer `GET /`       |
// | js, ts          | is compiled on its own; test/consumers/docs/context.d.ts declares the names that it may use without saying where from |
// | json            | is parsed                                                                                                          |
// | sh              | is parsed by bash; every `npx authtuna` command and every npm script in it must exist                              |
// | sh run          | as sh, and is run, in the order of the page, in a folder of the page; see `followed`                                |
// | js app.mjs      | is written to the folder of the page under that name                                                               |
// | other languages | nothing: `text` for code that cannot be checked                                                                    |
//
// Prints every problem with its page and line, and exits with 1 if there is one.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { freePort } from './free-port.js';

const [rootArgument, part = ''] = process.argv.slice(2);
if (rootArgument === undefined) {
  console.error("usage: node scripts/run-docs.js <root of the repository> [part of a page's name]");
  process.exit(2);
}
const root = resolve(rootArgument);
const WORK = 'docs-check';
// Only what hangs shall meet them: beside the tests a program that takes a second takes thirty.
const LIMIT_MS = 180_000;
const GUIDE_LIMIT_MS = 300_000;
const UNCHECKED = ['text', 'html', 'nginx', 'dockerfile', 'prisma'];

// Loaded before each program.
const TELLS_WHEN_IT_LISTENS = `data:text/javascript,${encodeURIComponent(`
import { Server } from 'node:net';
const { listen } = Server.prototype;
Server.prototype.listen = function (...given) {
  this.once('listening', () => {
    if (String(this.address()?.port) === process.env.PORT) process.send('listening');
  });
  return listen.apply(this, given);
};
process.channel.unref();
`)}`;

const pages = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
].filter((page) => page.endsWith('.md') && page.includes(part));
const blocks = pages.flatMap(blocksOf);
const problems = [];
const report = ({ page, line }, problem) => problems.push(`${page}:${line}: ${problem}`);

rmSync(WORK, { recursive: true, force: true });
mkdirSync(WORK);
const programs = blocks.filter(({ info }) => info === 'js run');
for (const program of programs) {
  await Promise.all([runs(program, 'mjs', program.code), runs(program, 'cjs', asCommonJs(program.code))]);
  console.log(`${program.page}:${program.line} was run`);
}
const guides = [...new Set(blocks.filter(({ info }) => info === 'sh run').map(({ page }) => page))];
for (const page of guides) {
  await followed(page);
  console.log(`${page} was followed`);
}
const snippets = blocks.filter(({ info }) => info === 'js' || info === 'ts');
compile(snippets);
const data = blocks.filter(({ info }) => info === 'json');
for (const block of data) checkJson(block);
const scripts = blocks.filter(({ info }) => info === 'sh' || info === 'sh run');
checkScripts(scripts);
for (const block of blocks) {
  if (block.info === '') report(block, 'the block names no language; write text for one that is no program');
  else if (
    !['js run', 'js', 'ts', 'json', 'sh', 'sh run', ...UNCHECKED].includes(block.info) &&
    !isFile(block)
  )
    report(block, `the block's language, ${block.info}, is not one that this script knows`);
}
if (problems.length === 0) rmSync(WORK, { recursive: true, force: true });

console.log(
  `${pages.length} pages: ${programs.length} programs ran, ${guides.length} guides were followed, ${snippets.length} snippets compiled, ${data.length} JSON texts and ${scripts.length} shell scripts parsed`,
);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

/** The fenced blocks of a page, each with the line on which its code begins. */
function blocksOf(page) {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^( *)```([^\n`]*)\n([\s\S]*?)^\1```$/gm)].map(
    ({ index, 1: indent, 2: info, 3: code }) => ({
      page,
      line: text.slice(0, index).split('\n').length + 1,
      info: info.trim(),
      code: indent === '' ? code : code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  );
}

/** The same program, loaded by require(): what CommonJS hosts do. */
function asCommonJs(code) {
  const required = code.replace(/^import (\{[^}]*\}|\w+) from ('[^']+');/gm, 'const $1 = require($2);');
  return `(async () => {\n${required}\n})();`;
}

/** Runs a program in a folder of its own until it ends, or until it listens and has answered `GET /`. */
async function runs(program, extension, code) {
  const folder = join(WORK, `${nameOf(program)}-${extension}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `program.${extension}`), code);
  const port = await freePort();
  const env = { ...process.env, PORT: String(port), AUTHTUNA_SECRET: 'only-for-this-test-0123456789abcdef' };
  const child = spawn(process.execPath, ['--import', TELLS_WHEN_IT_LISTENS, `program.${extension}`], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const fails = (problem) => report(program, `the program, as ${extension}, ${problem}\n${output.trim()}`);
  const ended = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const listens = await Promise.race([once(child, 'message').then(() => true), ended.then(() => false)]);
  if (listens) {
    const { status } = await fetch(`http://localhost:${port}/`, { redirect: 'manual' }).catch(() => ({
      status: 0,
    }));
    if (status === 0 || status >= 400)
      fails(`answers GET / with ${status}, and that is where a sign-in leads`);
    child.kill('SIGTERM');
  }
  const [exitCode, signal] = await ended;
  clearTimeout(timer);
  if (exitCode !== 0 && !(listens && signal === 'SIGTERM')) fails(`ended with ${exitCode ?? signal}`);
}

/**
 * Follows a page as its reader does: writes its files and runs its commands, in order, in one folder. `test/consumers/docs/<page>.before.mjs` makes
 * the app that the reader has already, and `<page>.after.mjs` says whether the page leads where it promises.
 */
async function followed(page) {
  const name = page.replace(/^docs\/|\.md$/g, '');
  const folder = join(WORK, `guide-${name}`);
  mkdirSync(folder);
  const own = join(root, 'test/consumers/docs');
  const env = { ...process.env, PORT: String(await freePort()), OLD_DATABASE_URL: 'file:./old.db' };
  const step = (block, command, args, input) => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: folder,
      env,
      input,
      encoding: 'utf8',
      timeout: GUIDE_LIMIT_MS,
    });
    if (status !== 0) report(block, `ended with ${status ?? 'the end of its time'}\n${stdout}${stderr}`);
    return status === 0;
  };
  const script = (moment) => {
    const file = `${name}.${moment}.mjs`;
    copyFileSync(join(own, file), join(folder, file));
    return step({ page, line: 1 }, process.execPath, [file]);
  };
  copyFileSync(join(own, 'guide.mjs'), join(folder, 'guide.mjs'));
  if (existsSync(join(own, `${name}.before.mjs`)) && !script('before')) return;
  for (const block of blocks.filter((each) => each.page === page)) {
    if (isFile(block)) writeFileSync(join(folder, block.info.split(' ')[1]), block.code);
    else if (block.info === 'sh run' && !step(block, 'bash', ['-e'], block.code)) return;
  }
  script('after');
}

/** Whether a block is a file of its page: its fence names the file behind the language. */
function isFile({ info }) {
  return /^[a-z]+ [\w-]+\.[a-z]+$/.test(info);
}

/** Compiles snippets, each as a module of its own whose lines are numbered as in its page. */
function compile(snippets) {
  if (snippets.length === 0) return;
  const folder = join(WORK, 'snippets');
  mkdirSync(folder);
  for (const snippet of snippets) {
    writeFileSync(
      join(folder, `${nameOf(snippet)}.ts`),
      `${'\n'.repeat(snippet.line - 1)}${snippet.code}\nexport {};\n`,
    );
  }
  const context = readFileSync(join(root, 'test/consumers/docs/context.d.ts'), 'utf8');
  writeFileSync(join(folder, 'context.d.ts'), context);
  const compilerOptions = {
    target: 'es2023',
    lib: ['es2023', 'dom', 'dom.iterable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noImplicitAny: false, // for plain JavaScript, whose parameters have no types
    skipLibCheck: true,
    noEmit: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { stdout, status } = spawnSync('npx', ['tsc', '-p', folder, '--pretty', 'false'], {
    encoding: 'utf8',
  });
  const pageOf = new Map(snippets.map((snippet) => [nameOf(snippet), snippet.page]));
  const errors = stdout.split('\n').filter((line) => line !== '');
  for (const error of errors) {
    const [, name, line, text] = /([^/]+)\.ts\((\d+),\d+\): (.*)/.exec(error) ?? [];
    problems.push(pageOf.has(name) ? `${pageOf.get(name)}:${line}: ${text}` : error);
  }
  if (status !== 0 && errors.length === 0) problems.push(`tsc ended with ${status}`);
}

function checkJson(block) {
  try {
    JSON.parse(block.code);
  } catch (error) {
    report(block, error.message);
  }
}

function checkScripts(scripts) {
  const help = spawnSync('npx', ['authtuna', '--help'], { encoding: 'utf8' }).stdout;
  const commands = [...help.matchAll(/^ {2}([a-z-]+) {2}/gm)].map(([, command]) => command);
  const npmScripts = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts);
  if (commands.length === 0) problems.push('npx authtuna --help lists no command');
  for (const block of scripts) {
    const { status, stderr } = spawnSync('bash', ['-n'], { input: block.code, encoding: 'utf8' });
    if (status !== 0) report(block, stderr.trim());
    for (const [, command] of block.code.matchAll(/npx authtuna ([a-z][\w-]*)/g))
      if (!commands.includes(command)) report(block, `there is no command npx authtuna ${command}`);
    for (const [, script] of block.code.matchAll(/npm run ([\w:-]+)/g))
      if (!npmScripts.includes(script)) report(block, `package.json has no script ${script}`);
  }
}

function nameOf({ page, line }) {
  return `${page.replaceAll('/', '-')}-${line}`;
}
