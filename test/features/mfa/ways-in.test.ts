import { expect, test } from 'vitest';
import type { AuthTunaOptions, OutgoingMail } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import type { Browser } from '../../support/browser.js';
import { enrolTotp, json } from '../../support/factors.js';
import { type SocialApp, startSocialApp } from '../../support/social.js';

const UNLIMITED = { limit: 10_000, windowSeconds: 60 };

/** What somebody ends up with: all, nothing but setting a factor up, a sign-in that waits for one, or nothing. */
type Outcome = 'session' | 'enrollment only' | 'waiting' | 'nothing';

interface Person {
  email: string;
  authenticator: Authenticator;
  recoveryCodes: string[];
}

interface Table {
  app: SocialApp;
  /** The newest mail to somebody that matches. */
  mailTo(email: string, pattern: RegExp): Promise<string>;
}

/** Every way to come in as somebody who has an account. */
const WAYS = {
  async password({ app }: Table, { email }: Person) {
    const browser = app.browser();
    await browser.post('/auth/login', { login: email, password: PASSWORD });
    return browser;
  },
  async 'magic link'({ app, mailTo }: Table, { email }: Person) {
    const browser = app.browser();
    await json(browser.post('/auth/passwordless/link', { email }), 202);
    const token = await mailTo(email, /link\/open\?token=([\w.-]+)/);
    await browser.post('/auth/passwordless/link/consume', { token });
    return browser;
  },
  async 'code by mail'({ app, mailTo }: Table, { email }: Person) {
    const browser = app.browser();
    await json(browser.post('/auth/passwordless/code', { email }), 202);
    const code = await mailTo(email, /^\s*(\d{6})\s*$/m);
    await browser.post('/auth/passwordless/code/consume', { email, code });
    return browser;
  },
  async provider({ app }: Table, { email }: Person) {
    const browser = app.browser();
    await app.signIn(browser, { sub: email, email, email_verified: true, name: 'A' });
    return browser;
  },
  async 'password reset'({ app, mailTo }: Table, { email }: Person) {
    const browser = app.browser();
    await json(browser.post('/auth/forgot-password', { email }), 202);
    const token = await mailTo(email, /reset-password\?token=([\w.-]+)/);
    await json(browser.post('/auth/reset-password', { token, newPassword: PASSWORD }), 200);
    return browser;
  },
  async 'password after a reset'(table: Table, person: Person) {
    const browser = await WAYS['password reset'](table, person);
    await browser.post('/auth/login', { login: person.email, password: PASSWORD });
    return browser;
  },
  passkey: ({ app }: Table, { authenticator }: Person) => byPasskey(app, authenticator, true),
  'passkey, unverified': ({ app }: Table, { authenticator }: Person) => byPasskey(app, authenticator, false),
  async 'recovery code alone'({ app }: Table, { recoveryCodes }: Person) {
    const browser = app.browser();
    await browser.post('/auth/mfa/verify', { code: recoveryCodes[0] ?? '01-AAAA-AAAA-AAAA-AAAA' });
    return browser;
  },
  async 'password and recovery code'(table: Table, person: Person) {
    const browser = await WAYS.password(table, person);
    await browser.post('/auth/mfa/verify', { code: person.recoveryCodes.pop() ?? '01-AAAA-AAAA-AAAA-AAAA' });
    return browser;
  },
} as const;

/** Every way to come in as somebody new. */
const SIGN_UPS: Record<string, (table: Table) => Promise<Browser>> = {
  async 'sign-up with a password'({ app }) {
    const browser = app.browser();
    await json(browser.post('/auth/signup', { email: 'new-1@example.com', password: PASSWORD }), 201);
    return browser;
  },
  async 'sign-up with a passkey'({ app }) {
    const browser = app.browser();
    const options = await json(
      browser.post('/auth/passkeys/register/options', { email: 'new-2@example.com' }),
      200,
    );
    await json(browser.post('/auth/passkeys/register', new Authenticator(app.url).create(options)), 201);
    return browser;
  },
  async 'sign-up over the provider'(table) {
    const email = 'new-3@example.com';
    return WAYS.provider(table, {
      email,
      authenticator: new Authenticator(table.app.url),
      recoveryCodes: [],
    });
  },
};

