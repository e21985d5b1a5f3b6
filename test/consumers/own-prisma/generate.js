// Writes the schema of a host that added columns of its own to our models, and generates its client.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../..');
const require = createRequire(import.meta.url);
const models = readFileSync(join(root, 'prisma/authtuna.prisma'), 'utf8');

for (const provider of ['sqlite', 'postgresql']) {
  const folder = join(here, 'generated', provider);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const schema = models
    .replace(
      /model User \{/,
      'model User {\n  plan String @default("free")\n  displayName String?\n  passwordHash String?\n  posts Post[]\n',
    )
    .replace(/model Organization \{/, 'model Organization {\n  tier String?\n')
    .replace(/model OrganizationProject \{/, 'model OrganizationProject {\n  color String?\n');
  writeFileSync(
    join(folder, 'schema.prisma'),
    `generator client {
  provider            = "prisma-client"
  output              = "./client"
  moduleFormat        = "esm"
  importFileExtension = "js"
}
datasource db {
  provider = "${provider}"
}
model Post {
  id       String @id
  authorId String
  author   User   @relation(fields: [authorId], references: [id])
}
${schema}`,
  );
  const prisma = require('prisma/package.json');
  const cli = join(dirname(require.resolve('prisma/package.json')), prisma.bin.prisma);
  execFileSync(process.execPath, [cli, 'generate', '--schema', join(folder, 'schema.prisma')], {
    cwd: root,
    stdio: 'pipe',
  });
}
