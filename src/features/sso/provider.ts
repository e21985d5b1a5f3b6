import type { SealedColumn } from '../../core/changes/reseal.js';
import type { Core } from '../../core/core.js';
import { domainOf } from '../../core/identifiers.js';
import { invalid } from '../../core/refusals.js';
import { SSO_PREFIX } from '../../core/users/sign-in-methods.js';
import { isStorableText, UNSTORABLE } from '../../db/client.js';
import { oidcProvider } from '../../oauth-client/oidc.js';
import {
  type Claims,
  type Profile,
  type SocialProvider,
  standardClaims,
} from '../../oauth-client/provider.js';
import { redirectUriOf } from '../../oauth-client/redirect-uri.js';
import type { ConnectionRow } from './connection.js';

/** The provider that a connection stands for. */
export function toProvider({ vault }: Core, row: ConnectionRow): SocialProvider {
  const secret = row.clientSecret === null ? null : vault.open(row.clientSecret, placeOf(row.id));
  const verified = new Set(row.domains.flatMap(({ verifiedDomain }) => verifiedDomain ?? []));
  return oidcProvider(
    {
      id: SSO_PREFIX + row.id,
      name: row.name,
      issuer: row.issuer,
      clientId: row.clientId,
      ...(secret !== null && { clientSecret: secret }),
    },
    {
      ofTenant: true,
      profile: async ({ claims }) => ofDomains(claims, verified),
      ...(row.rolesClaim !== null && { neededClaims: [row.rolesClaim] }),
    },
  );
}

/** The address to register at the provider of a connection. */
export function redirectUriAt({ config }: Core, connection: { provider: string }): string {
  return redirectUriOf(config, connection.provider);
}

/** The client secret as it is stored; null for a public client. */
export function sealSecret({ vault }: Core, id: string, secret: string | undefined): string | null {
  if (secret !== undefined && !isStorableText(secret))
    throw invalid('clientSecret', 'invalid_format', `must not hold ${UNSTORABLE}`);
  return secret === undefined ? null : vault.seal(secret, placeOf(id));
}

/**
 * The claims, with the address believed only within the proved domains. A provider that says the address is not verified is taken at its word;
 * one that says nothing (Entra) is the organization's own directory.
 */
function ofDomains(claims: Claims, verified: ReadonlySet<string>): Profile {
  const profile = standardClaims(claims);
  const domain = profile.email === null ? null : domainOf(profile.email);
  const isDenied = claims.email_verified !== undefined && claims.email_verified !== true;
  return { ...profile, emailVerified: domain !== null && verified.has(domain) && !isDenied };
}

function placeOf(id: string): string[] {
  return ['SsoConnection', 'clientSecret', id];
}

/** The client secrets of connections. */
export const SEALED_CLIENT_SECRETS: SealedColumn = {
  model: 'ssoConnection',
  column: 'clientSecret',
  name: 'client secrets',
  place: placeOf,
};
