import type { Actor } from './actor.js';

/** A person who can sign in. */
export interface User {
  id: string;
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

/** An API key as a request sees it. */
export interface ApiKey {
  id: string;
  name: string;
}

/** Who is calling and by what credential; on every request after `session()`. */
export interface Auth {
  readonly method: 'anonymous' | 'session' | 'access_token' | 'api_key';
  readonly user: Express.User | null;
  readonly session: Session | null;
  readonly apiKey: ApiKey | null;
  /** Who does what this request does; the last argument of everything that changes something. */
  readonly actor: Actor;
  can(permission: string, scope?: string): Promise<boolean>;
  hasRole(role: string, scope?: string): Promise<boolean>;
  /** @throws AuthTunaError `unauthenticated`, `password_change_required`, `enrollment_required`, `forbidden` */
  require(permission: string, scope?: string): Promise<void>;
}

declare global {
  namespace Express {
    interface User extends UserColumns {}
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
