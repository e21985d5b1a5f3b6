import type { Assets } from './assets.js';
import { createRenderer } from './renderer.js';
import type { Site } from './site.js';
import type { PageData, PageName } from './template-data.js';
import type { Texts } from './texts.js';

const SCRIPTS = ['authtuna.js', 'simplewebauthn.js', 'passkeys.js'];

/** Renders whole HTML pages. */
export function createPageRenderer(
  directories: readonly string[],
  texts: Texts,
  assets: Assets,
  siteIn: (locale: string | undefined) => Site,
): <N extends PageName>(name: N, data: PageData[N]) => string {
  const render = createRenderer(directories, 'partials', true, texts);
  return (name, data) => {
    const site = siteIn(data.locale);
    const problem = 'problem' in data ? data.problem : null;
    const values = 'values' in data ? data.values : null;
    const body = render(`pages/${name}.hbs`, {
      ...data,
      values: values ?? {},
      errors: problem?.fields ?? {},
      site,
    });
    return render('layout.hbs', {
      site,
      body,
      notice: data.notice ?? null,
      languages: languagesFor(site, texts.locales, data.languageAt ?? null),
      title:
        titleOf(texts.translate(site.locale, titleKey(name, data)), data) ??
        texts.translate(site.locale, 'errors.other.title'),
      hasProblem: Boolean(problem),
      impersonation: data.impersonation ?? null,
      styles: ['authtuna.css', ...(name.startsWith('admin/') ? ['admin.css'] : []), 'theme.css'].map(
        assets.get,
      ),
      scripts: SCRIPTS.map(assets.find).filter((script) => script !== null),
    });
  };
}

/** The other languages, each by its own name, with the address that chooses it and comes back. */
function languagesFor(site: Site, locales: readonly string[], at: string | null) {
  if (at === null) return [];
  return locales
    .filter((locale) => locale !== site.locale)
    .map((locale) => ({
      locale,
      name: new Intl.DisplayNames([locale], { type: 'language' }).of(locale) ?? locale,
      url: `${site.auth}/language/${locale}?returnTo=${encodeURIComponent(at)}`,
    }));
}

/** The title with its names filled in; one that names something else is left as it is. */
function titleOf(text: string | undefined, data: object): string | undefined {
  return text?.replace(/\{(name|organization)\}/g, (all, key: string) => {
    const value = (data as Record<string, unknown>)[key];
    return typeof value === 'string' ? value : all;
  });
}

function titleKey(name: PageName, data: object): string {
  if (name === 'message' && 'message' in data) return `messages.${data.message}.title`;
  if (name === 'error' && 'code' in data) return `errors.${data.code}.title`;
  if ('state' in data) return `pages.${name}.${data.state}.title`;
  if ('kind' in data) return `pages.${name}.${data.kind}.title`;
  return `pages.${name}.title`;
}
