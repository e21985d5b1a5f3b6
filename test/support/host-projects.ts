import { onTestFinished } from 'vitest';
import { readShippedSchema } from '../../src/db/schema/shipped.js';
import { emptyDatabase, type TestDatabase } from './database.js';
import {
  createTables,
  hostClient,
  hostFolder,
  type Statement,
  schemaHeader,
  writeSchema,
} from './host-prisma.js';

/** A row of the host's table of projects. */
export interface HostProject {
  id: string;
  orgId: string | null;
  teamId: string | null;
  ownerId: string | null;
}

/** What a test calls of the host's client. */
export interface ProjectClient {
  project: {
    findMany(args: object): Promise<HostProject[]>;
    createMany(args: { data: HostProject[] }): Promise<object>;
    deleteMany(args: object): Promise<object>;
  };
  $executeRawUnsafe(sql: string): Promise<number>;
}

/** The schema of docs/access.md: a table of projects, and the view that `through` leads to. */
const MODELS = `
model Project {
  id      String         @id
  orgId   String?
  teamId  String?
  ownerId String?
  grants  ProjectGrant[]

  @@index([orgId])
  @@index([teamId])
  @@index([ownerId])
}
view ProjectGrant {
  projectId String
  userId    String?
  teamId    String?
  roleId    String?
  expiresAt DateTime?
  project   Project   @relation(fields: [projectId], references: [id])

  @@unique([projectId, userId, teamId, roleId])
}
`;

const VIEW = `CREATE VIEW "ProjectGrant" AS
  SELECT substr("scope", 9) AS "projectId", "userId", NULL AS "teamId", "roleId", "expiresAt"
    FROM "RoleAssignment" WHERE "scope" LIKE 'project:%'
  UNION ALL
  SELECT substr("scope", 9), NULL, "teamId", "roleId", "expiresAt"
    FROM "TeamAssignment" WHERE "scope" LIKE 'project:%'
  UNION ALL
  SELECT substr("id", 9), "ownerId", NULL, NULL, NULL
    FROM "ScopeNode" WHERE "id" LIKE 'project:%' AND "ownerId" IS NOT NULL`;

/** A host with projects of its own and our models in one client; every statement is noted. */
export async function hostProjects(): Promise<{
  database: TestDatabase;
  prisma: ProjectClient;
  statements: Statement[];
}> {
  const database = await emptyDatabase();
  onTestFinished(() => database.drop());
  const folder = hostFolder('projects');
  const schema = `${schemaHeader(database.dialect, 'previewFeatures = ["views"]')}${readShippedSchema()}${MODELS}`;
  writeSchema(folder, 'schema.prisma', schema);
  await createTables(database, schema);
  const statements: Statement[] = [];
  const prisma = await hostClient<ProjectClient>(
    folder,
    database,
    (statement) => void statements.push(statement),
  );
  await prisma.$executeRawUnsafe(VIEW);
  return { database, prisma, statements };
}
