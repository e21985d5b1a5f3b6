import { createHash, createPublicKey, type KeyLike, verify } from 'node:crypto';

/**
 * Whether the one DKIM signature of a mail is right, and over which headers: RFC 6376 for rsa-sha256 and relaxed/relaxed, read from the standard
 * and independent of what signs.
 *
 * @param keyOf the public key that the DNS would answer for `<selector>._domainkey.<domain>`, base64 of the SPKI as in `p=`
 */
export function verifyDkim(
  raw: Buffer,
  keyOf: (name: string) => string | null,
): { valid: boolean; reason: string; signed: string[]; domain: string } {
  const message = raw.toString('latin1');
  const end = message.indexOf('\r\n\r\n');
  const headers = message.slice(0, end).split(/\r\n(?![ \t])/);
  const body = message.slice(end + 4);

  const own = headers.filter((header) => nameOf(header) === 'dkim-signature');
  const [signature = ''] = own;
  const tags = tagsOf(signature.slice(signature.indexOf(':') + 1));
  const signed = (tags.get('h') ?? '').toLowerCase().split(':');
  const domain = tags.get('d') ?? '';
  const answer = (valid: boolean, reason: string) => ({ valid, reason, signed, domain });

  if (own.length !== 1) return answer(false, `${own.length} signatures`);
  if (tags.get('v') !== '1' || tags.get('a') !== 'rsa-sha256' || tags.get('c') !== 'relaxed/relaxed')
    return answer(false, 'not v=1, rsa-sha256, relaxed/relaxed');
  if (!signed.includes('from')) return answer(false, 'From is not signed'); // 5.4

  const bodyHash = createHash('sha256').update(relaxedBody(body), 'latin1').digest('base64');
  if (bodyHash !== tags.get('bh')) return answer(false, 'the body was changed');

  const key = keyOf(`${tags.get('s')}._domainkey.${domain}`);
  if (key === null) return answer(false, 'no key');
  const publicKey: KeyLike = createPublicKey({
    key: Buffer.from(key, 'base64'),
    format: 'der',
    type: 'spki',
  });

  // 5.4.2: the last of several headers of one name first.
  const rest = [...headers].reverse();
  const chosen = signed.flatMap((name) => {
    const index = rest.findIndex((header) => nameOf(header) === name);
    return index < 0 ? [] : rest.splice(index, 1);
  });
  const bare = signature.replace(/(;\s*b=)[^;]*/, '$1'); // 3.7: its own value counts as empty
  const data = `${chosen.map((header) => `${relaxedHeader(header)}\r\n`).join('')}${relaxedHeader(bare)}`;
  const bytes = Buffer.from((tags.get('b') ?? '').replace(/\s/g, ''), 'base64');
  const valid = verify('sha256', Buffer.from(data, 'latin1'), publicKey, bytes);
  return answer(valid, valid ? 'pass' : 'the signature does not fit');
}

function nameOf(header: string): string {
  return header.slice(0, header.indexOf(':')).trim().toLowerCase();
}

function tagsOf(value: string): Map<string, string> {
  return new Map(
    value.split(';').flatMap((part) => {
      const at = part.indexOf('=');
      return at < 0 ? [] : [[part.slice(0, at).trim(), part.slice(at + 1).replace(/\s/g, '')] as const];
    }),
  );
}

/** 3.4.2 */
function relaxedHeader(header: string): string {
  const value = header
    .slice(header.indexOf(':') + 1)
    .replace(/\r\n/g, '')
    .replace(/[ \t]+/g, ' ')
    .trim();
  return `${nameOf(header)}:${value}`;
}

/** 3.4.4 */
function relaxedBody(body: string): string {
  const lines = body.split('\r\n').map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''));
  while (lines.at(-1) === '') lines.pop();
  return lines.length === 0 ? '' : `${lines.join('\r\n')}\r\n`;
}
