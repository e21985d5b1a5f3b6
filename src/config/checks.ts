import { MODELS, type ModelName, ourColumns } from '../db/client.js';
import { isLoopbackHost } from '../net/addresses.js';
import { type ParsedOptions, YEAR } from './schema.js';
import { isOrigin } from './urls.js';

const WELL_KNOWN_SECRET = /^(change|replace|insert|your|secret|password|example|default|keyboard)[\W_]?/i;
const MIN_SECRET_LENGTH = 32;
const MIN_DISTINCT_CHARACTERS = 8; // a random 32-character value has about 25, in hexadecimal 14

/** Checks options that depend on each other. Each problem is added to `found`, with the text to write instead. */
export function checkOptions(parsed: ParsedOptions, isSecure: boolean, found: string[]): void {
  const { databaseUrl, prisma, signUp } = parsed;
  checkSecrets(parsed.secrets, isSecure, found);
  checkSession(parsed.session, found);
  checkProviders(parsed.social, isSecure, found);
  if (isSecure && parsed.password.bcryptCost < 10)
    found.push('password.bcryptCost: must be at least 10 on https');
  for (const origin of parsed.trustedOrigins) checkOrigin('trustedOrigins', origin, found);
  if (parsed.session.sameSite === 'none' && !isSecure)
    found.push('session.sameSite: none works on https only; for development open both at one host name');
  if (parsed.session.sameSite === 'none' && parsed.trustedOrigins.length === 0)
    found.push('session.sameSite: none is for pages on another site: list their origins in trustedOrigins');
  if (prisma === undefined && !/^(file:|libsql:|postgres(ql)?:)/.test(databaseUrl ?? 'file:'))
    found.push('databaseUrl: must begin with file:, libsql: or postgresql:');
  if (parsed.humanCheckWidget !== undefined && parsed.humanCheck === undefined)
    found.push('humanCheckWidget: what it produces is checked by humanCheck, which is missing');
  if (parsed.resolveScope !== undefined && parsed.resolveScopes !== undefined)
    found.push('resolveScopes: does what resolveScope does; keep one of them');
  if (isSecure && parsed.mail === undefined) checkWithoutMail(parsed, found);
  for (const name of Object.keys(parsed.privacy.consents))
    if (Object.hasOwn(signUp.fields, name))
      found.push(`privacy.consents.${name}: signUp.fields has a field of this name; a form needs two names`);
  checkHostColumns('signUp.fields', Object.keys(signUp.fields), 'user', parsed, found);
  checkHostColumns('user.publicColumns', parsed.user.publicColumns, 'user', parsed, found);
  for (const [option, model] of [
    ['organization', 'organization'],
    ['project', 'organizationProject'],
  ] as const) {
    const { publicColumns, fields } = parsed[option];
    checkHostColumns(`${option}.publicColumns`, publicColumns, model, parsed, found);
    checkHostColumns(`${option}.fields`, Object.keys(fields), model, parsed, found);
  }
  checkModels(parsed, found);
}

function checkWithoutMail({ signUp, passwordless }: ParsedOptions, found: string[]): void {
  if (signUp.enabled && (signUp.requireVerifiedEmail ?? true))
    found.push(
      'mail: is missing, and sign-up confirms addresses by mail; set mail: { from, transport }, or signUp: { requireVerifiedEmail: false } to do without',
    );
  if (passwordless.emailCode === true || (passwordless.magicLink ?? false) !== false)
    found.push('passwordless: signs in by mail, so set mail: { from, transport }');
}

function checkOrigin(option: string, origin: string, found: string[]): void {
  if (!isOrigin(origin))
    found.push(
      `${option}: ${origin} is not an origin; write scheme and host only: https://admin.example.com`,
    );
}

export function checkSecrets(secrets: readonly string[], isSecure: boolean, found: string[]): void {
  for (const [index, secret] of secrets.entries()) {
    const where = `secrets[${index}]`;
    if (secret.length < MIN_SECRET_LENGTH) {
      found.push(
        `${where}: has fewer than ${MIN_SECRET_LENGTH} characters; make one with: npx authtuna new-secret`,
      );
    } else if (
      isSecure &&
      (new Set(secret).size < MIN_DISTINCT_CHARACTERS || WELL_KNOWN_SECRET.test(secret))
    ) {
      found.push(
        `${where}: looks like a placeholder, not like chance; make one with: npx authtuna new-secret`,
      );
    }
  }
  if (new Set(secrets).size !== secrets.length) found.push('secrets: holds the same value twice');
}

