import type { Brand } from '../config/options.js';
import { misconfigured } from '../errors.js';
import type { Texts } from './texts.js';
import { frameColors, mailColors } from './theme.js';

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
  /** Used when nothing better is asked for; `en`, or the first of `locales`. */
  locale?: string;
  /** The languages to use. Default: all there are texts for. */
  locales?: readonly string[] | undefined;
  supportUrl?: string | undefined;
  termsUrl?: string | undefined;
  privacyUrl?: string | undefined;
  /** Told which texts a language of the host lacks. */
  logger?: { warn(message: string): void };
  /** Mails stay on this machine: pages that announce one say where. */
  hasDevMailbox?: boolean;
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
  logoDark: string | null;
  hideName: boolean;
  iconUrl: string | null;
  stylesheet: string | null;
  supportUrl: string | null;
  termsUrl: string | null;
  privacyUrl: string | null;
  humanCheckWidget: WidgetElement | null;
  homeUrl: string;
  /** Where a developer reads mails; null where they are sent. */
  devMailboxUrl: string | null;
  /** Where a sign-in leads that began at no page of the host. */
  afterSignIn: string;
  auth: string;
  account: string;
  orgs: string;
  locale: string;
  dir: 'ltr' | 'rtl';
  colors: ReturnType<typeof mailColors>;
  frame: ReturnType<typeof frameColors>;
}

/** Languages that are written from right to left. */
const RIGHT_TO_LEFT = /^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)(-|$)/;

/** Returns the site in a language; in the default one where there are no texts for it. @throws AuthTunaError `misconfigured` for a logo that is not a path of this site */
export function createSite(options: TemplatesOptions, texts: Texts): (locale: string | undefined) => Site {
  const logoUrl = options.brand?.logoUrl ?? null;
  if (logoUrl !== null && !/^\/(?![/\\])/.test(logoUrl)) {
    throw misconfigured(
      `brand.logoUrl: ${JSON.stringify(logoUrl)} is not a path of this site, such as '/logo.svg'`,
    );
  }
  const { logoDark = null, hideName = false, iconUrl = null, stylesheet = null } = options.brand ?? {};
  const { supportUrl = null, termsUrl = null, privacyUrl = null } = options;
  const language = (locale: string | undefined) =>
    locale !== undefined && texts.has(locale) ? locale : texts.defaultLocale;
  return (locale) => ({
    appName: options.appName,
    initial: [...options.appName.trim()][0]?.toUpperCase() ?? '',
    logoUrl,
    logoDark,
    hideName: hideName && logoUrl !== null,
    iconUrl,
    stylesheet,
    supportUrl,
    termsUrl,
    privacyUrl,
    humanCheckWidget: options.humanCheckWidget ?? null,
    homeUrl: options.homeUrl ?? options.baseUrl,
    devMailboxUrl: options.hasDevMailbox === true ? `${options.paths?.auth ?? '/auth'}/dev/mailbox` : null,
    afterSignIn: options.paths?.afterSignIn ?? '/',
    auth: options.paths?.auth ?? '/auth',
    account: options.paths?.account ?? '/account',
    orgs: options.paths?.orgs ?? '/orgs',
    locale: language(locale),
    dir: RIGHT_TO_LEFT.test(language(locale)) ? 'rtl' : 'ltr',
    colors: mailColors(options.brand),
    frame: frameColors(options.brand),
  });
}
