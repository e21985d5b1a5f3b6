import { domainToASCII, domainToUnicode } from 'node:url';

/** A username in its one spelling, and what it looks like. */
export interface Username {
  username: string;
  /** Confusable skeleton: two names with one key look alike to a person; unique among users. */
  key: string;
}

export const MAX_EMAIL_BYTES = 254; // RFC 5321 section 4.5.3.1.3, less the angle brackets
const MAX_LOCAL_PART = 64; // RFC 5321 section 4.5.3.1.1

// Dot-atom without `%` and `!`, by which old relays carry mail on to a host of the sender's choice.
const LOCAL_PART = /^[a-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[a-z0-9#$&'*+/=?^_`{|}~-]+)*$/i;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

// Letters, marks and digits of an internationalized name, and nothing a host parser would decode, skip or cut at.
const DOMAIN_AS_TYPED = /^[\p{L}\p{M}\p{Nd}.\u3002\u30fb\u00b7-]+$/u;

/**
 * The one spelling of an e-mail address, for validation, storage, lookup and mailing; null when it is not one address.
 *
 * All lower-case, domain as A-labels (`xn--…`), plus-tags and dots kept, at most 254 bytes. The local part is ASCII
 * without quotes or comments; names, lists, literals and single-label domains are refused. Spaces around are dropped.
 */
export function canonicalEmail(input: string): string | null {
  if (input.length > 2 * MAX_EMAIL_BYTES) return null;
  const [local = '', domain = '', ...rest] = input.replace(/^ +/, '').trimEnd().split('@');
  // Trimmed were spaces only: a line break at the end of an address is no slip of the finger.
  if (/[^\S ]/.test(input) || rest.length > 0) return null;
  if (local.length > MAX_LOCAL_PART || !LOCAL_PART.test(local) || !DOMAIN_AS_TYPED.test(domain)) return null;

  const ascii = domainToASCII(domain.normalize('NFKC'));
  // An A-label that its own Unicode spelling does not lead back to would be a second spelling of one domain (RFC 5891 section 4.2).
  if (domainToASCII(domainToUnicode(ascii).normalize('NFKC')) !== ascii) return null;
  const labels = ascii.split('.');
  const isHost =
    labels.length > 1 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '');
  const address = `${local.toLowerCase()}@${ascii}`;
  return isHost && address.length <= MAX_EMAIL_BYTES ? address : null;
}

/** The domain of an address, in its canonical spelling; null for anything that is no address. */
export function domainOf(email: string): string | null {
  const at = email.lastIndexOf('@');
  return at < 1 ? null : canonicalDomain(email.slice(at + 1));
}

/** Lower-case A-labels, at least two of them; null for anything else. */
export function canonicalDomain(name: string): string | null {
  const ascii = domainToASCII(name.trim().normalize('NFKC')).replace(/\.$/, '');
  const labels = ascii.split('.');
  const isDomain =
    ascii.length <= 253 &&
    labels.length > 1 &&
    labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? '');
  return isDomain ? ascii : null;
}

/** `a***@e***.com`: enough to recognize one's own address, too little to learn another's. */
export function maskedEmail(email: string): string {
  const at = email.lastIndexOf('@');
  const dot = email.lastIndexOf('.');
  if (at < 1 || dot < at + 2) return '***';
  return `${firstOf(email)}***@${firstOf(email.slice(at + 1))}***${email.slice(dot)}`;
}

const MIN_USERNAME = 3;
const MAX_USERNAME = 32; // code points

// One of these writing systems, plus digits and separators. Latin is the part that has names in it: phonetic and click
// letters look like punctuation or like other letters. Japanese and Korean are each written with more than one script.
const SCRIPTS: readonly RegExp[] = [
  /^[a-z\u00df-\u00f6\u00f8-\u01bf\u01cd-\u024f\u0259\u1e00-\u1eff]+$/u,
  ...[
    'Greek',
    'Cyrillic',
    'Armenian',
    'Georgian',
    'Hebrew',
    'Arabic',
    'Devanagari',
    'Bengali',
    'Gurmukhi',
    'Gujarati',
    'Tamil',
    'Telugu',
    'Kannada',
    'Malayalam',
    'Sinhala',
    'Thai',
    'Lao',
    'Khmer',
    'Myanmar',
    'Ethiopic',
  ].map((script) => new RegExp(`^[\\p{sc=${script}}]+$`, 'u')),
  /^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\u30fc]+$/u,
  /^[\p{sc=Hangul}\p{sc=Han}]+$/u,
];