const POLICIES: Record<string, AuthTunaOptions['mfa']> = {
  optional: {},
  'required, in the days of grace': { requiredForRoles: ['user'], graceDays: 365 },
  'required, past them': { requiredForRoles: ['user'], graceDays: 7 },
  'required at once': { requiredForRoles: ['user'] },
};

/** What a person without a factor gets where they get in. */
const BARE: Record<string, Outcome> = {
  optional: 'session',
  'required, in the days of grace': 'session',
  'required, past them': 'enrollment only',
  'required at once': 'enrollment only',
};

test.each(Object.keys(POLICIES))(
  'every way in, by who has enrolled in what, with a factor %s (MB-1)',
  async (policy) => {
    const mailbox = new TestMailbox();
    const app = await startSocialApp({
      mail: { from: 'App <app@example.com>', transport: mailbox },
      appName: 'App',
      signUp: { requireVerifiedEmail: false },
      passwordless: { magicLink: true, emailCode: true },
      social: { linkVerifiedEmails: true },
      mfa: POLICIES[policy],
      rateLimits: Object.fromEntries(
        ['signUp', 'mailRequest', 'mailToken', 'mailAddress', 'mailNetwork', 'mailPurpose', 'passkey'].map(
          (name) => [name, UNLIMITED],
        ),
      ),
    });
    const table: Table = {
      app,
      async mailTo(email, pattern) {
        await app.authTuna.mailer.deliver();
        const texts = mailbox.mails.filter(({ to }: OutgoingMail) => to === email).map(({ text }) => text);
        return pattern.exec(texts.findLast((text) => pattern.test(text)) ?? '')?.[1] ?? 'none';
      },
    };
    // Those of today are the last of the days of grace; the provider lives in real time.
    app.clock.advance({ days: -8 });
    const people = {
      none: await person(table, 'none@example.com', []),
      totp: await person(table, 'totp@example.com', ['totp']),
      passkey: await person(table, 'passkey@example.com', ['passkey']),
    };
    app.clock.advance({ days: 8 });

    const found: Record<string, Record<string, Outcome>> = {};
    // The provider first: what it signs is soon too old, and each further way is an hour later.
    const ways = Object.entries(WAYS).sort(
      ([one], [other]) => Number(other === 'provider') - Number(one === 'provider'),
    );
    for (const [name, way] of ways) {
      const outcomes: Record<string, Outcome> = {};
      for (const [enrolled, who] of Object.entries(people)) {
        if (name !== 'provider') app.clock.advance({ minutes: 20 });
        outcomes[enrolled] = await outcomeOf(await way(table, who));
      }
      found[name] = outcomes;
    }
    const bare = BARE[policy] ?? 'nothing';
    const needsFactor = { none: bare, totp: 'waiting', passkey: 'waiting' };
    const nothing = { none: 'nothing', totp: 'nothing', passkey: 'nothing' };
    expect(found).toEqual({
      password: needsFactor,
      'magic link': needsFactor,
      'code by mail': needsFactor,
      provider: needsFactor,
      'password reset': nothing,
      'password after a reset': needsFactor,
      passkey: { none: 'nothing', totp: 'nothing', passkey: 'session' },
      'passkey, unverified': nothing,
      'recovery code alone': nothing,
      'password and recovery code': { none: bare, totp: 'session', passkey: 'session' },
    });
  },
);

test.each(Object.keys(POLICIES))('every sign-up, with a factor %s (MB-1)', async (policy) => {
  const app = await startSocialApp({
    signUp: { requireVerifiedEmail: false },
    mfa: POLICIES[policy],
  });
  const table: Table = { app, mailTo: async () => '' };
  const found: Record<string, Outcome> = {};
  for (const [name, signUp] of Object.entries(SIGN_UPS)) found[name] = await outcomeOf(await signUp(table));
  // Days of grace begin with the account.
  const bare = policy === 'required at once' ? 'enrollment only' : 'session';
  expect(found).toEqual({
    'sign-up with a password': bare,
    'sign-up with a passkey': 'session',
    'sign-up over the provider': bare,
  });
});