const PROVIDER_ID = /^[a-z][a-z0-9-]{0,31}$/;

function checkProviders(social: ParsedOptions['social'], isSecure: boolean, found: string[]): void {
  const ids = social.providers.map(({ id }) => id);
  for (const [index, provider] of social.providers.entries()) {
    const where = `social.providers[${index}] (${provider.id})`;
    if (!PROVIDER_ID.test(provider.id))
      found.push(`${where}: the id may hold lower-case letters, digits and - only`);
    if (provider.id === 'sso' || provider.id.startsWith('sso-'))
      found.push(`${where}: ids that begin with sso belong to the connections of organizations`);
    if (ids.indexOf(provider.id) !== index)
      found.push(`${where}: the id is taken by another provider; give oidc() an id of its own`);
    if (typeof provider.clientId !== 'string' || provider.clientId === '')
      found.push(`${where}: clientId is missing`);
    const { endpoints } = provider;
    const url = 'discover' in endpoints ? endpoints.discover : endpoints.authorization;
    const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: '', hostname: '' };
    const mayBeHttp = !isSecure && (isLoopbackHost(hostname) || provider.allowHttp === true);
    if (protocol !== 'https:' && (protocol !== 'http:' || !mayBeHttp))
      found.push(
        `${where}: ${url} must be https; http works in development only, on localhost, or elsewhere with allowHttp: true`,
      );
  }
  if (Array.isArray(social.linkVerifiedEmails)) {
    for (const id of social.linkVerifiedEmails.filter((name) => !ids.includes(name)))
      found.push(`social.linkVerifiedEmails: ${id} is not one of the providers`);
  }
}

/** The bounds under which the rotation protocol was shown to lose no honest session. */
export function checkSession(session: ParsedOptions['session'], found: string[]): void {
  const { recheckSeconds: v, rotateSeconds: r, rotationGraceSeconds: g, rotationForgiveSeconds: s } = session;
  if (g < 20)
    found.push(
      'session.rotationGraceSeconds: must be at least 20, for clocks that differ by 5 s and answers under way',
    );
  if (v > g / 2)
    found.push(`session.recheckSeconds: must be at most half of rotationGraceSeconds (${g / 2})`);
  if (s < g) found.push('session.rotationForgiveSeconds: must be at least rotationGraceSeconds');
  if (r !== 0 && r < s + 60)
    found.push(`session.rotateSeconds: must be 0 or at least rotationForgiveSeconds + 60 (${s + 60})`);
  if ((session.idleSeconds ?? 0) > (session.absoluteSeconds ?? YEAR))
    found.push('session.idleSeconds: is longer than absoluteSeconds');
  if (session.cookieDomain !== undefined && !/^[a-z0-9.-]+$/.test(session.cookieDomain))
    found.push('session.cookieDomain: is not a host name');
}

export function checkPasskeys(
  passkeys: { rpId: string; origins: readonly string[] },
  base: URL,
  found: string[],
): void {
  const { rpId, origins } = passkeys;
  if (base.hostname !== rpId && !base.hostname.endsWith(`.${rpId}`))
    found.push(`passkeys.rpId: ${rpId} is neither the host of baseUrl nor a domain above it`);
  for (const origin of origins) checkOrigin('passkeys.origins', origin, found);
}

/** Columns of ours are set by the library alone, and the shipped client has no others. */
function checkHostColumns(
  option: string,
  names: readonly string[],
  model: ModelName,
  { prisma }: ParsedOptions,
  found: string[],
): void {
  if (names.length > 0 && prisma === undefined)
    found.push(`${option}: are columns of your own ${nameOf(model)} model, so pass your client: prisma`);
  for (const name of names) {
    if (ourColumns(model).has(name))
      found.push(`${option}.${name}: is a column of ours; choose another name`);
  }
}

/** As in authtuna.prisma: `User`. */
function nameOf(model: ModelName): string {
  return MODELS.find((each) => each.model === model)?.name ?? model;
}

/** Our models under names of the host, which only a client of the host has. */
function checkModels({ models, user, prisma }: ParsedOptions, found: string[]): void {
  if (user.hostUser !== undefined && prisma === undefined)
    found.push('user.hostUser: is a row of your own User model, so pass your client: prisma');
  if (models === undefined) return;
  if (prisma === undefined) found.push('models: are names in your own schema, so pass your client: prisma');
  const known = MODELS.map(({ name }) => name);
  for (const name of typeof models === 'string' ? [] : Object.keys(models)) {
    if (!known.includes(name))
      found.push(`models.${name}: is no model of ours; they are ${known.join(', ')}`);
  }
}
