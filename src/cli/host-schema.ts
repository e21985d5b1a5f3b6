import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ModelNames } from '../db/schema/model-names.js';
import { hostModelName } from '../db/schema/model-names.js';
import type { ModelText } from '../db/schema/schema-text.js';

/** Where a host keeps its Prisma schema. */
export interface SchemaPlace {
  folder: string;
  /** The one file that Prisma reads; null where it reads every file of the folder. */
  file: string | null;
}

/** Where the schema is: as given, as `prisma.config` or `package.json` says, or where Prisma looks by itself. */
export function findSchema(given: string | undefined, root = '.'): SchemaPlace {
  const path = given ?? configuredSchema(root) ?? defaultSchema(root);
  const isFile = path.endsWith('.prisma') || (existsSync(path) && statSync(path).isFile());
  return isFile ? { folder: dirname(path), file: path } : { folder: path, file: null };
}

function configuredSchema(root: string): string | undefined {
  for (const name of ['ts', 'mts', 'js', 'mjs', 'cjs'].map((ending) =>
    join(root, `prisma.config.${ending}`),
  )) {
    if (!existsSync(name)) continue;
    const [, path] = /\bschema\s*:\s*['"`]([^'"`]+)['"`]/.exec(readFileSync(name, 'utf8')) ?? [];
    if (path !== undefined) return join(root, path);
  }
  const manifest = join(root, 'package.json');
  if (!existsSync(manifest)) return undefined;
  const { prisma } = JSON.parse(readFileSync(manifest, 'utf8')) as { prisma?: { schema?: string } };
  return prisma?.schema === undefined ? undefined : join(root, prisma.schema);
}

function defaultSchema(root: string): string {
  const file = join(root, 'prisma/schema.prisma');
  // With nothing configured Prisma 7 reads this one file.
  return existsSync(file) ? file : join(root, 'prisma');
}

/** What Prisma reads there, as one text. */
export function readSchema({ folder, file }: SchemaPlace): string {
  if (file !== null) return existsSync(file) ? readFileSync(file, 'utf8') : '';
  return readSchemaFolder(folder);
}

/** All schema files of a folder and of those below it, as one text. */
export function readSchemaFolder(folder: string): string {
  if (!existsSync(folder)) return '';
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.prisma'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

/** The names that a `--models` flag gives: `Auth`, or `User=AuthUser,Session=AuthSession`. */
export function modelNamesOf(flag: string | undefined): ModelNames | undefined {
  if (flag === undefined || !flag.includes('=')) return flag;
  return Object.fromEntries(flag.split(',').map((pair) => pair.split('=', 2).map((part) => part.trim())));
}

/** The names under which a schema has our models already; undefined where they have ours. */
export function usedNames(theirs: readonly ModelText[], ours: readonly ModelText[]): ModelNames | undefined {
  const mark = theirs.find(({ fields }) => fields.has('sessionEpoch') && fields.has('usernameKey'));
  if (mark === undefined || mark.name === 'User' || !mark.name.endsWith('User')) return undefined;
  const prefix = mark.name.slice(0, -'User'.length);
  const isThere = (name: string) => theirs.some((model) => model.name === name);
  const renamed = ours.filter(({ name }) => isThere(hostModelName(prefix, name)));
  if (renamed.length === ours.length) return prefix;
  return Object.fromEntries(renamed.map(({ name }) => [name, hostModelName(prefix, name)]));
}
