import {
  defineProvider,
  OPENID,
  type ProviderOptions,
  type ProviderRow,
  type SocialProvider,
  text,
} from './provider.js';

const MICROSOFT_HOST = 'https://login.microsoftonline.com';
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export interface MicrosoftOptions extends ProviderOptions {
  /** A tenant's GUID, or `common` (default), `organizations`, `consumers`. */
  tenant?: string;
}

const microsoftRow = (tenant: string): ProviderRow => ({
  id: 'microsoft',
  name: 'Microsoft',
  endpoints: {
    authorization: `${MICROSOFT_HOST}/${tenant}/oauth2/v2.0/authorize`,
    token: `${MICROSOFT_HOST}/${tenant}/oauth2/v2.0/token`,
    jwks: `${MICROSOFT_HOST}/${tenant}/discovery/v2.0/keys`,
    // The endpoints for all tenants issue tokens in the name of the person's own tenant.
    issuer: ({ tid }) =>
      GUID.test(String(tid)) && (!GUID.test(tenant) || tid === tenant)
        ? `${MICROSOFT_HOST}/${tid}/v2.0`
        : 'no tenant',
  },
  scopes: OPENID,
  offline: { scopes: ['offline_access'] },
  profile({ claims }) {
    const email = text(claims.email);
    const tenantId = text(claims.tid);
    const objectId = text(claims.oid);
    return {
      // `oid` is permanent within a tenant only, so the tenant is part of the subject.
      subject: tenantId === null || objectId === null ? '' : `${tenantId}/${objectId}`,
      email,
      // The administrators of any tenant can write any address there ("nOAuth"); only this optional claim says that the domain is theirs.
      emailVerified: email !== null && claims.xms_edov === true,
      name: text(claims.name),
    };
  },
});

/** Sign in with Microsoft, work and personal accounts. Addresses count as unverified unless the `xms_edov` claim is configured. */
export const microsoft = ({ tenant = 'common', ...options }: MicrosoftOptions): SocialProvider =>
  defineProvider(microsoftRow(tenant), options);
