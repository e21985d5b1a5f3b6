import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import type { Brand } from '../config/options.js';
import { listFiles } from './files.js';
import { themeCss } from './theme.js';

/** A stylesheet or script as it is served. */
export interface Asset {
  /** With the start of its hash, so that it may be cached for good. */
  path: string;
  contentType: string;
  /** For `integrity` attributes: `sha256-…`. */
  integrity: string;
  body: Buffer;
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** Finds assets by name. */
export interface Assets {
  /** Null when there is none of that name. */
  find(name: string): Asset | null;
  /** @throws Error for an unknown name */
  get(name: string): Asset;
}

/** The assets of all directories, and those that are made here: the brand's theme and the browser part of passkeys. */
export function createAssets(
  directories: readonly string[],
  brand: Brand | undefined,
  prefix: string,
): Assets {
  const generated = new Map([
    ['theme.css', themeCss(brand)],
    ['simplewebauthn.js', webAuthnBundle()],
  ]);
  const assets = loadAssets(directories, generated, prefix);
  return {
    find: (name) => assets.get(name) ?? null,
    get(name) {
      const found = assets.get(name);
      if (found === undefined)
        throw new Error(`there is no asset ${name}; there are: ${[...assets.keys()].join(', ')}`);
      return found;
    },
  };
}

/** The assets of all directories by name; an asset of an earlier directory replaces one of a later. @param generated texts of further assets */
function loadAssets(
  directories: readonly string[],
  generated: ReadonlyMap<string, string>,
  prefix: string,
): Map<string, Asset> {
  const bodies = new Map<string, Buffer>();
  for (const [name, body] of generated) bodies.set(name, Buffer.from(body));
  for (const directory of [...directories].reverse()) {
    for (const file of listFiles([directory], 'assets', Object.keys(CONTENT_TYPES))) {
      bodies.set(file, readFileSync(join(directory, 'assets', file)));
    }
  }
  const assets = new Map<string, Asset>();
  for (const [name, body] of bodies) {
    const hash = createHash('sha256').update(body).digest();
    assets.set(name, {
      path: `${prefix}/${encodeURIComponent(name)}?v=${hash.toString('hex').slice(0, 12)}`,
      contentType: CONTENT_TYPES[extname(name)] ?? 'text/plain; charset=utf-8',
      integrity: `sha256-${hash.toString('base64')}`,
      body,
    });
  }
  return assets;
}

/** The ceremonies of @simplewebauthn/browser as a plain script (`SimpleWebAuthnBrowser`), as its package ships it. */
function webAuthnBundle(): string {
  const entry = createRequire(import.meta.url).resolve('@simplewebauthn/browser');
  return readFileSync(join(dirname(entry), '../dist/bundle/index.umd.min.js'), 'utf8');
}
