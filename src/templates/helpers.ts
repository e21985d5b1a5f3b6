import Handlebars from 'handlebars';
import type { PageNotice } from './template-data.js';
import { fill } from './texts.js';

/** The helpers of all templates; texts are returned plain and escaped by the template that prints them. */
export function helpers(
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
    /** {{say-notice notice}}: the text of that notice, with its values filled in. */
    'say-notice': ({ name, values }: PageNotice, options: Handlebars.HelperOptions) => {
      const seconds = /^\d{1,7}$/.test(values.seconds ?? '') ? Number(values.seconds) : 60;
      return text(`notices.${name}`, {
        ...options,
        hash: { ...values, time: duration(seconds, localeOf(options)) },
      });
    },
    /** {{address url}}: a link as it stands in HTML. `=` stays, because some mail programs pass an entity on as it is. */
    address: (value: unknown) => {
      if (typeof value !== 'string') throw new Error('url is missing');
      return new Handlebars.SafeString(plainAddress(value));
    },
    /** {{inLanguage label}}: the text, or of several the one in the language of the page. */
    inLanguage: (label: unknown, options: Handlebars.HelperOptions) => inLanguage(label, localeOf(options)),
    join: (...parts: unknown[]) => parts.slice(0, -1).join(''),
    /** The first value that is there. */
    first: (...values: unknown[]) =>
      values.slice(0, -1).find((value) => value !== undefined && value !== null && value !== ''),
    eq: (a: unknown, b: unknown) => a === b,
    not: (a: unknown) => !a,
    any: (...values: unknown[]) =>
      values.slice(0, -1).some((value) => (Array.isArray(value) ? value.length > 0 : value)),
    all: (...values: unknown[]) => values.slice(0, -1).every(Boolean),
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
    /** The day of an ISO 8601 text, for a field of dates; empty for nothing. */
    day: (value: unknown) => (typeof value === 'string' ? value.slice(0, 10) : ''),
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

/** One text for all languages, or the one of `locale`, else of English, else the first. */
function inLanguage(label: unknown, locale: string): string {
  if (typeof label === 'string') return label;
  const texts = label as Readonly<Record<string, string>>;
  return texts[locale] ?? texts.en ?? Object.values(texts)[0] ?? '';
}

const UNSAFE_IN_ADDRESS: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '%3C',
  '>': '%3E',
  '"': '%22',
  "'": '%27',
};

function plainAddress(url: string): string {
  return url.replace(/[&<>"']/g, (sign) => UNSAFE_IN_ADDRESS[sign] ?? sign);
}
