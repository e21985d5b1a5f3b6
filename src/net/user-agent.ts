import Bowser from 'bowser';

/** Browser and operating system of a User-Agent, without versions, so that an update changes nothing. Null where the User-Agent does not tell. */
export interface Device {
  browser: string | null;
  os: string | null;
  /** True for a phone or tablet; null for televisions, bots, and a User-Agent that does not tell. */
  mobile: boolean | null;
}

/** What a session remembers of the browser and the place that it is used from. A null value is never counted against the user. */
export interface Fingerprint extends Device {
  /** ISO 3166-1 alpha-2. */
  country: string | null;
  /** Keyed digest of the network (ASN), never the network itself. */
  network: string | null;
  /** Whether the network is a known relay, VPN or mobile carrier: their addresses change country without the person moving. */
  relay: boolean | null;
}

export type ScoreReason = keyof typeof SCORES;

export interface ScoreChange {
  score: number;
  /** The rows of `SCORES` that were added. */
  reasons: ScoreReason[];
  /** True when only country and network were counted. Such a change asks for at most one step-up a day. */
  networkOnly: boolean;
}

export type Verdict = 'allow' | 'step_up' | 'revoke';

/** How much each kind of change adds to the score; `verdict` says what a score leads to. */
export const SCORES = {
  network: 5,
  country: 30,
  continent: 45,
  browser: 40,
  os: 50,
  device_class: 20,
} as const;

const STEP_UP_AT = 40;
const REVOKE_AT = 80;
const JUMP_SECONDS = 3600; // too short to travel to another continent
const MAX_USER_AGENT = 512; // the longest real ones have about 350 characters

const FAMILY: Readonly<Record<string, string>> = {
  'Microsoft Edge': 'Edge',
  'Samsung Internet for Android': 'Samsung Internet',
  Chromium: 'Chrome',
};

// All countries by continent. A country that is missing here has no continent, so a change to it never counts as `continent`.
const CONTINENTS: Readonly<Record<string, string>> = {
  AF: 'AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW',
  AN: 'AQ BV GS HM TF',
  AS: 'AE AF AM AZ BD BH BN BT CC CN CX GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE',
  EU: 'AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK',
  NA: 'AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC TT US VC VG VI',
  OC: 'AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS',
  SA: 'AR BO BR CL CO EC FK GF GY PE PY SR UY VE',
};

/** Reads browser and operating system from a User-Agent. Only the first 512 characters are read. */
export function deviceOf(userAgent: string | null): Device {
  const text = userAgent?.slice(0, MAX_USER_AGENT).trim() ?? '';
  if (text === '') return { browser: null, os: null, mobile: null };

  const { browser, os, platform } = Bowser.parse(text);
  const family = browser.name ? (FAMILY[browser.name] ?? browser.name) : productOf(text);

  // A phone or tablet that asks for the desktop site says macOS or Linux, but keeps the name of a browser that exists on phones only.
  if (os.name === 'macOS' && /\b(?:CriOS|FxiOS|EdgiOS|OPiOS|OPT)\//.test(text)) {
    return { browser: family, os: 'iOS', mobile: true };
  }
  if (os.name === 'Linux' && family === 'Samsung Internet')
    return { browser: family, os: 'Android', mobile: true };

  const mobile =
    platform.type === 'desktop' ? false : platform.type === 'mobile' || platform.type === 'tablet' || null;
  return { browser: family, os: os.name ?? null, mobile };
}

/** Returns a label such as `Firefox on Linux`, for lists of sessions and for mails. */
export function deviceLabel({ browser, os }: Device): string {
  if (browser !== null) return os === null ? browser : `${browser} on ${os}`;
  return os === null ? 'Unknown device' : `Unknown browser on ${os}`;
}

/**
 * Scores how suspicious it is that a session that was last used as `before` is now used as `after`.
 *
 * A value that is missing on either side is not scored. A relay on either side halves the score of country and network.
 */
