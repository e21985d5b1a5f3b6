import { readFileSync } from 'node:fs';

/** The text of `prisma/authtuna.prisma` as this version ships it. */
export function readShippedSchema(): string {
  return readFileSync(new URL('../../../prisma/authtuna.prisma', import.meta.url), 'utf8');
}
