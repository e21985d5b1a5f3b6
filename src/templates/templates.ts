/**
 * Pages and mails: finds the template (the host's file first), compiles it once, renders it.
 *
 * Everything below `templates/` can be replaced file by file from `templatesDir`, under the same relative path:
 *
 * | file | what it is |
 * | --- | --- |
 * | `layout.hbs` | the frame of every page; the only page file that inserts markup unescaped (`body`) |
 * | `pages/<name>.hbs` | one page; its data is `PageData[name]`, plus `site` (see `Site`) and `errors` (`problem.fields`) |
 * | `partials/<name>.hbs` | fields, icons, alerts; they see only what they are passed, and `@root` |
 * | `emails/<name>.hbs` | one mail, rendered twice: with the blocks of `emails/html` and with those of `emails/text` |
 * | `emails/<name>.txt.hbs` | optional text part of its own, for a host's mail that is written in plain HTML |
 * | `emails/html/*.hbs`, `emails/text/*.hbs` | layout and blocks of the two parts |
 * | `locales/<language>.json` | texts; a host's file is merged over ours text by text, a new file adds a language |
 * | `assets/*.css`, `assets/*.js` | served at `paths.assets`; a host's further files are served too |
 *
 * What each page and mail takes is in `template-data.ts`.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Handlebars from 'handlebars';
import type { Brand } from '../config/options.js';
import type { MailData, MailName } from '../core/changes/mail-data.js';
import { misconfigured } from '../errors.js';
import type { PageData, PageName } from './template-data.js';
import { mailColors, themeCss } from './theme.js';

export interface RenderedMail {
  subject: string;
  html: string;
  text: string;
}

/** A stylesheet or script as it is served. */
export interface Asset {
  /** With the start of its hash, so that it may be cached for good. */
  path: string;
  contentType: string;
  /** For `integrity` attributes: `sha256-…`. */
  integrity: string;
  body: Buffer;
}

/** The element that a CAPTCHA's scripts fill. */
interface WidgetElement {
  tag: string;
  attributes: Readonly<Record<string, string>>;
  scripts: readonly string[];
}

export interface TemplatesOptions {
  appName: string;
  /** Origin of the links and images in mails. */
  baseUrl: string;
  templatesDir?: string;
  brand?: Brand;
  /** Used when nothing better is asked for; `en`. */
  locale?: string;
  /** Shown in the forms that strangers use. */
  humanCheckWidget?: WidgetElement;
  paths?: { auth?: string; account?: string; assets?: string };
}

export interface Templates {
  /** One whole HTML page. */
  renderPage<N extends PageName>(name: N, data: PageData[N]): string;
  /** Subject, HTML and text part; control characters in the data become spaces, so no value can open a line. */
  renderMail<N extends MailName>(name: N, data: MailData[N]): RenderedMail;
  /** The languages there are texts for. */
  readonly locales: readonly string[];
  /** The language that fits an `Accept-Language` header best. */
  localeFor(acceptLanguage: string | undefined): string;
  /** The asset of that name, such as `authtuna.css`; null when there is none. */
  asset(name: string): Asset | null;
  /** Path of an asset, with the start of its hash. Throws for an unknown one. */
  assetPath(name: string): string;
}

/** What every template can say about the site, as `site`. */
interface Site {
  appName: string;
  /** First letter of the name, for a site without a logo. */
  initial: string;
  logoUrl: string | null;
  humanCheckWidget: WidgetElement | null;
  homeUrl: string;
  auth: string;
  account: string;
  locale: string;
  colors: ReturnType<typeof mailColors>;
}

const PACKAGE_TEMPLATES = fileURLToPath(new URL('../../templates/', import.meta.url));
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};
const SCRIPTS = ['authtuna.js', 'simplewebauthn.js', 'passkeys.js'];

/**
 * Templates, texts and assets of one instance.
 *
 * Files are read and compiled on first use and kept; a host that edits a template restarts.
 * Rendering throws for a variable or a text that does not exist, naming the template and the place.
 * @throws AuthTunaError `misconfigured` for a logo that is not a path of this site, or a language without texts
 * @throws Error for a color that is not `#rrggbb`
 */
