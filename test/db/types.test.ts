import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';

test("a host's own client compiles, with its columns typed; one without our models does not", () => {
  const consumer = fileURLToPath(new URL('../consumers/own-prisma', import.meta.url));
  run([`${consumer}/generate.js`]);
  run([fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url)), '-p', consumer]);
}, 120_000);

function run(args: string[]): void {
  try {
    execFileSync(process.execPath, args, { stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout), { cause: error });
  }
}
