import type { AuthTuna } from './authtuna-interface.js';
import type { SealedColumn } from './core/changes/reseal.js';
import type { SignInCore } from './core/sign-in/create-sign-in.js';
import type { AnyPrisma } from './db/client.js';

/** An AuthTuna and what it was built from, for commands. */
export interface Parts {
  authTuna: AuthTuna;
  core: SignInCore;
  sealed: readonly SealedColumn[];
  /** The client of the host, or the shipped one. */
  client: AnyPrisma;
}

// Registered under a name, because the command and the app may have loaded the package from two places.
const PARTS = Symbol.for('authtuna.parts');

/** Lets {@link partsOf} find the parts. A logger or `JSON.stringify` does not see them. */
export function attachParts(authTuna: object, parts: unknown): void {
  Object.defineProperty(authTuna, PARTS, { value: () => parts });
}

/** The parts of an AuthTuna; null for every other value. */
export function partsOf(value: unknown): Parts | null {
  if (typeof value !== 'object' || value === null) return null;
  const parts = (value as { [PARTS]?: () => Parts })[PARTS];
  return typeof parts === 'function' ? parts() : null;
}
