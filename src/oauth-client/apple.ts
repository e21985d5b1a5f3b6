import { createPrivateKey, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { misconfigured } from '../errors.js';
import {
  defineProvider,
  object,
  type ProviderOptions,
  type ProviderRow,
  type SocialProvider,
  text,
} from './provider.js';

export interface AppleOptions extends Omit<ProviderOptions, 'clientSecret'> {
  teamId: string;
  keyId: string;
  /** The text of the key's `.p8` file. In an environment variable, `\n` may stand for a line break. */
  privateKey: string;
}

const APPLE_SECRET_SECONDS = 300; // Apple allows six months; each secret is made for one request

const APPLE: ProviderRow = {
  id: 'apple',
  name: 'Apple',
  endpoints: {
    authorization: 'https://appleid.apple.com/auth/authorize',
    token: 'https://appleid.apple.com/auth/token',
    revocation: 'https://appleid.apple.com/auth/revoke',
    issuer: 'https://appleid.apple.com',
    jwks: 'https://appleid.apple.com/auth/keys',
  },
  scopes: ['openid', 'email', 'name'],
  // Apple sends name and address by form_post only.
  parameters: { response_mode: 'form_post' },
  formPost: true,
  profile({ claims, user }) {
    const email = text(claims.email);
    return {
      subject: text(claims.sub) ?? '',
      email,
      // Documented as "a string or a Boolean".
      emailVerified: email !== null && (claims.email_verified === true || claims.email_verified === 'true'),
      name: appleName(user),
    };
  },
};

/** Reads Apple's private key. @throws AuthTunaError `misconfigured` for everything that is not one */
function appleKey(privateKey: unknown): KeyObject {
  const refuse = (problem: string) =>
    misconfigured(
      `apple({ privateKey }): ${problem}; give the text of the .p8 file that Apple let you download, from -----BEGIN PRIVATE KEY----- on`,
    );
  if (typeof privateKey !== 'string' || privateKey.trim() === '') throw refuse('is missing');
  // Files of environment variables often hold the key on one line, in quotes.
  const lines = privateKey.replaceAll('\\r', '').replaceAll('\\n', '\n');
  const [pem = ''] = /-----BEGIN .*-----END [A-Z ]*-----/s.exec(lines) ?? [];
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw refuse('is not a private key in PEM form'); // without the cause, which could quote the key
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw refuse('is not a key on the curve P-256, which ES256 needs');
  return key;
}

function appleName(user: string | null): string | null {
  try {
    const { firstName, lastName } = object(object(JSON.parse(user ?? '{}')).name);
    const parts = [text(firstName), text(lastName)].filter((part) => part !== null);
    return parts.length === 0 ? null : parts.join(' ');
  } catch {
    return null;
  }
}

/** Sign in with Apple. The client secret is a token that is signed for each request. */
export const apple = ({ teamId, keyId, privateKey, ...options }: AppleOptions): SocialProvider => {
  const { clientId } = options;
  const key = appleKey(privateKey);
  return Object.freeze({
    ...defineProvider(APPLE, { ...options, clientSecret: '' }),
    async clientSecret(now: Date) {
      const issuedAt = Math.floor(now.getTime() / 1000);
      return new SignJWT()
        .setProtectedHeader({ alg: 'ES256', kid: keyId })
        .setIssuer(teamId)
        .setSubject(clientId)
        .setAudience('https://appleid.apple.com')
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + APPLE_SECRET_SECONDS)
        .sign(key);
    },
  });
};
