import type { Runtime } from '../runtime.js';
import { RoleCatalog } from './role-catalog.js';
import { readVersions, rolesChanged, type Versions } from './versions.js';

/**
 * Keeps the compiled roles, and knows whether they are still the current ones.
 *
 * Every change of a role moves a counter in its own batch; reading that one row tells whether to compile again.
 */
export class RoleStore {
  readonly #runtime: Runtime;
  #catalog: RoleCatalog | null = null;
  /** Of the tree of scopes when `#catalog` was last confirmed. */
  #scopesVersion = 0;
  /** Of what teams hold, at the same time. */
  #teamsVersion = 0;
  /** When the counter last said that `#catalog` is current; milliseconds. */
  #confirmedAt = -Infinity;
  /** Counts what may have changed roles, so that an answer that was under way meanwhile confirms nothing. */
  #changes = 0;
  #loading: { version: number; answer: Promise<RoleCatalog> } | null = null;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    runtime.invalidation.subscribe((topics) => {
      if (!topics.some((topic) => topic === 'roles' || topic === 'all')) return;
      this.#changes += 1;
      this.#confirmedAt = -Infinity;
    });
  }

  /**
   * The roles and the versions of the tree of scopes and of teams as they were at most `withinMs` ago, and when that was. Nothing is read when they were
   * asked about since.
   */
  async recent(
    withinMs: number,
  ): Promise<{ catalog: RoleCatalog; scopesVersion: number; teamsVersion: number; at: number }> {
    const now = this.#runtime.now().getTime();
    const age = now - this.#confirmedAt;
    if (this.#catalog !== null && age >= 0 && age < withinMs)
      return {
        catalog: this.#catalog,
        scopesVersion: this.#scopesVersion,
        teamsVersion: this.#teamsVersion,
        at: this.#confirmedAt,
      };
    const changes = this.#changes;
    const versions = await this.#read();
    const catalog = await this.#ofVersion(versions.roles);
    if (changes === this.#changes && catalog === this.#catalog) {
      this.#confirmedAt = now;
      this.#scopesVersion = versions.scopes;
      this.#teamsVersion = versions.teams;
    }
    return { catalog, scopesVersion: versions.scopes, teamsVersion: versions.teams, at: now };
  }

  /** The roles and the version of what teams hold, as of now. */
  async currentWithTeams(): Promise<{ catalog: RoleCatalog; teamsVersion: number }> {
    const versions = await this.#read();
    return { catalog: await this.#ofVersion(versions.roles), teamsVersion: versions.teams };
  }

  /** The roles as of now: one row is read, and all roles only when they changed. */
  async current(): Promise<RoleCatalog> {
    return this.#ofVersion((await this.#read()).roles);
  }

  async #read(): Promise<Versions> {
    const versions = await readVersions(this.#runtime.db);
    this.#runtime.webhooks.noteVersion(versions.webhooks);
    return versions;
  }

  async #ofVersion(version: number): Promise<RoleCatalog> {
    if (this.#catalog?.version === version) return this.#catalog;
    // Several requests that notice the same new version load it once.
    if (this.#loading?.version !== version) this.#loading = { version, answer: this.#load(version) };
    const { answer } = this.#loading;
    try {
      return await answer;
    } finally {
      if (this.#loading?.answer === answer) this.#loading = null;
    }
  }

  /** The write that moves the counter; it belongs in every batch that changes a role. */
  bump() {
    return rolesChanged(this.#runtime.db);
  }

  async #load(version: number): Promise<RoleCatalog> {
    const rows = await this.#runtime.db.role.findMany({
      include: {
        permissions: { select: { permission: true } },
        includes: { select: { includedId: true } },
        mayAssign: { select: { assignableId: true } },
      },
    });
    const catalog = new RoleCatalog(version, rows);
    if (this.#catalog === null || this.#catalog.version < version) this.#catalog = catalog;
    return catalog;
  }
}
