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
import type { MailData, MailName } from '../core/changes/mail-data.js';
import { type Asset, createAssets } from './assets.js';
import { PACKAGE_TEMPLATES } from './files.js';
import { createMailRenderer, type RenderedMail } from './mails.js';
import { createPageRenderer } from './pages.js';
import { createSite, type TemplatesOptions } from './site.js';
import type { PageData, PageName } from './template-data.js';
import { createTexts, preferredLanguages } from './texts.js';

export type { Asset } from './assets.js';
export type { RenderedMail } from './mails.js';
export type { TemplatesOptions } from './site.js';

const NAMED_TEXTS = 10; // in one line of the log

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

/**
 * Templates, texts and assets of one instance.
 *
 * Files are read and compiled on first use and kept; a host that edits a template restarts.
 * Rendering throws for a variable or a text that does not exist, naming the template and the place.
 * @throws AuthTunaError `misconfigured` for a logo that is not a path of this site, or a language without texts
 * @throws Error for a color that is not `#rrggbb`
 */
export function createTemplates(options: TemplatesOptions): Templates {
  const { templatesDir, brand, paths } = options;
  const directories = [templatesDir, PACKAGE_TEMPLATES].filter((directory) => directory !== undefined);
  const texts = createTexts(directories, options);
  for (const language of texts.locales) {
    const missing = texts.missing(language);
    if (missing.length > 0)
      options.logger?.warn(
        `locales/${language}.json lacks ${missing.length} texts, which appear in another language: ${missing.slice(0, NAMED_TEXTS).join(', ')}`,
      );
  }
  const siteIn = createSite(options, texts);
  const assets = createAssets(directories, brand, paths?.assets ?? `${paths?.auth ?? '/auth'}/assets`);
  return {
    renderPage: createPageRenderer(directories, texts, assets, siteIn),
    renderMail: createMailRenderer(directories, texts, siteIn),
    locales: texts.locales,
    localeFor: (acceptLanguage) =>
      preferredLanguages(acceptLanguage).find((language) => texts.has(language)) ?? texts.defaultLocale,
    asset: assets.find,
    assetPath: (name) => assets.get(name).path,
  };
}
