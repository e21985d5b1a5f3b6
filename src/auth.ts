import type { Actor } from './actor.js';

/**
 * `Known` for a name that is written down, so that a misspelled one does not compile; any name that is known at run time only. To be used as
 * `name: N & Checked<N, Known>`.
 */
export type Checked<N extends string, Known extends string> = string extends N ? N : Known;
type PermissionName = Express.AuthTunaNames extends { permission: infer P extends string } ? P : string;
type RoleName = Express.AuthTunaNames extends { role: infer R extends string } ? R : string;

/** A person who can sign in, or an account for a program. */
export interface User {
  id: string;
  /** `person`, or `service` for an account that cannot sign in and acts by its API keys. */
  kind: string;
  /** Lower-cased, its domain as A-label. */
  email: string;
  username: string | null;
  emailVerifiedAt: Date | null;
  suspendedAt: Date | null;
  /** When the suspension ends by itself; null for one that must be lifted. */
  suspendedUntil: Date | null;
  suspendedReason: string | null;
  deletedAt: Date | null;
  /** A new password must be chosen before anything else. */
  mustChangePassword: boolean;
  createdAt: Date;
  updatedAt: Date;
  lastLoginAt: Date | null;
}

/** A signed-in device, as it is listed: no credential is in it, and its `id` is none. */
export interface Session {
  id: string;
  userId: string;
  kind: 'cookie' | 'bearer';
  createdAt: Date;
  lastSeenAt: Date;
  /** The latest it can end; activity does not move it. */
  expiresAt: Date;
  /** When the user last proved who they are. */
  authenticatedAt: Date;
  /** How, in values of RFC 8176 (`pwd`, `otp`, `hwk`, …). */
  amr: string[];
  /** 1 for one factor, 2 for two. */
  assuranceLevel: number;
  persistent: boolean;
  ip: string | null;
  /** For a person to recognize: "Firefox on Linux". */
  device: string | null;
  country: string | null;
  impersonatorId: string | null;
}

/** An API key as it is listed, and as a request sees it: its text is not in it. */
export interface ApiKey {
  id: string;
  /** The owner, as whom the key acts. */
  userId: string;
  name: string;
  /** `publishable` only names its owner; `master` is one of the few that need no grants; `test` works on a developer's machine only. */
  kind: 'secret' | 'publishable' | 'master' | 'test';
  /** The first characters, by which a person recognizes it. */
  start: string;
  /** The roles it may use, and where; null for everything that its owner may do. */
  grants: { role: string; scope: string }[] | null;
  createdAt: Date;
  expiresAt: Date | null;
  /** Written at most once a minute. */
  lastUsedAt: Date | null;
  revokedAt: Date | null;
  /** When it was first sent in the address of a request, where logs keep it. */
  exposedAt: Date | null;
  /** Addresses and networks that it works from; empty for everywhere. */
  allowedIps: string[];
}

/** Who is calling and by what credential; on every request after `session()`. */
export interface Auth {
  readonly method: 'anonymous' | 'session' | 'access_token' | 'api_key';
  readonly user: Express.User | null;
  readonly session: Session | null;
  /** The key of the request; of a publishable key too, beside which `user` is null. */
  readonly apiKey: ApiKey | null;
  /** Who does what this request does; the last argument of everything that changes something. */
  readonly actor: Actor;
  can<N extends string>(permission: N & Checked<N, PermissionName>, scope?: string): Promise<boolean>;
  hasRole<N extends string>(role: N & Checked<N, RoleName>, scope?: string): Promise<boolean>;
  /** @throws AuthTunaError `unauthenticated`, `password_change_required`, `enrollment_required`, `forbidden` */
  require<N extends string>(permission: N & Checked<N, PermissionName>, scope?: string): Promise<void>;
}

declare global {
  namespace Express {
    interface User extends UserColumns {}
    /** The names that `req.auth` checks; filled by a host: `interface AuthTunaNames extends NamesOf<typeof authTuna> {}`. */
    interface AuthTunaNames {}
    interface Request {
      /** Who is calling. */
      auth: Auth;
      /** `auth.user`, under the name that passport made known. */
      user?: User | undefined;
    }
  }
}
/** The columns every user has; a host's own come by declaration merging. */
export interface UserColumns extends User {}
