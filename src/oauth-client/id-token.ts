import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { AuthTunaError } from '../errors.js';
import { type ClientRuntime, type Fault, notConfirmed, quoted } from './client-runtime.js';
import type { ProviderMetadata } from './metadata.js';
import { type Claims, type Endpoints, object, type SocialProvider } from './provider.js';

const CLOCK_TOLERANCE_SECONDS = 60;
const MAX_AGE_SECONDS = 600;
// Asymmetric only: with HS256 everybody who knows the client secret could sign for any person, and with `none` everybody could.
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/**
 * Returns the claims of an ID token after checking everything about it: signature by the issuer's published keys, issuer, audience,
 * authorized party, times and nonce. A refusal is logged with its cure.
 *
 * @throws AuthTunaError `invalid_token`, `unavailable`
 * @see OpenID Connect Core 3.1.3.7; docs/requirements.md OA-3
 */
export async function verifyIdToken(
  runtime: ClientRuntime,
  metadata: ProviderMetadata,
  provider: SocialProvider,
  { issuer, jwks }: Endpoints,
  idToken: unknown,
  nonce: string,
): Promise<Claims> {
  const refused = (reason: string, fault: Fault): AuthTunaError =>
    notConfirmed(runtime, provider, `id_token ${reason}`, fault);
  if (typeof idToken !== 'string' || idToken === '' || issuer === undefined || jwks === undefined)
    throw refused('is missing', MISSING);

  let claims: JWTPayload;
  try {
    claims = await metadata.withKeys(provider, jwks, async (keys) => {
      const { payload } = await jwtVerify(idToken, keys, {
        algorithms: ALGORITHMS,
        audience: provider.clientId,
        requiredClaims: ['iss', 'sub', 'exp', 'iat', 'nonce'],
        maxTokenAge: MAX_AGE_SECONDS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: runtime.now(),
      });
      return payload;
    });
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw refused(error.code, { ...faultOf(error, idToken, provider, runtime.now()), cause: error });
  }
  const { iss, aud, azp } = claims;
  const expected = typeof issuer === 'string' ? issuer : issuer(claims);
  if (iss !== expected) throw refused('iss', { ...ISSUER, facts: { expected, received: quoted(iss) } });
  const isForSeveral = Array.isArray(aud) && aud.length > 1;
  if (azp === undefined ? isForSeveral : azp !== provider.clientId)
    throw refused('azp', audienceFault(provider, claims));
  if (claims.nonce !== nonce) throw refused('nonce', NONCE);
  return claims;
}

const MISSING: Fault = {
  problem: 'sent no ID token',
  cure: 'Keep `openid` among the scopes, and use an OpenID Connect client at the provider instead of a plain OAuth one.',
};
const ISSUER: Fault = {
  problem: 'sent an ID token of another issuer',
  cure: 'The `iss` of its tokens must equal the issuer of its discovery document in every character.',
};
const NONCE: Fault = {
  problem: 'sent an ID token of another sign-in',
  cure: 'The `nonce` of the request must come back unchanged in the ID token (OpenID Connect Core 3.1.2.1); a provider that keeps ID tokens for later must not do so.',
};

/** Says why jose refused an ID token. */
function faultOf(error: errors.JOSEError, idToken: string, provider: SocialProvider, now: Date): Fault {
  const { alg, enc, kid } = headerOf(idToken);
  if (enc !== undefined)
    return {
      problem: 'encrypts its ID tokens',
      cure: 'Turn the encryption of ID tokens off for this client at the provider.',
      facts: { alg: quoted(alg) },
    };
  if (error instanceof errors.JOSEAlgNotAllowed)
    return {
      problem: `signs its ID tokens with ${quoted(alg)}`,
      cure: 'Let the provider sign with RS256 or ES256: choose a signing key or another algorithm for this client there.',
    };
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return {
      problem: 'signed an ID token with a key that cannot be told from its published keys',
      cure: 'Every key at jwks_uri needs a `kid` of its own, and the ID token must name the one that signed it (OpenID Connect Core 10.1).',
      facts: { kid: quoted(kid) },
    };
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return {
      problem: 'sent an ID token whose signature is wrong',
      cure: 'The keys at jwks_uri must be those that the provider signs with.',
      facts: { kid: quoted(kid) },
    };
  if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed)
    return claimFaultOf(error, provider, now);
  return { problem: 'sent an ID token that cannot be read', cure: MISSING.cure };
}

function claimFaultOf(
  { claim, reason, payload }: errors.JWTExpired | errors.JWTClaimValidationFailed,
  provider: SocialProvider,
  now: Date,
): Fault {
  if (claim === 'aud') return audienceFault(provider, payload);
  if (claim === 'nonce') return NONCE;
  const nowSeconds = Math.floor(now.getTime() / 1000);
  const seconds = Number(payload.iat) - nowSeconds;
  if (reason !== 'check_failed' || !Number.isFinite(seconds))
    return {
      problem: `sent an ID token without a valid ${claim}`,
      cure: 'The claim is required (OpenID Connect Core 2).',
    };
  // The token was fetched from the provider just now, so the time of its issue is the provider's time.
  return {
    problem: `sent an ID token whose times do not fit: it was issued ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} the clock of this server`,
    cure: 'Set the clocks of both by NTP; a difference of 60 s is allowed.',
    facts: { claim, iat: payload.iat, exp: payload.exp, now: nowSeconds },
  };
}

function audienceFault(provider: SocialProvider, { aud, azp }: JWTPayload): Fault {
  return {
    problem: 'sent an ID token for another client',
    cure: 'Set clientId to the id under which the provider knows this app.',
    facts: { expected: provider.clientId, received: quoted(JSON.stringify({ aud, azp })) },
  };
}

function headerOf(idToken: string): Claims {
  try {
    return object(decodeProtectedHeader(idToken));
  } catch {
    return {};
  }
}
