const MAX_LENGTH = 2048;

// Browsers drop tabs and newlines from a URL and read `\` as `/`, so `/\t/evil` and `/\evil` name another host.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const UNSAFE = /[\\\u0000-\u0020\u007f-\u009f\u2028\u2029]/;

// A proxy or framework that decodes once more must not find a second slash at the front.
const ENCODED_FIRST = /^\/%(?:25)*(?:[01][0-9a-f]|20|2f|5c|7f)/i;

/**
 * Where to go after a sign-in: the value as a path on `origin`, or `home` (default `/`) when it is not one.
 *
 * Accepted is a string of at most 2,048 characters that begins with one `/`. The answer is normalized (dot segments
 * resolved, other characters percent-encoded), so it can be put into `Location` as it is.
 * @see RFC 9700 section 4.11
 */
export function safeReturnTo(value: unknown, origin: string, home = '/'): string {
  if (typeof value !== 'string' || value.length > MAX_LENGTH) return home;
  if (!value.startsWith('/') || value.startsWith('//') || UNSAFE.test(value)) return home;
  if (!URL.canParse(value, origin)) return home;

  const url = new URL(value, origin);
  const path = url.pathname + url.search + url.hash;
  // Asked again of the normalized path: `/.//evil.example` begins with two slashes only now.
  if (url.origin !== new URL(origin).origin || path.startsWith('//') || ENCODED_FIRST.test(path)) return home;
  return path;
}
