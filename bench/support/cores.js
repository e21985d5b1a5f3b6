// One core for the server under test, another for the load and PostgreSQL. `taskset` is Linux only; elsewhere the
// ratios still compare like with like, but they are noisier, and the report says so.

import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

export const SERVER_CORE = '0';
export const LOAD_CORE = '1';

export const CORES = availableParallelism(); // asked before pinSelf(), after which it is 1
export const ALL_CORES = `0-${CORES - 1}`;

export const canPin = process.platform === 'linux' && CORES > 1 && hasTaskset();

/** Moves this process, and whatever it starts from now on, to the given core or list of cores. */
export function pinSelf(cores) {
  if (canPin) execFileSync('taskset', ['-apc', cores, String(process.pid)], { stdio: 'ignore' });
}

/** Command line that runs Node.js on the given core, or anywhere where that is not possible. */
export function nodeOn(cores, ...args) {
  return canPin ? ['taskset', '-c', cores, process.execPath, ...args] : [process.execPath, ...args];
}

function hasTaskset() {
  try {
    execFileSync('taskset', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