// What looks like a Latin letter or digit in small letters. By hand after UTS 39's confusables, drawn a little wider:
// two honest names that clash cost one of them a second try, two that look alike cost somebody an account.
const LOOK_ALIKES: ReadonlyMap<string, string> = new Map(
  [
    ['a', 'аαɑ'],
    ['b', 'ьβƅƀ'],
    ['c', 'сϲçƈ'],
    ['d', 'ԁđðɗ'],
    ['e', 'еєεǝəҽ'],
    ['f', 'ƒғ'],
    ['g', 'ɡցǥɠ'],
    ['h', 'һհħнհћђ'],
    ['j', 'јյȷʝ'],
    ['k', 'кκƙқҡ'],
    ['l', '1iіιӏıłǀǃɩ'],
    ['m', 'мӎ'],
    ['n', 'пηոռŋɲ'],
    ['o', '0оοσօøɵѳөס०০੦૦௦౦೦൦๐໐၀'],
    ['p', 'рρƿþք'],
    ['q', 'ԛզգ'],
    ['r', 'гɾ'],
    ['s', 'ѕƨƽ'],
    ['t', 'тτŧƭ'],
    ['u', 'иυսµμцʋ'],
    ['v', 'νѵ'],
    ['w', 'ԝωѡɯшա'],
    ['x', 'хχҳ'],
    ['y', 'уγүұўƴ'],
    ['z', 'ƶȥʐ'],
    ['3', 'зʒӡȝ'],
    ['4', 'ч'],
    ['ae', 'æ'],
    ['oe', 'œ'],
  ].flatMap(([latin = '', others = '']) => [...others].map((other) => [other, latin] as const)),
);

// Names that speak for the site, its staff or its machinery. Compared by skeleton, so `adm1n` is among them.
const RESERVED: ReadonlySet<string> = new Set(
  `abuse account accounts admin administrator administration admins anonymous api app auth authtuna billing bot contact
  daemon everyone guest help helpdesk hostmaster info legal login logout mail mailer me mod moderator moderators
  nobody noreply none null official operator owner postmaster privacy register root sales secure security self service
  settings signin signout signup staff status superadmin superuser support sysadmin sysop system team test undefined
  unknown user users verify webmaster www`
    .split(/\s+/)
    .map(skeleton),
);

/**
 * The one spelling of a username and the key that is unique among them; null when the name may not be had.
 *
 * NFKC and case-folded, 3 to 32 code points, one script plus `0-9`, `.`, `_`, `-`. Refused are reserved words and their
 * look-alikes, and what NFKC would have to rewrite (ligatures, full-width letters): the name kept is the name typed.
 * A name can therefore never hold an `@`, nor anything that looks like one.
 * @see UTS 39
 */
export function canonicalUsername(input: string): Username | null {
  if (input.length > 4 * MAX_USERNAME) return null;
  const composed = input.normalize('NFC');
  if (composed !== input.normalize('NFKC')) return null;

  const username = foldCase(composed);
  const length = [...username].length;
  if (length < MIN_USERNAME || length > MAX_USERNAME || !/^[\p{L}\p{M}0-9._-]+$/u.test(username)) return null;

  const letters = username.replace(/[0-9._-]/g, '');
  if (letters !== '' && !SCRIPTS.some((script) => script.test(letters))) return null;

  const key = skeleton(username);
  return key === '' || RESERVED.has(key) ? null : { username, key };
}

/** Unicode full case folding, as far as JavaScript's own tables go: `ß` and `SS` meet, `ς` and `σ` too. */
function foldCase(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ').normalize('NFKC');
}

/** What a name looks like: without separators and accents, every letter as its Latin look-alike. */
function skeleton(name: string): string {
  const bare = name
    .replace(/[._-]/g, '')
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '');
  const latin = Array.from(bare, (letter) => LOOK_ALIKES.get(letter) ?? letter).join('');
  return latin.replaceAll('rn', 'm').replaceAll('vv', 'w');
}

function firstOf(text: string): string {
  return String.fromCodePoint(text.codePointAt(0) ?? 0x2a);
}

/** The rule for usernames, as a developer reads it. */
export const USERNAME_RULE =
  'must have 3 to 32 letters or digits of one script, with . _ or - between them, and not look like a reserved name';
