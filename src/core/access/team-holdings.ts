import { rememberAtMost } from '../../remember.js';
import type { Runtime } from '../runtime.js';
import type { AssignmentRow } from './role-catalog.js';

const TEAM_PREFIX = 'team:';
const MAX_TEAMS = 10_000;

/** The roles of teams, by the id of the team. */
export type Holdings = ReadonlyMap<string, readonly AssignmentRow[]>;

/** The id of the team that a scope is; null for every other scope. */
export function teamOf(scope: string): string | null {
  return scope.startsWith(TEAM_PREFIX) ? scope.slice(TEAM_PREFIX.length) : null;
}

/** The scope of a team. */
export const scopeOfTeam = (teamId: string) => TEAM_PREFIX + teamId;

/**
 * What teams hold, kept in memory by the version that every change of it moves.
 *
 * A person is in a team while a role at its scope is assigned to them, whichever role that is.
 */
export class TeamHoldings {
  readonly #runtime: Runtime;
  readonly #known = rememberAtMost<{ version: number; rows: readonly AssignmentRow[] }>(MAX_TEAMS);

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * What the teams hold in which these assignments make somebody a member. One query at most, and none for teams that are known.
   *
   * @param version as read for the decision that this is for, before this call
   */
  async of(assignments: Iterable<Pick<AssignmentRow, 'scope'>>, version: number): Promise<Holdings> {
    const holdings = new Map<string, readonly AssignmentRow[]>();
    const missing = new Map<string, AssignmentRow[]>();
    for (const { scope } of assignments) {
      const team = teamOf(scope);
      if (team === null) continue;
      const known = this.#known.get(team);
      if (known?.version === version) holdings.set(team, known.rows);
      else missing.set(team, []);
    }
    if (missing.size === 0) return holdings;
    const rows = await this.#runtime.db.teamAssignment.findMany({
      where: { teamId: { in: [...missing.keys()] } },
      select: { teamId: true, roleId: true, scope: true, expiresAt: true },
    });
    for (const { teamId, ...row } of rows) missing.get(teamId)?.push({ ...row, team: teamId });
    for (const [team, found] of missing) {
      this.#known.set(team, { version, rows: found });
      holdings.set(team, found);
    }
    return holdings;
  }
}

/** A person's assignments with what their teams hold. Each of these ends with the membership, if not before. */
export function withTeams(
  assignments: readonly AssignmentRow[],
  holdings: Holdings,
): readonly AssignmentRow[] {
  if (holdings.size === 0) return assignments;
  const all = [...assignments];
  for (const member of assignments) {
    const team = teamOf(member.scope);
    for (const row of (team === null ? undefined : holdings.get(team)) ?? [])
      all.push({ ...row, expiresAt: earlier(member.expiresAt, row.expiresAt) });
  }
  return all;
}

/** The first of two ends; null is no end. */
export function earlier(a: Date | null, b: Date | null): Date | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}
