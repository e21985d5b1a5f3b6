// What each mail is written from, by the name of its file in templates/emails.

interface Mail {
  locale?: string;
  /** The address it goes to, named at the foot. */
  to: string;
  /** For the greeting. */
  name?: string | null;
}

/** Who did it, as far as the server knows. */
export interface Activity {
  at: Date;
  device: string | null;
  ip: string | null;
}

/** Of the service account that owns the key; null for a key of the reader's own. */
type ServiceAccountName = string | null;

type WithLink = Mail & { link: string };
type WithExpiringLink = WithLink & { expiresInSeconds: number };
/** `link` leads to where the owner looks at the account and ends what was not theirs. */
type Notice = WithLink & { activity: Activity };

/** The data of each mail, by the name of its file in `templates/emails`. */
export interface MailData {
  verification: WithExpiringLink;
  welcome: WithLink;
  'already-registered': Mail & { loginLink: string; resetLink: string };
  /** To an address whose confirmation was asked for again and not needed. */
  'already-confirmed': Mail & { loginLink: string; resetLink: string };
  /** To an address with which somebody signed up whose account was deleted. */
  'account-deleted': Mail;
  'password-reset': WithExpiringLink;
  'password-changed': Notice;
  'email-change-confirm': WithExpiringLink & { newEmail: string };
  'email-changed-old': WithExpiringLink & { newEmail: string; activity: Activity };
  'email-changed-new': Notice;
  /** To the address that the account no longer has; `link` keeps the second factors, which go at `effectiveAt`. */
  'email-change-undone': WithLink & { effectiveAt: Date };
  'new-device': Notice;
  'session-stolen': Notice;
  'factor-added': Notice & { factor: 'totp' | 'recovery_codes' };
  'factor-removed': Notice & { factor: 'totp' | 'recovery_codes' };
  'factor-failed': Notice & {
    factor: 'totp' | 'recovery_codes';
    /** It was one too many: codes of the app are no longer looked at. */
    isClosed: boolean;
  };
  'recovery-code-used': Notice & { left: number };
  /** `link` stops it; until `effectiveAt` the factors stay. */
  'factor-reset': WithLink & { effectiveAt: Date };
  /** `link` leads to where it can be taken back. */
  'deletion-requested': Notice & { effectiveAt: Date };
  /** An administrator acts as the reader. */
  impersonated: Notice & { expiresInSeconds: number };
  'passkey-added': Notice & { passkeyName: string };
  'passkey-synced': Notice & { passkeyName: string };
  'passkey-removed': Notice & { passkeyName: string };
  /** A tool got tokens that the reader approved. */
  'device-connected': Notice & { clientId: string };
  'api-key-created': Notice & { keyName: string; expiresAt: Date };
  /** Somebody else has had the key, and it was ended; or it was sent in an address, where logs keep it. */
  'api-key-exposed': Notice & { keyName: string; isRevoked: boolean; account: ServiceAccountName };
  'api-key-expiring': WithLink & { keyName: string; expiresAt: Date; account: ServiceAccountName };
  'social-linked': Notice & { provider: string };
  'social-unlinked': Notice & { provider: string };
  'sso-domain-lapsed': WithLink & { domain: string };
  /** To the person who made a webhook. `host` is where it led; `isGone` when the receiver said that it wants no more. */
  'webhook-disabled': WithLink & { host: string; isGone: boolean };
  'account-locked': WithExpiringLink;
  'magic-link': WithExpiringLink & { activity: Activity };
  /** To an address without an account: the link offers to make one. */
  'magic-link-sign-up': WithExpiringLink & { activity: Activity };
  /** `inviter` is how the person who invites is called; null for a script. `message` is theirs. */
  invitation: WithExpiringLink & { organization: string; inviter: string | null; message: string | null };
  'email-code': Mail & { code: string; expiresInSeconds: number; activity: Activity };
}
export type MailName = keyof MailData;