export function createTemplates(options: TemplatesOptions): Templates {
  const directories = [options.templatesDir, PACKAGE_TEMPLATES].filter((dir) => dir !== undefined);
  const auth = options.paths?.auth ?? '/auth';
  const account = options.paths?.account ?? '/account';
  const defaultLocale = options.locale ?? 'en';
  const logoUrl = options.brand?.logoUrl ?? null;
  if (logoUrl !== null && !/^\/(?![/\\])/.test(logoUrl)) {
    throw misconfigured(
      `brand.logoUrl: ${JSON.stringify(logoUrl)} is not a path of this site, such as '/logo.svg'`,
    );
  }

  const read = (file: string): string | null => {
    const found = directories.map((dir) => join(dir, file)).find((path) => existsSync(path));
    return found === undefined ? null : readFileSync(found, 'utf8');
  };
  const texts = loadTexts(directories);
  if (!texts.has(defaultLocale)) {
    throw misconfigured(
      `locale: there is no locales/${defaultLocale}.json; use one of: ${[...texts.keys()].join(', ')}`,
    );
  }
  const translate = (locale: string, key: string): string | undefined =>
    texts.get(locale)?.get(key) ?? texts.get(defaultLocale)?.get(key) ?? texts.get('en')?.get(key);

  const pages = environment('partials', true);
  const htmlMails = environment('emails/html', true);
  const textMails = environment('emails/text', false);

  const assets = loadAssets(
    directories,
    new Map([
      ['theme.css', themeCss(options.brand)],
      ['simplewebauthn.js', webAuthnBundle()],
    ]),
    options.paths?.assets ?? `${auth}/assets`,
  );
  const asset = (name: string): Asset | null => assets.get(name) ?? null;
  const requireAsset = (name: string): Asset => {
    const found = assets.get(name);
    if (found === undefined)
      throw new Error(`there is no asset ${name}; there are: ${[...assets.keys()].join(', ')}`);
    return found;
  };

  /** A Handlebars of its own, so that hosts' and other instances' partials and helpers stay apart. */
  function environment(partialsDir: string, isHtml: boolean): (file: string, context: object) => string {
    const handlebars = Handlebars.create();
    const compile = (source: string) =>
      handlebars.compile(source, { strict: true, explicitPartialContext: true, noEscape: !isHtml });
    const compiled = new Map<string, HandlebarsTemplateDelegate>();
    for (const file of listFiles(directories, partialsDir, ['.hbs'])) {
      handlebars.registerPartial(
        file.slice(0, -'.hbs'.length),
        compile(read(`${partialsDir}/${file}`) ?? ''),
      );
    }
    handlebars.registerHelper(helpers(translate));
    return (file, context) => {
      let template = compiled.get(file);
      if (template === undefined) {
        const source = read(file);
        if (source === null) throw new Error(`there is no template ${file}`);
        template = compile(source);
        compiled.set(file, template);
      }
      try {
        return template(context);
      } catch (cause) {
        throw new Error(`template ${file}: ${cause instanceof Error ? cause.message : cause}`, { cause });
      }
    };
  }

  function siteIn(locale: string | undefined): Site {
    return {
      appName: options.appName,
      initial: [...options.appName.trim()][0]?.toUpperCase() ?? '',
      logoUrl,
      humanCheckWidget: options.humanCheckWidget ?? null,
      homeUrl: options.baseUrl,
      auth,
      account,
      locale: locale !== undefined && texts.has(locale) ? locale : defaultLocale,
      colors: mailColors(options.brand),
    };
  }

  return {
    renderPage(name, data) {
      const site = siteIn(data.locale);
      const problem = 'problem' in data ? data.problem : null;
      const values = 'values' in data ? data.values : null;
      const body = pages(`pages/${name}.hbs`, {
        ...data,
        values: values ?? {},
        errors: problem?.fields ?? {},
        site,
      });
      return pages('layout.hbs', {
        site,
        body,
        title: translate(site.locale, titleKey(name, data)) ?? translate(site.locale, 'errors.other.title'),
        hasProblem: Boolean(problem),
        styles: ['authtuna.css', 'theme.css'].map(requireAsset),
        scripts: SCRIPTS.map(asset).filter((script) => script !== null),
      });
    },

    renderMail(name, data) {
      const site = siteIn(data.locale);
      const logo = site.logoUrl === null ? null : new URL(site.logoUrl, options.baseUrl).href;
      const context = { ...singleLined(data), site: { ...site, logoUrl: logo } };
      const values: Record<string, unknown> = { ...context, appName: site.appName };
      const subject = fill(`mails.${name}.subject`, translate(site.locale, `mails.${name}.subject`), values);
      const preview = fill(`mails.${name}.preview`, translate(site.locale, `mails.${name}.preview`), values);
      const frame = { ...context, subject, preview };
      const ownText =
        read(`emails/${name}.txt.hbs`) === null ? `emails/${name}.hbs` : `emails/${name}.txt.hbs`;
      return {
        subject,
        html: htmlMails('emails/html/layout.hbs', {
          ...frame,
          body: htmlMails(`emails/${name}.hbs`, context),
        }),
        text: tidy(textMails('emails/text/layout.hbs', { ...frame, body: textMails(ownText, context) })),
      };
    },

    locales: [...texts.keys()],

    localeFor(acceptLanguage) {
      return preferredLanguages(acceptLanguage).find((language) => texts.has(language)) ?? defaultLocale;
    },

    asset,
    assetPath: (name) => requireAsset(name).path,
  };
}

function titleKey(name: PageName, data: object): string {
  if (name === 'message' && 'message' in data) return `messages.${data.message}.title`;
  if (name === 'error' && 'code' in data) return `errors.${data.code}.title`;
  if ('state' in data) return `pages.${name}.${data.state}.title`;
  if ('kind' in data) return `pages.${name}.${data.kind}.title`;
  return `pages.${name}.title`;
}

