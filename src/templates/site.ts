import type { Brand } from '../config/options.js';
import { misconfigured } from '../errors.js';
import type { Texts } from './texts.js';
import { mailColors } from './theme.js';

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
  /** Where the name of the app leads. Default: `baseUrl`. */
  homeUrl?: string;
  templatesDir?: string;
  brand?: Brand;
  /** Used when nothing better is asked for; `en`. */
  locale?: string;
  /** Shown in the forms that strangers use. */
  humanCheckWidget?: WidgetElement;
  paths?: { auth?: string; account?: string; orgs?: string; assets?: string; afterSignIn?: string };
}

/** What every template can say about the site, as `site`. */
export interface Site {
  appName: string;
  /** First letter of the name, for a site without a logo. */
  initial: string;
  logoUrl: string | null;
  humanCheckWidget: WidgetElement | null;
  homeUrl: string;
  /** Where a sign-in leads that began at no page of the host. */
  afterSignIn: string;
  auth: string;
  account: string;
  orgs: string;
  locale: string;
  colors: ReturnType<typeof mailColors>;
}

/** Returns the site in a language; in the default one where there are no texts for it. @throws AuthTunaError `misconfigured` for a logo that is not a path of this site */
export function createSite(options: TemplatesOptions, texts: Texts): (locale: string | undefined) => Site {
  const logoUrl = options.brand?.logoUrl ?? null;
  if (logoUrl !== null && !/^\/(?![/\\])/.test(logoUrl)) {
    throw misconfigured(
      `brand.logoUrl: ${JSON.stringify(logoUrl)} is not a path of this site, such as '/logo.svg'`,
    );
  }
  return (locale) => ({
    appName: options.appName,
    initial: [...options.appName.trim()][0]?.toUpperCase() ?? '',
    logoUrl,
    humanCheckWidget: options.humanCheckWidget ?? null,
    homeUrl: options.homeUrl ?? options.baseUrl,
    afterSignIn: options.paths?.afterSignIn ?? '/',
    auth: options.paths?.auth ?? '/auth',
    account: options.paths?.account ?? '/account',
    orgs: options.paths?.orgs ?? '/orgs',
    locale: locale !== undefined && texts.has(locale) ? locale : texts.defaultLocale,
    colors: mailColors(options.brand),
  });
}
