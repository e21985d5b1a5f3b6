import { expect, inject, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { countingClient } from '../../support/counting-client.js';
import type { TestDatabase } from '../../support/database.js';

const MOST = Number(process.env.ASSIGNMENTS ?? 20_000);

test.each([10, 1000, MOST])(
  'with %i assignments of one person every answer at depth four is right, by method and over HTTP',
  async (size) => {
    const app = await startApp(
      {
        permissions: { document: ['read', 'edit'] },
        roles: { reader: { permissions: ['document:read'], at: ['org'] } },
      },
      {
        routes: (express, tuna) =>
          void express.get(
            '/documents/:documentId',
            tuna.requirePermission('document:read', { scopeFrom: 'documentId' }),
            (_req, res) => void res.json({}),
          ),
      },
    );
    const { access, roles, scopes } = app.authTuna;
    const { user, browser } = await app.signedIn();
    const held = [0, 1, size >> 1, size - 1].map((index) => `org:${index}`);
    const organizations = [...held, `org:${size}`, 'org:outside'];
    const documents = new Map<string, string>();
    for (const [index, organization] of organizations.entries()) {
      await scopes.register({ id: `project:${index}`, parent: organization }, SYSTEM);
      await scopes.register({ id: `team:${index}`, parent: `project:${index}` }, SYSTEM);
      await scopes.register({ id: `document:${index}`, parent: `team:${index}` }, SYSTEM);
      documents.set(organization, `document:${index}`);
    }
    // Given once as usual, and from there as an import would.
    await roles.assign({ userId: user.id, role: 'reader', scope: 'org:0' }, SYSTEM);
    await execute(
      app.database,
      `INSERT INTO "RoleAssignment" ("userId", "roleId", "scope", "assignedById", "assignedAt", "expiresAt")
       WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${size - 1})
       SELECT "userId", "roleId", 'org:' || n, "assignedById", "assignedAt", "expiresAt"
       FROM "RoleAssignment", numbers WHERE "scope" = 'org:0'`,
    );
    app.clock.advance({ seconds: 10 });

    const began = performance.now();
    const read = [...documents.values()].map((scope) => ({ permission: 'document:read', scope }));
    const others = [{ permission: 'document:edit', scope: 'document:0' }, { permission: 'document:read' }];
    const answers = await access.canAll(user.id, [...read, ...others]);
    const load = performance.now() - began;
    expect(answers).toEqual([
      ...organizations.map((organization) => held.includes(organization)),
      false,
      false,
    ]);
    const granted = await access.scopesWith(user.id, 'document:read');
    expect(granted.all ? -1 : granted.scopes.length).toBe(size);

    const coldBegan = performance.now();
    expect((await browser.get('/me')).status).toBe(200);
    const cold = performance.now() - coldBegan;
    const warmBegan = performance.now();
    for (const [organization, document] of documents) {
      const answer = await browser.get(`/documents/${document.slice('document:'.length)}`);
      expect(answer.status, organization).toBe(held.includes(organization) ? 200 : 403);
    }
    const warm = (performance.now() - warmBegan) / documents.size;
    await roles.unassign({ userId: user.id, role: 'reader', scope: 'org:1' }, SYSTEM);
    expect((await browser.get('/documents/1')).status).toBe(403);
    expect((await browser.get('/documents/0')).status).toBe(200);
    process.stdout.write(
      `[${inject('dialect')}] ${size} assignments: ${load.toFixed(0)} ms for decisions from the database, ${cold.toFixed(0)} ms for the first request, ${warm.toFixed(1)} ms for each after it\n`,
    );
    // Every row is read whenever the session's is; the decision itself no longer sees how many there were.
    expect(load).toBeLessThan(10_000);
    expect(cold).toBeLessThan(10_000);
    expect(warm).toBeLessThan(Math.max(250, cold / 2));
  },
  120_000,
);

async function execute(database: TestDatabase, sql: string): Promise<void> {
  const { client } = countingClient(database);
  await (client as unknown as { $executeRawUnsafe(sql: string): Promise<number> }).$executeRawUnsafe(sql);
  await client.$disconnect();
}