/** The text with each {name} filled in. @throws Error when the text or one of its values is missing */
function fill(key: string, text: string | undefined, values: Readonly<Record<string, unknown>>): string {
  if (text === undefined) throw new Error(`there is no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined || value === null) throw new Error(`the text ${key} needs ${name}`);
    return String(value);
  });
}

/** The helpers of all templates; texts are returned plain and escaped by the template that prints them. */
function helpers(
  translate: (locale: string, key: string) => string | undefined,
): Record<string, Handlebars.HelperDelegate> {
  const localeOf = (options: Handlebars.HelperOptions): string => options.data.root.site.locale;
  const text = (key: string, options: Handlebars.HelperOptions): string =>
    fill(key, translate(localeOf(options), key), {
      appName: options.data.root.site.appName,
      ...options.hash,
    });
  return {
    /** {{t "pages.auth/login.title" name=value}}: the text of that key, with {name} filled in. */
    t: text,
    /** {{say "problems" code}}: the text of that code, or the code itself when it is a sentence already. */
    say: (group: string, code: string, options: Handlebars.HelperOptions) =>
      translate(localeOf(options), `${group}.${code}`) === undefined
        ? code
        : text(`${group}.${code}`, options),
    /** {{known "errors" code}}: the code when there are texts for it, `other` when not. */
    known: (group: string, code: string, options: Handlebars.HelperOptions) =>
      translate(localeOf(options), `${group}.${code}.title`) === undefined ? 'other' : code,
    /** {{given "url" url}}: the value; strict mode does not see that a partial was handed nothing. */
    given: (name: string, value: unknown) => {
      if (value === undefined || value === null) throw new Error(`${name} is missing`);
      return value;
    },
    join: (...parts: unknown[]) => parts.slice(0, -1).join(''),
    eq: (a: unknown, b: unknown) => a === b,
    not: (a: unknown) => !a,
    any: (...values: unknown[]) =>
      values.slice(0, -1).some((value) => (Array.isArray(value) ? value.length > 0 : value)),
    includes: (list: readonly unknown[], value: unknown) => list.includes(value),
    urlEncode: (value: unknown) => encodeURIComponent(String(value)),
    lines: (list: readonly string[]) => list.join('\r\n'),
    /** 'abcdefgh' -> 'abcd efgh', for secrets that are typed over. */
    grouped: (value: string) => value.replace(/(.{4})(?=.)/g, '$1 '),
    /** 1800 -> '30 minutes'. */
    duration: (seconds: number, options: Handlebars.HelperOptions) => duration(seconds, localeOf(options)),
    /** UTC, and says so: the server does not know where the reader is. */
    dateTime: (value: unknown, options: Handlebars.HelperOptions) =>
      `${new Intl.DateTimeFormat(localeOf(options), { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' }).format(dateOf(value))} UTC`,
    date: (value: unknown, options: Handlebars.HelperOptions) =>
      new Intl.DateTimeFormat(localeOf(options), { dateStyle: 'medium', timeZone: 'UTC' }).format(
        dateOf(value),
      ),
    iso: (value: unknown) => dateOf(value).toISOString(),
  };
}

/** Intl would take a missing date for the present. */
function dateOf(value: unknown): Date {
  if (!(value instanceof Date)) throw new Error(`${String(value)} is not a date`);
  return value;
}

/** In the largest unit that comes out whole; what is odd and longer than two minutes is rounded up to minutes. */
function duration(seconds: number, locale: string): string {
  if (!Number.isFinite(seconds)) throw new Error(`${seconds} is not a number of seconds`);
  const rounded = seconds > 120 ? Math.ceil(seconds / 60) * 60 : Math.ceil(seconds);
  const units = [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
    ['second', 1],
  ] as const;
  // From two on: "24 hours" and "60 minutes" say more exactly how long a link works than "1 day" and "1 hour".
  const [unit, size] = units.find(([, size]) => rounded >= 2 * size && rounded % size === 0) ?? units[3];
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(rounded / size);
}

/** The ceremonies of @simplewebauthn/browser as a plain script (`SimpleWebAuthnBrowser`), as its package ships it. */
function webAuthnBundle(): string {
  const entry = createRequire(import.meta.url).resolve('@simplewebauthn/browser');
  return readFileSync(join(dirname(entry), '../dist/bundle/index.umd.min.js'), 'utf8');
}

/** locale -> key -> text; later directories only fill what earlier ones leave out. */
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

/** Names of the files with such an ending, directly in that folder of any of the directories. */
function listFiles(directories: readonly string[], folder: string, endings: readonly string[]): string[] {
  const names = directories
    .map((directory) => join(directory, folder))
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path, { withFileTypes: true }))
    .filter((entry) => entry.isFile() && endings.includes(extname(entry.name)))
    .map((entry) => entry.name);
  return [...new Set(names)].sort();
}

/** Line breaks would forge lines of the text part or headers, direction marks would turn names around. */
function singleLined<T>(value: T): T {
  if (typeof value === 'string') {
    return value.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ').trim() as T;
  }
  if (value instanceof Date || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(singleLined) as T;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, singleLined(inner)])) as T;
}

function tidy(text: string): string {
  return `${text
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`;
}

/** 'de-AT,en;q=0.8' -> de-AT, de, en; languages with q=0 are left out. */
function preferredLanguages(header: string | undefined): string[] {
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