/** Somebody who was first seen to need a factor eight days ago. */
async function person(
  { app }: Table,
  email: string,
  factors: readonly ('totp' | 'passkey')[],
): Promise<Person> {
  const { browser } = await app.signedIn(email);
  await json(browser.get('/auth/mfa'), 200);
  const authenticator = new Authenticator(app.url);
  let recoveryCodes: string[] = [];
  if (factors.includes('totp')) recoveryCodes = (await enrolTotp(app, browser)).recoveryCodes;
  if (factors.includes('passkey')) {
    const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
    await json(browser.post('/auth/passkeys/register', authenticator.create(options)), 201);
    recoveryCodes = (await json(browser.post('/auth/mfa/recovery-codes', {}), 201)).recoveryCodes;
  }
  return { email, authenticator, recoveryCodes };
}

async function byPasskey(app: SocialApp, authenticator: Authenticator, uv: boolean): Promise<Browser> {
  const browser = app.browser();
  const options = await json(browser.post('/auth/passkeys/sign-in/options', {}), 200);
  if (authenticator.credentials.length === 0) authenticator.create({ ...options, user: { id: 'AAAA' } }); // one that nobody registered
  await browser.post('/auth/passkeys/sign-in', authenticator.get(options, { flags: { uv } }));
  return browser;
}

/** Routes for whoever is signed in. None of them answers to less than a session. */
const ROUTES = [
  ['GET', '/me'],
  ['POST', '/me/x'],
  ['GET', '/projects/1'],
  ['GET', '/reports'],
  ['GET', '/account'],
  ['GET', '/account/sessions'],
  ['DELETE', '/account/sessions'],
  ['PATCH', '/account'],
  ['GET', '/auth/user-info'],
  ['POST', '/auth/change-password'],
  ['POST', '/auth/change-email'],
  ['POST', '/auth/step-up'],
  ['GET', '/auth/social'],
  ['POST', '/auth/social/oidc/link'],
  ['DELETE', '/auth/social/oidc'],
  ['GET', '/auth/mfa'],
  ['POST', '/auth/mfa/totp'],
  ['POST', '/auth/mfa/totp/confirm'],
  ['DELETE', '/auth/mfa/totp'],
  ['POST', '/auth/mfa/recovery-codes'],
  ['DELETE', '/auth/mfa/reset'],
  ['GET', '/auth/passkeys'],
  ['DELETE', '/auth/passkeys/1'],
] as const;

/** What of those an account that must enroll may reach: what sets a factor up, and what proves who is asking. */
const ENROLLMENT = /^\/auth\/(mfa|passkeys|user-info|step-up|change-password)/;

async function outcomeOf(browser: Browser): Promise<Outcome> {
  const cookies = ['at_sess', 'at_pending'].filter((name) => browser.jar.has(name));
  const me = await browser.get('/me');
  if (cookies.includes('at_sess')) {
    expect(cookies).toEqual(['at_sess']);
    if (me.status === 200) return 'session';
    expect(await json(me, 403)).toMatchObject({ code: 'enrollment_required' });
    for (const [method, path] of ROUTES.filter((route) => !ENROLLMENT.test(route[1])))
      expect([path, (await call(browser, method, path)).status]).toEqual([path, 403]);
    await json(browser.post('/auth/mfa/totp'), 201);
    return 'enrollment only';
  }
  for (const [method, path] of ROUTES)
    expect([path, (await call(browser, method, path)).status]).toEqual([path, 401]);
  return cookies.includes('at_pending') ? 'waiting' : 'nothing';
}

function call(browser: Browser, method: string, path: string): Promise<Response> {
  return browser.request(method, path, method === 'POST' || method === 'PATCH' ? {} : undefined);
}
