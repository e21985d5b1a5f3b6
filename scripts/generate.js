// Generates the two shipped Prisma clients from one set of models: src/db/generated/{sqlite,postgresql}.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const models = readFileSync(join(root, 'prisma/authtuna.prisma'), 'utf8');
const { version, bin } = require('prisma/package.json');

for (const dialect of ['sqlite', 'postgresql']) {
  const header = readFileSync(join(root, `prisma/${dialect}.prisma`), 'utf8');
  const fingerprint = createHash('sha256').update(`${version}\n${header}\n${models}`).digest('hex');
  const output = join(root, 'src/db/generated', dialect);
  const fingerprintFile = join(output, '.fingerprint');
  if (existsSync(fingerprintFile) && readFileSync(fingerprintFile, 'utf8') === fingerprint) continue;

  // A schema folder may hold one datasource only, so each client gets its own: header and models side by side.
  const folder = join(root, 'prisma/composed', dialect);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'header.prisma'), header);
  writeFileSync(join(folder, 'authtuna.prisma'), models);

  const cli = join(dirname(require.resolve('prisma/package.json')), bin.prisma);
  execFileSync(process.execPath, [cli, 'generate', '--schema', folder], { cwd: root, stdio: 'pipe' });

  // The entry file sets `globalThis.__dirname` for query engines of old; a library must not touch the host's globals.
  const entry = join(output, 'client.ts');
  const lines = readFileSync(entry, 'utf8').split('\n');
  const touchesGlobals =
    /^(import \* as (process|path) from|import \{ fileURLToPath \} from|globalThis\['__dirname'\])/;
  writeFileSync(entry, lines.filter((line) => !touchesGlobals.test(line)).join('\n'));

  writeFileSync(fingerprintFile, fingerprint);
  console.log(`generated src/db/generated/${dialect}`);
}
