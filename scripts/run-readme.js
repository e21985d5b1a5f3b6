// node run-readme.js <file>: runs each block opened by ```js run in the current folder, as ESM and, where it has no import
// of its own but require(), as CommonJS. A block that listens is stopped once it has run for five seconds without failing.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

const blocks = [...readFileSync(process.argv[2], 'utf8').matchAll(/^```js run\n([\s\S]*?)^```/gm)].map(
  ([, code]) => code,
);

for (const [index, code] of blocks.entries()) {
  await run(`readme-${index}.mjs`, code);
  // The same program, loaded by require(): what CommonJS hosts do.
  const required = code.replace(/^import (\{[^}]*\}|\w+) from ('[^']+');/gm, 'const $1 = require($2);');
  await run(`readme-${index}.cjs`, `(async () => {\n${required}\n})();`);
  console.log(`block ${index + 1} of ${blocks.length} runs`);
}

async function run(file, code) {
  writeFileSync(file, code);
  const env = { ...process.env, PORT: '0', AUTHTUNA_SECRET: 'only-for-this-test-0123456789abcdef' };
  const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGTERM'), 5000);
  const [exitCode, signal] = await new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
  clearTimeout(timer);
  rmSync(file);
  if (exitCode !== 0 && signal !== 'SIGTERM') throw new Error(`${file} ended with ${exitCode ?? signal}`);
}
