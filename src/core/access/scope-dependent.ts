import type { Write } from '../changes/ledger.js';

/** A feature that keeps something about scopes. */
export interface ScopeDependent {
  /** Whether anything is stored about the scope. If so, another user may not register its name. */
  isUsing(scope: string): Promise<boolean>;
  /** The writes that remove all of it, for the batch that removes the scopes. */
  removeAt(scopes: readonly string[]): Promise<Write[]>;
  /** Refuses to move or remove a scope that a manager of its own takes care of. @throws AuthTunaError `conflict` */
  requireFree?(scope: string, change: 'move' | 'remove'): Promise<void>;
}
