import { foreignComparison } from './foreign-hash.js';

/** What a Firebase project says about its hashes; in its console under "Password hash parameters". */
export interface FirebaseParameters {
  signerKey: string;
  saltSeparator: string;
  rounds: number;
  memCost: number;
}

/**
 * Gives a hash of another system in the form in which it is stored and compared here; null for one that is not known or too costly.
 *
 * Takes bcrypt, PHC strings of argon2, scrypt and PBKDF2, and those of Better Auth (`salt:key`), Django, Laravel, Devise, Auth0, Werkzeug and
 * passlib.
 */
export function recognizeHash(text: string): string | null {
  const known = converted(text.trim());
  if (known === null) return null;
  if (/^\$2[ab]\$\d\d\$[./A-Za-z0-9]{53}$/.test(known)) return known;
  return foreignComparison(known) === null ? null : known;
}

/** The same for a row of a Firebase export. */
export function firebaseHash(
  hash: string,
  salt: string,
  { signerKey, saltSeparator, rounds, memCost }: FirebaseParameters,
): string | null {
  const parts = [salt, hash, saltSeparator, signerKey].map((part) =>
    base64(Buffer.from(part.replaceAll('-', '+').replaceAll('_', '/'), 'base64')),
  );
  const stored = `$firebase-scrypt$ln=${memCost},r=${rounds}$${parts.join('$')}`;
  return foreignComparison(stored) === null ? null : stored;
}

function converted(text: string): string | null {
  if (/^\$2[aby]\$/.test(text)) return text.replace('$2y$', '$2b$'); // PHP writes y for what others call b
  if (text.startsWith('$pbkdf2-')) return passlib(text);
  if (text.startsWith('$')) return text;
  const betterAuth = /^([0-9a-f]{32}):([0-9a-f]{128})$/.exec(text);
  if (betterAuth !== null) {
    const [, salt = '', key = ''] = betterAuth;
    // The salt is the text of the hexadecimal digits, not what they stand for.
    return `$scrypt$ln=14,r=16,p=1,nfkc$${base64(Buffer.from(salt))}$${base64(Buffer.from(key, 'hex'))}`;
  }
  return text.includes(':') ? werkzeug(text) : django(text);
}

function django(text: string): string | null {
  const [scheme, ...parts] = text.split('$');
  const digest = /^pbkdf2_(sha1|sha256|sha512)$/.exec(scheme ?? '')?.[1];
  if (digest !== undefined) {
    const [rounds = '', salt = '', key = ''] = parts;
    return `$pbkdf2-${digest}$i=${rounds}$${base64(Buffer.from(salt))}$${unpadded(key)}`;
  }
  if (scheme === 'scrypt') {
    const [work = '', salt = '', block = '', parallel = '', key = ''] = parts;
    return `$scrypt$ln=${Math.log2(Number(work))},r=${block},p=${parallel}$${base64(Buffer.from(salt))}$${unpadded(key)}`;
  }
  if (scheme === 'argon2') return `$${parts.join('$')}`;
  if (scheme === 'bcrypt') return converted(parts.join('$'));
  if (scheme === 'bcrypt_sha256') return `$bcrypt-sha256$${parts.join('$')}`;
  return null;
}

function werkzeug(text: string): string | null {
  const [method = '', salt = '', key = ''] = text.split('$');
  const [scheme, first = '', second = '', third = ''] = method.split(':');
  const [encodedSalt, encodedKey] = [base64(Buffer.from(salt)), base64(Buffer.from(key, 'hex'))];
  if (scheme === 'pbkdf2') return `$pbkdf2-${first}$i=${second}$${encodedSalt}$${encodedKey}`;
  if (scheme === 'scrypt')
    return `$scrypt$ln=${Math.log2(Number(first))},r=${second},p=${third}$${encodedSalt}$${encodedKey}`;
  return null;
}

/** passlib writes the rounds without a name, and a dot for the plus of base64. */
function passlib(text: string): string {
  const [, scheme = '', rounds = '', salt = '', key = ''] = text.split('$');
  const settings = /^\d+$/.test(rounds) ? `i=${rounds}` : rounds;
  return `$${scheme}$${settings}$${salt.replaceAll('.', '+')}$${key.replaceAll('.', '+')}`;
}

function base64(bytes: Buffer): string {
  return unpadded(bytes.toString('base64'));
}

function unpadded(text: string): string {
  return text.replace(/=+$/, '');
}
