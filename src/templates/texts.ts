import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { misconfigured } from '../errors.js';
import { listFiles } from './files.js';

/** The texts of all languages. */
export interface Texts {
  readonly locales: readonly string[];
  readonly defaultLocale: string;
  has(locale: string): boolean;
  /** The text in that language, otherwise in the default one, otherwise in English. */
  translate(locale: string, key: string): string | undefined;
  /** The texts that English has and a language lacks. */
  missing(locale: string): string[];
}

function noTexts(option: string, name: string, texts: ReadonlyMap<string, unknown>): Error {
  return misconfigured(
    `${option}: there is no locales/${name}.json; use one of: ${[...texts.keys()].join(', ')}`,
  );
}

/**
 * Reads the texts of all directories.
 *
 * @param locales the languages to use; default all
 * @throws AuthTunaError `misconfigured` for a language without texts, or a default one that is not among `locales`
 */
export function createTexts(
  directories: readonly string[],
  { locales, locale }: { locales?: readonly string[] | undefined; locale?: string | undefined } = {},
): Texts {
  const loaded = loadTexts(directories);
  for (const name of locales ?? []) if (!loaded.has(name)) throw noTexts('locales', name, loaded);
  const texts = new Map([...loaded].filter(([name]) => locales?.includes(name) ?? true));
  const defaultLocale = locale ?? (texts.has('en') ? 'en' : (locales?.[0] ?? 'en'));
  if (!texts.has(defaultLocale)) {
    throw noTexts('locale', defaultLocale, texts);
  }
  return {
    locales: [...texts.keys()],
    defaultLocale,
    has: (locale) => texts.has(locale),
    translate: (locale, key) =>
      texts.get(locale)?.get(key) ?? texts.get(defaultLocale)?.get(key) ?? loaded.get('en')?.get(key),
    missing: (name) =>
      [...(loaded.get('en')?.keys() ?? [])].filter((key) => texts.get(name)?.has(key) !== true),
  };
}

/** The texts by language and key. A later directory adds only texts that the earlier ones lack. */
function loadTexts(directories: readonly string[]): Map<string, Map<string, string>> {
  const texts = new Map<string, Map<string, string>>();
  for (const directory of [...directories].reverse()) {
    for (const file of listFiles([directory], 'locales', ['.json'])) {
      const locale = file.slice(0, -'.json'.length);
      const ofLocale = texts.get(locale) ?? new Map<string, string>();
      flatten(JSON.parse(readFileSync(join(directory, 'locales', file), 'utf8')), '', ofLocale);
      texts.set(locale, ofLocale);
    }
  }
  return texts;
}

function flatten(value: unknown, key: string, into: Map<string, string>): void {
  if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value))
      flatten(inner, key === '' ? name : `${key}.${name}`, into);
  } else {
    into.set(key, String(value));
  }
}

/** The text with each {name} filled in. @throws Error when the text or one of its values is missing */
export function fill(
  key: string,
  text: string | undefined,
  values: Readonly<Record<string, unknown>>,
): string {
  if (text === undefined) throw new Error(`there is no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined || value === null) throw new Error(`the text ${key} needs ${name}`);
    return String(value);
  });
}

/** 'de-AT,en;q=0.8' -> de-AT, de, en; languages with q=0 are left out. */
export function preferredLanguages(header: string | undefined): string[] {
  return (header ?? '')
    .slice(0, 500)
    .split(',')
    .map((part) => {
      const [language = '', ...parameters] = part.trim().split(';');
      const q = parameters
        .map((parameter) => /^\s*q=([\d.]+)$/.exec(parameter)?.[1])
        .find((found) => found !== undefined);
      return { language, weight: q === undefined ? 1 : Number(q) };
    })
    .filter(({ language, weight }) => language !== '' && weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .flatMap(({ language }) => [language, language.split('-')[0] ?? language]);
}
