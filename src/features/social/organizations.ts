import type { AuthTunaError } from '../../errors.js';
import type { SocialProvider } from '../../oauth-client/provider.js';

/** Where people of a domain sign in; see the sso feature. */
export interface Discovery {
  provider: string;
  name: string;
  required: boolean;
}

/** What social sign-in asks about providers that belong to organizations; the sso feature answers. */
export interface OrganizationProviders {
  /** The provider where people of an address's domain sign in; null when none has proved the domain. */
  discover(email: string): Promise<Discovery | null>;
  /** Whether any organization has a provider of its own. */
  hasAny(): Promise<boolean>;
  /** Names of organizations' connections, by their ids as providers. */
  namesOf(providers: readonly string[]): Promise<Map<string, string>>;
  providerOf(provider: string): Promise<SocialProvider | null>;
  mayLink(provider: string): Promise<boolean>;
  /** What is demanded of the address's domain, or null. @throws AuthTunaError `forbidden` for an address outside the connection's domains */
  requireMember(provider: string, email: string): Promise<Discovery | null>;
  /** Looks again whether the organization still has the domain of an address, before somebody enters by its provider for the first time. */
  lookAgain(provider: string, email: string): Promise<void>;
  applyRoles(provider: string, userId: string, claims: Readonly<Record<string, unknown>>): Promise<void>;
  /** The refusal that leads to the organization's own provider. */
  demand(discovery: Discovery): AuthTunaError;
}
