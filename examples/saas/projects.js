// The table of projects. Who may see or change a project is decided before these functions are called.
import { randomUUID } from 'node:crypto';

export async function createTables(query) {
  await query(
    'CREATE TABLE IF NOT EXISTS project (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, owner_id TEXT, name TEXT NOT NULL)',
  );
  await query('CREATE INDEX IF NOT EXISTS project_org ON project (org_id)');
}

export async function insertProject(query, { orgId, ownerId, name }) {
  const id = randomUUID();
  await query(
    'INSERT INTO project (id, org_id, owner_id, name) VALUES (?, ?, ?, ?)',
    id,
    orgId,
    ownerId,
    name,
  );
  return { id, orgId, ownerId, name };
}

export async function findProjects(query, ids) {
  const marks = ids.map(() => '?').join(', ');
  return ids.length === 0 ? [] : query(`SELECT * FROM project WHERE id IN (${marks})`, ...ids);
}

export function projectsOf(query, orgId) {
  return query('SELECT * FROM project WHERE org_id = ? ORDER BY name LIMIT 100', orgId);
}

export function renameProject(query, id, name) {
  return query('UPDATE project SET name = ? WHERE id = ?', name, id);
}

export function removeProject(query, id) {
  return query('DELETE FROM project WHERE id = ?', id);
}

/** For an organization that was deleted. */
export function removeProjectsOf(query, orgId) {
  return query('DELETE FROM project WHERE org_id = ?', orgId);
}

/** For a member who left: nobody owns their projects then. */
export function disownProjects(query, orgId, userId) {
  return query('UPDATE project SET owner_id = NULL WHERE org_id = ? AND owner_id = ?', orgId, userId);
}
