import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that the package ships. */
export const PACKAGE_TEMPLATES = fileURLToPath(new URL('../../templates/', import.meta.url));

/** The text of a file from the first directory that has it; null when none has. */
export function readTemplate(directories: readonly string[], file: string): string | null {
  const found = directories.map((directory) => join(directory, file)).find((path) => existsSync(path));
  return found === undefined ? null : readFileSync(found, 'utf8');
}

/** Names of the files with such an ending, directly in that folder of any of the directories. */
export function listFiles(
  directories: readonly string[],
  folder: string,
  endings: readonly string[],
): string[] {
  const names = directories
    .map((directory) => join(directory, folder))
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path, { withFileTypes: true }))
    .filter((entry) => entry.isFile() && endings.includes(extname(entry.name)))
    .map((entry) => entry.name);
  return [...new Set(names)].sort();
}
