import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

interface Import {
  from: string;
  /** A file of ours relative to src without its extension, or the name of a package. */
  to: string;
  isOurs: boolean;
  isTypeOnly: boolean;
}

const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !file.startsWith('db/generated/'));
const IMPORTS = FILES.flatMap(importsOf);

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  const statements = [
    ...text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm),
    ...text.matchAll(/\b(?:import|require)\(()'([^']+)'\)/g),
  ];
  return statements.map(([statement, type, target = '']) => {
    const isOurs = target.startsWith('.');
    const braces = /\{([^}]*)\}/.exec(statement)?.[1];
    const names =
      braces
        ?.split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '') ?? [];
    return {
      from: file,
      to: isOurs
        ? relative(SRC, resolve(SRC, dirname(file), target))
            .replaceAll('\\', '/')
            .replace(/\.js$/, '')
        : target,
      isOurs,
      isTypeOnly:
        type?.trim() === 'type' || (names.length > 0 && names.every((name) => name.startsWith('type '))),
    };
  });
}

const ROUTES = '(?:[\\w-]+-)?(?:routes|pages|authenticator)\\.ts$';

const BASE = 'actor|auth|errors|events|remember|time';

const LAYERS: readonly { files: RegExp; mayImport: RegExp }[] = [
  { files: /^(crypto|net)\//, mayImport: new RegExp(`^(crypto|net)/|^(${BASE})$`) },
  { files: new RegExp(`^(${BASE})\\.ts$`), mayImport: new RegExp(`^(${BASE})$`) },
  { files: /^db\//, mayImport: new RegExp(`^db/|^(${BASE})$`) },
  {
    files: /^config\//,
    mayImport: new RegExp(`^(config|crypto|net|db)/|^oauth-client/provider$|^(${BASE})$`),
  },
  {
    files: /^oauth-client\//,
    mayImport: new RegExp(`^(oauth-client|config|crypto|net|db)/|^(${BASE})$`),
  },
  { files: /^core\//, mayImport: new RegExp(`^(core|config|crypto|net|db)/|^(${BASE})$`) },
  {
    files: /^(templates|mail)\//,
    mayImport: new RegExp(`^(templates|mail|core|config|crypto|net|db)/|^(${BASE})$`),
  },
  { files: /^http\//, mayImport: new RegExp(`^(http|core|templates|config|crypto|net|db)/|^(${BASE})$`) },
  {
    files: new RegExp(`^features/[^/]+/(?!${ROUTES})`),
    mayImport: new RegExp(`^(features|core|config|oauth-client|crypto|net|db)/|^(${BASE})$`),
  },
  {
    files: new RegExp(`^features/[^/]+/${ROUTES}`),
    mayImport: new RegExp(`^(features|http|core|config|templates|net|db)/|^(${BASE})$`),
  },
  { files: /^client\//, mayImport: /^client\// },
  {
    files: /^remote\//,
    mayImport: new RegExp(
      `^(remote|http|net)/|^core/access/scope-name$|^config/(config|options)$|^(${BASE})$`,
    ),
  },
  { files: /^(cli|testing)\//, mayImport: /./ },
  { files: /^(authtuna|authtuna-interface|env|features|parts|start|index)\.ts$/, mayImport: /./ },
];

test('the imports of src are read at all', () => {
  expect(FILES.length).toBeGreaterThan(50);
  expect(IMPORTS.length).toBeGreaterThan(200);
  expect(IMPORTS).toContainEqual({
    from: 'core/changes/audit.ts',
    to: 'events',
    isOurs: true,
    isTypeOnly: true,
  });
});

test('every file belongs to a layer, and imports only what its layer may', () => {
  expect(FILES.filter((file) => !LAYERS.some(({ files }) => files.test(file)))).toEqual([]);
  const wrong = IMPORTS.filter(({ from, to, isOurs }) => {
    const layer = LAYERS.find(({ files }) => files.test(from));
    return isOurs && layer !== undefined && !layer.mayImport.test(to);
  });
  expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
});

test('no file imports in a circle, type imports included', () => {
  const targets = new Map(
    FILES.map((file) => [
      file.replace(/\.ts$/, ''),
      IMPORTS.filter(({ from, isOurs }) => isOurs && from === file).map(({ to }) => to),
    ]),
  );
  const isDone = new Set<string>();
  const circles: string[] = [];
  const walk = (file: string, path: readonly string[]) => {
    if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    if (isDone.has(file)) return;
    for (const target of targets.get(file) ?? []) walk(target, [...path, file]);
    isDone.add(file);
  };
  for (const file of targets.keys()) walk(file, []);
  expect(circles).toEqual([]);
});

test('express is known to http, routes, pages, testing and what puts an instance together', () => {
  const allowed = new RegExp(
    `^http/|^features/[^/]+/${ROUTES}|^(testing|remote)/|^(authtuna|authtuna-interface|features)\\.ts$`,
  );
  const wrong = IMPORTS.filter(({ from, to }) => /^express(\/|$)/.test(to) && !allowed.test(from));
  expect(wrong.map(({ from }) => from)).toEqual([]);
});

test('core, crypto, db and mail know no feature and no http, not even by type', () => {
  const wrong = IMPORTS.filter(
    ({ from, to }) => /^(core|crypto|db|mail)\//.test(from) && /^(features|http|cli|testing)\//.test(to),
  );
  expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
});

test('no feature imports another, not even by type', () => {
  const featureOf = (path: string) => /^features\/([^/]+)/.exec(path)?.[1];
  const wrong = IMPORTS.filter(
    ({ from, to }) =>
      featureOf(from) !== undefined && featureOf(to) !== undefined && featureOf(from) !== featureOf(to),
  );
  expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
});

test('time, chance and the environment come from the runtime', () => {
  const strip = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
  const wrong = FILES.flatMap((file) => {
    const text = strip(readFileSync(join(SRC, file), 'utf8'));
    const found = [];
    if (
      /^(core|features|mail|crypto)\//.test(file) &&
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(/.test(text)
    )
      found.push('reads the clock or chance');
    if (!/^(config\/env\.ts|cli\/)/.test(file) && /\bprocess\.env\b/.test(text))
      found.push('reads process.env');
    if (file !== 'db/client.ts' && /[:<,]\s*any\b(?!\s*:)|\bas any\b/.test(text)) found.push('says any');
    return found.map((what) => `${file} ${what}`);
  });
  expect(wrong).toEqual([]);
});

test('rows of users are deleted in one place, which minds the counts of superadmins and owners', () => {
  const deleting = FILES.filter((file) =>
    /\buser\s*\.delete(Many)?\(/.test(readFileSync(join(SRC, file), 'utf8')),
  );
  expect(deleting).toEqual(['core/users/removal.ts']);
});

test('arctic is imported by one file', () => {
  expect(
    new Set(IMPORTS.filter(({ to }) => to === 'arctic').map(({ from }) => from)).size,
  ).toBeLessThanOrEqual(1);
});

test('every dependency has its line in docs/dependencies.md, with the reason for it', () => {
  const read = (path: string) => readFileSync(join(SRC, '..', path), 'utf8');
  const { dependencies, peerDependencies } = JSON.parse(read('package.json')) as Record<string, object>;
  const lines = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \|(?: [^|]+ \|){3}$/gm)];
  expect(lines.map(([, name]) => name).sort()).toEqual(
    Object.keys({ ...dependencies, ...peerDependencies }).sort(),
  );
});
