import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { EVENT_TYPES } from '../../src/events.js';
import { STATUS } from '../../src/http/errors.js';
import { startApp } from '../support/app.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Options that nothing reads yet. */
const RESERVED: string[] = [];

test('every link of a page leads to a file and a heading that exist', () => {
  const links = pages.flatMap((page) =>
    [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ page, target })),
  );
  expect(links.length).toBeGreaterThan(50);
  const broken = links.filter(({ page, target }) => {
    if (/^https?:/.test(target)) return false;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && !anchorsOf(read(file)).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test('docs/ has no page that the README does not lead to', () => {
  const missing = pages.filter(
    (page) => page.startsWith('docs/') && !read('README.md').includes(`(${page})`),
  );
  expect(missing).toEqual([]);
});

test('errors.md has every code with its status, and no other', () => {
  const rows = [...read('docs/errors.md').matchAll(/^\| `([a-z_]+)` \| (\d{3}) \|/gm)];
  expect(Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)]))).toEqual(STATUS);
});

test('events.md has every type of event, and no other', () => {
  const [, table = ''] = /\| subject \| types \|\n([\s\S]*?)\n\n/.exec(read('docs/events.md')) ?? [];
  const types = [...table.matchAll(/`([a-z_]+\.[a-z_]+)`/g)].map(([, type]) => type);
  expect(types.sort()).toEqual([...EVENT_TYPES].sort());
});

test('configuration.md has every router, and no other', async () => {
  const { authTuna } = await startApp();
  const rows = [...read('docs/configuration.md').matchAll(/^\| `routers\.(\w+)\(\)` \|/gm)].map(
    ([, name]) => name,
  );
  expect(rows.sort()).toEqual(Object.keys(authTuna.routers).sort());
});

test('configuration.md has every option, and no other', () => {
  const names = [...read('docs/configuration.md').matchAll(/^\| (`[a-z][\w.]*`(?:, `[a-z][\w.]*`)*) \|/gm)];
  const documented = names.flatMap(([, cell = '']) => cell.replaceAll('`', '').split(', '));
  const options = optionsOf(read('src/config/options.ts')).filter((name) => !RESERVED.includes(name));
  expect(options.length).toBeGreaterThan(50);
  // The page may name the parts of an option whose type is declared elsewhere: `hooks.beforeSignUp`.
  const isPartOf = (name: string, option: string) => name === option || name.startsWith(`${option}.`);
  expect(options.filter((option) => !documented.some((name) => isPartOf(name, option)))).toEqual([]);
  expect(documented.filter((name) => !options.some((option) => isPartOf(name, option)))).toEqual([]);
});

test('mail.md has every template of a mail, and no other', () => {
  const templates = readdirSync(join(root, 'templates/emails'))
    .filter((name) => name.endsWith('.hbs'))
    .map((name) => name.slice(0, -'.hbs'.length));
  const [, table = ''] = /\| template \| sent when \|\n([\s\S]*?)\n\n/.exec(read('docs/mail.md')) ?? [];
  const cells = [...table.matchAll(/^\| ([^|]*) \|/gm)].map(([, cell = '']) => cell);
  const documented = cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name));
  expect(documented.sort()).toEqual(templates.sort());
});

function withoutCode(text: string): string {
  return withoutBlocks(text).replace(/`[^`\n]*`/g, '');
}

function withoutBlocks(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '');
}

/** The anchors that GitHub makes of the headings of a page. */
function anchorsOf(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}

/** The paths of the options, `session.idleSeconds`, read from the lines of the interface as the formatter writes them. */
function optionsOf(source: string): string[] {
  const body = source.slice(source.indexOf('export interface AuthTunaOptions {'));
  const found: string[] = [];
  let group = '';
  for (const line of body.slice(0, body.indexOf('\n}\n')).split('\n')) {
    const [, indent = '', name = '', type = ''] = /^( {2}| {4})(\w+)\??: (.*)$/.exec(line) ?? [];
    if (name === '') continue;
    if (indent.length === 4) found.push(`${group}.${name}`);
    else if (type === '{') group = name;
    else found.push(...(inner(type) ?? ['']).map((each) => (each === '' ? name : `${name}.${each}`)));
  }
  return found;
}

/** The names in an object that is written on one line, null for a type that is none. */
function inner(type: string): string[] | null {
  const [, fields] = /^\{ (.*) \};$/.exec(type) ?? [];
  return fields === undefined ? null : [...fields.matchAll(/(\w+)\??:/g)].map(([, name = '']) => name);
}