export function scoreChange(
  before: Fingerprint,
  after: Fingerprint,
  secondsSinceLastUse: number,
): ScoreChange {
  const device = deviceReasons(before, after);
  const place = placeReason(before, after, secondsSinceLastUse);
  const placeScore = place === null ? 0 : SCORES[place] / (before.relay || after.relay ? 2 : 1);

  return {
    score: device.reduce((sum, reason) => sum + SCORES[reason], placeScore),
    reasons: place === null ? device : [...device, place],
    networkOnly: place !== null && device.length === 0,
  };
}

/** Says what a score leads to: below 40 the session goes on, below 80 it is locked until a step-up, from 80 it ends. */
export function verdict(score: number): Verdict {
  if (score < STEP_UP_AT) return 'allow';
  return score < REVOKE_AT ? 'step_up' : 'revoke';
}

/** Returns the continent of a country as two letters; null for an unknown country. */
export function continentOf(country: string | null): string | null {
  if (country === null || !/^[A-Za-z]{2}$/.test(country)) return null;
  const code = country.toUpperCase();
  return Object.keys(CONTINENTS).find((continent) => CONTINENTS[continent]?.includes(code)) ?? null;
}

/** Returns a fingerprint as the text that is stored in a session's row. */
export function encodeFingerprint(fingerprint: Fingerprint): string {
  const { browser, os, mobile, country, network, relay } = fingerprint;
  return JSON.stringify([browser, os, mobile, country, network, relay]);
}

/** Reads the fingerprint of a session's row. Values that cannot be read become null, because they must not end a session. */
export function decodeFingerprint(stored: string | null): Fingerprint {
  const values = parseArray(stored);
  const text = (index: number) => {
    const value = values[index];
    return typeof value === 'string' ? value : null;
  };
  const flag = (index: number) => {
    const value = values[index];
    return typeof value === 'boolean' ? value : null;
  };
  return {
    browser: text(0),
    os: text(1),
    mobile: flag(2),
    country: text(3),
    network: text(4),
    relay: flag(5),
  };
}

/** Returns `curl` for `curl/8.5.0`. The name has no dots, so that mail programs do not turn a stranger's text into a link. */
function productOf(userAgent: string): string | null {
  const [, product] = /^([A-Za-z][A-Za-z0-9-]{0,30})(?:\/|$)/.exec(userAgent) ?? [];
  return product === undefined || product === 'Mozilla' ? null : product;
}

function deviceReasons(before: Fingerprint, after: Fingerprint): ScoreReason[] {
  const browserChanged = differ(before.browser, after.browser);
  if (!browserChanged && (isDesktopSite(before, after) || isDesktopSite(after, before))) return [];

  const reasons: ScoreReason[] = [];
  if (differ(before.os, after.os)) reasons.push('os');
  else if (browserChanged) reasons.push('browser');
  if (differ(before.mobile, after.mobile)) reasons.push('device_class');
  return reasons;
}

/** Whether `desktop` is how `handheld` describes itself when it asks for a desktop site. The caller has checked that the browser is the same. */
function isDesktopSite(handheld: Device, desktop: Device): boolean {
  if (handheld.os === 'iOS')
    return desktop.os === 'macOS' && desktop.browser === 'Safari' && desktop.mobile === false;
  if (handheld.os === 'Android')
    return desktop.os === 'Linux' && desktop.browser !== null && desktop.mobile === false;
  return false;
}

function placeReason(
  before: Fingerprint,
  after: Fingerprint,
  secondsSinceLastUse: number,
): ScoreReason | null {
  if (before.country === null || after.country === null) return null;
  const networkChanged = differ(before.network, after.network);
  if (before.country === after.country) return networkChanged ? 'network' : null;

  const from = continentOf(before.country);
  const to = continentOf(after.country);
  return networkChanged && differ(from, to) && secondsSinceLastUse <= JUMP_SECONDS ? 'continent' : 'country';
}

function differ<T>(before: T | null, after: T | null): boolean {
  return before !== null && after !== null && before !== after;
}

function parseArray(stored: string | null): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(stored ?? '[]');
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
