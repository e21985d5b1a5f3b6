import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startApp } from './support/app.js';
import { PageVisitor } from './support/page-visitor.js';

const root = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const lock = JSON.parse(read('package-lock.json')) as {
  packages: Record<
    string,
    { dev?: true; devOptional?: true; optional?: true; peer?: true; link?: true } & {
      hasInstallScript?: true;
      integrity?: string;
      resolved?: string;
    }
  >;
};
const manifest = JSON.parse(read('package.json')) as {
  dependencies: Record<string, string>;
  scripts: Record<string, string>;
};

test('what is installed with the library runs no script that it needs, is few, and is pinned by its digest (SC-1)', () => {
  expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(15);
  // A package whose scripts are ignored must work; bcrypt finds a prebuilt binary in its own folder.
  const shipped = Object.entries(lock.packages).filter(
    ([path, each]) => path !== '' && each.dev !== true && each.devOptional !== true,
  );
  expect(shipped.filter(([, each]) => each.hasInstallScript).map(([path]) => path)).toEqual([
    'node_modules/bcrypt',
  ]);
  const prebuilt = readdirSync(new URL('node_modules/bcrypt/prebuilds/', root));
  expect(prebuilt).toEqual(expect.arrayContaining(['linux-x64', 'darwin-arm64', 'win32-x64']));
  const loose = Object.entries(lock.packages).filter(
    ([path, each]) => path !== '' && each.link !== true && !each.integrity?.startsWith('sha512-'),
  );
  expect(loose.map(([path]) => path)).toEqual([]);
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
    expect(manifest.scripts[script], script).toBeUndefined();
});

test('every page and everything a page loads comes from the app itself (SC-3)', async () => {
  const app = await startApp();
  const { browser } = await app.signedIn();
  const anonymous = app.browser();
  const origin = app.url;
  const seen = new Set<string>();
  for (const [who, paths] of [
    [anonymous, [...['/auth/login', '/auth/signup', '/auth/forgot-password', '/auth/verify-email']]],
    [browser, ['/account/security', '/auth/mfa/manage', '/auth/passkeys/manage', '/auth/change-password']],
  ] as const) {
    for (const path of paths) {
      const page = await new PageVisitor(who).open(path);
      expect(page.html, path).toContain('class="masthead"');
      seen.add(path);
      const policy = page.headers.get('content-security-policy') ?? '';
      expect(policy, path).toMatch(/default-src 'none'|default-src 'self'/);
      expect(policy, path).not.toMatch(/https?:|\*|unsafe/);
      const loaded = [
        ...page.html.matchAll(
          /<(?:script|img|link|iframe|source|object|embed)\b[^>]*?\b(?:src|href|data)="([^"]+)"/g,
        ),
      ].map(([, address]) => new URL(address ?? '', origin));
      expect(loaded.length, path).toBeGreaterThan(0);
      for (const address of loaded) {
        expect(address.origin, path).toBe(origin);
        const asset = await who.get(address.pathname);
        expect(asset.status, address.href).toBe(200);
        expect(await asset.text(), address.href).not.toMatch(
          /@import|url\(\s*['"]?(?:https?:)?\/\/|import\(|\beval\(|new Function|src\s*=\s*['"]https?:/,
        );
      }
    }
  }
  expect(seen.size).toBeGreaterThanOrEqual(8);
});
