import { errors, jwtVerify } from 'jose';
import {
  askProvider,
  type ClientRuntime,
  type Fault,
  notConfirmed,
  quoted,
  unusable,
} from './client-runtime.js';
import { ALGORITHMS } from './id-token.js';
import type { ProviderMetadata } from './metadata.js';
import { type Claims, type Endpoints, object, type SocialProvider } from './provider.js';

/**
 * Returns the claims of an ID token, completed from UserInfo when one is missing that the provider's row needs. Many providers, among them
 * oidc-provider with its defaults, put only `sub` into the ID token (OpenID Connect Core 5.4).
 *
 * @throws AuthTunaError `invalid_token` when UserInfo speaks of another person; `unavailable` when it does not answer: a person would
 * otherwise lose the roles that their claims give
 * @see OpenID Connect Core 5.3
 */
export async function completeClaims(
  runtime: ClientRuntime,
  metadata: ProviderMetadata,
  provider: SocialProvider,
  endpoints: Endpoints,
  idToken: Claims,
  accessToken: string,
): Promise<Claims> {
  const said = Object.fromEntries(Object.entries(idToken).filter(([, value]) => value !== null));
  const missing = (provider.neededClaims ?? []).filter((claim) => said[claim] === undefined);
  if (missing.length === 0 || endpoints.userInfo === undefined) return said;

  const fault: Fault = {
    problem: `did not answer at UserInfo, which was asked for ${missing.join(', ')}`,
    cure: 'Allow the client to read UserInfo, or let the provider put these claims into the ID token.',
  };
  const headers = { authorization: `Bearer ${accessToken}` };
  const { status, body, json } = await askProvider(runtime, provider, endpoints.userInfo, { headers }, fault);
  if (status !== 200)
    throw unusable(runtime, provider, { ...fault, facts: { url: endpoints.userInfo, status } });
  const claims =
    json === null ? await verifySigned(runtime, metadata, provider, endpoints, body) : object(json);
  if (claims.sub !== said.sub)
    throw notConfirmed(runtime, provider, 'userinfo sub', {
      problem: 'described another person at UserInfo than in the ID token',
      cure: '`sub` must be the same in both (OpenID Connect Core 5.3.2).',
      facts: { expected: quoted(said.sub), received: quoted(claims.sub) },
    });
  // `email_verified` speaks of the address beside it: the address of one answer must not be proved by the other.
  const { email, email_verified } =
    said.email === undefined || said.email === claims.email ? { ...claims, ...said } : said;
  return { ...claims, ...said, email, email_verified };
}

/** UserInfo as `application/jwt`: some providers, Keycloak where it is set up so, sign it. @see OpenID Connect Core 5.3.2 */
async function verifySigned(
  runtime: ClientRuntime,
  metadata: ProviderMetadata,
  provider: SocialProvider,
  { issuer, jwks }: Endpoints,
  jwt: string,
): Promise<Claims> {
  try {
    if (jwks === undefined || typeof issuer !== 'string') throw new errors.JOSENotSupported('no keys');
    return await metadata.withKeys(provider, jwks, async (keys) => {
      const { payload } = await jwtVerify(jwt.trim(), keys, {
        algorithms: ALGORITHMS,
        issuer,
        audience: provider.clientId,
        currentDate: runtime.now(),
      });
      return payload;
    });
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw notConfirmed(runtime, provider, `userinfo ${error.code}`, {
      problem: 'answered at UserInfo with neither JSON nor a token that its keys signed for this client',
      cure: 'Turn the signing or encryption of UserInfo off for this client at the provider.',
      facts: { error: error.code },
      cause: error,
    });
  }
}
