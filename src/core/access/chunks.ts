const CHUNK = 500; // scopes in one statement

/** Different scopes in groups that one statement may name. */
export function chunks(scopes: readonly string[]): string[][] {
  const all = [...new Set(scopes)];
  const parts: string[][] = [];
  for (let begin = 0; begin < all.length; begin += CHUNK) parts.push(all.slice(begin, begin + CHUNK));
  return parts;
}
