import type { MailData, MailName } from '../core/changes/mail-data.js';
import { readTemplate } from './files.js';
import { createRenderer } from './renderer.js';
import type { Site } from './site.js';
import { fill, type Texts } from './texts.js';

export interface RenderedMail {
  subject: string;
  html: string;
  text: string;
}

/** Renders mails, each with an HTML and a text part. */
export function createMailRenderer(
  directories: readonly string[],
  texts: Texts,
  siteIn: (locale: string | undefined) => Site,
): <N extends MailName>(name: N, data: MailData[N]) => RenderedMail {
  const html = createRenderer(directories, 'emails/html', true, texts);
  const text = createRenderer(directories, 'emails/text', false, texts);
  return (name, data) => {
    const site = siteIn(data.locale);
    const logoUrl = site.logoUrl === null ? null : new URL(site.logoUrl, site.homeUrl).href;
    const context = { ...singleLined(data), site: { ...site, logoUrl } };
    const values: Record<string, unknown> = { ...context, appName: site.appName };
    const line = (key: string) => fill(key, texts.translate(site.locale, key), values);
    const frame = {
      ...context,
      subject: line(`mails.${name}.subject`),
      preview: line(`mails.${name}.preview`),
    };
    const ownText = `emails/${name}.txt.hbs`;
    const textFile = readTemplate(directories, ownText) === null ? `emails/${name}.hbs` : ownText;
    return {
      subject: frame.subject,
      html: html('emails/html/layout.hbs', { ...frame, body: html(`emails/${name}.hbs`, context) }),
      text: tidy(text('emails/text/layout.hbs', { ...frame, body: text(textFile, context) })),
    };
  };
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
