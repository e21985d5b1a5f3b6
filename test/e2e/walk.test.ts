// Follows a person through each flow, in a real browser and by keyboard: where they want to go, where they are, what the page says, and how
// they get on. Each flow is walked in one look; with WALK=pairs in two opposite ones, so that it meets each value of each, with WALK=all in every one.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, inject, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD } from '../support/app.js';
import { openChromium } from '../support/chromium.js';
import { enrolTotp, totpCode } from '../support/factors.js';
import { as } from '../support/people.js';
import {
  type Act,
  cancelsPasskeys,
  copies,
  EMAIL,
  elsewhere,
  type Flow,
  fills,
  first,
  follows,
  goesBack,
  hasAuthenticator,
  type Look,
  opens,
  opensMail,
  presses,
  pressesHere,
  type Sight,
  type Text,
  unfolds,
  type Walk,
  waits,
  walk,
} from '../support/walker.js';

const WANTED = '/me?tab=1';
const NEW_PASSWORD = 'plain umbrella quartz seventeen';

const page = (name: string, on: Text = `pages.${name}.submit`): Sight => ({
  title: `pages.${name}.title`,
  on,
});
const LOGIN = page('auth/login');
const ARRIVED: Sight = { title: `Welcome ${EMAIL}`, on: 'My account' };
const signsIn = (password = PASSWORD): Act => fills({ 'fields.login': EMAIL, 'fields.password': password });
const says = (sight: Sight, ...texts: readonly Text[]): Sight => ({ ...sight, says: texts });

const hasAccount: Act = async ({ app }) => {
  await app.authTuna.users.create({ email: EMAIL, password: PASSWORD, emailVerified: true });
};

const signedOut = says(LOGIN, 'notices.signed_out');
const SECURITY = page('account/security', 'pages.account/security.change + fields.email');
const PROVIDER_NAME = 'Mock provider';
const PROVIDER: Text = ['common.continueWith', { provider: PROVIDER_NAME }];
const AT_PROVIDER: Sight = { title: 'Sign in as', on: 'Ada' };
const error = (code: string, on: Text): Sight => ({ title: `errors.${code}.title`, on });

const opensSecurity: Flow['steps'] = [
  [opens('/account/security'), LOGIN],
  [signsIn(), SECURITY],
];

const WAITING = page('auth/verify-email.waiting');
const signsUp: Flow['steps'] = [
  [opens(WANTED), LOGIN],
  [follows('pages.auth/login.signUp'), page('auth/signup')],
  [
    fills({ 'fields.email': EMAIL, 'fields.password': 'passwordpassword' }),
    says(page('auth/signup'), 'problems.weak_password', 'problems.password_breached'),
  ],
  [fills({ 'fields.password': PASSWORD }), WAITING],
];

const SIGNING_UP: readonly Flow[] = [
  {
    name: 'sign-up, confirmed in the same browser',
    to: WANTED,
    steps: [
      ...signsUp,
      [presses('pages.auth/verify-email.waiting.submit'), says(WAITING, 'notices.mail_held')],
      [opensMail('/auth/verify-email'), page('auth/verify-email.confirm')],
      [presses('pages.auth/verify-email.confirm.submit'), ARRIVED],
    ],
  },
  {
    name: 'sign-up, confirmed in another browser',
    to: WANTED,
    steps: [
      ...signsUp,
      [first(elsewhere, opensMail('/auth/verify-email')), page('auth/verify-email.confirm')],
      [
        fills({ 'fields.signUpPassword': 'not the password at all' }),
        says(page('auth/verify-email.confirm'), 'problems.wrong_password'),
      ],
      [fills({ 'fields.signUpPassword': PASSWORD }), ARRIVED],
    ],
  },
];

const LINK = page('passwordless/request.link');
const CODE = page('passwordless/request.code');
const LINK_SENT: Sight = { title: 'pages.passwordless/sent.title', on: 'pages.passwordless/sent.again' };
const CODE_SENT: Sight = { title: 'pages.passwordless/code.title', on: 'common.signIn' };
const mailedCode = async ({ app }: Walk) => /\b\d{6}\b/.exec((await app.mailTo(EMAIL)).text)?.[0] ?? '';

const BY_MAIL: readonly Flow[] = [
  {
    name: 'a link by mail',
    to: WANTED,
    given: hasAccount,
    steps: [
      [opens(WANTED), LOGIN],
      [follows('pages.auth/login.byEmail'), LINK],
      [fills({ 'fields.email': EMAIL }), LINK_SENT],
      [opensMail('/auth/passwordless/link/open'), page('passwordless/confirm')],
      [presses('pages.passwordless/confirm.submit'), ARRIVED],
    ],
  },
  {
    name: 'a link by mail, opened in another browser',
    to: WANTED,
    given: hasAccount,
    steps: [
      [opens(WANTED), LOGIN],
      [follows('pages.auth/login.byEmail'), LINK],
      [fills({ 'fields.email': EMAIL }), LINK_SENT],
      [
        first(copies('.big-code', 'code'), elsewhere, opensMail('/auth/passwordless/link/open')),
        page('passwordless/confirm'),
      ],
      [
        fills({ 'fields.browserCode': 'BBBB-BBBB' }),
        says(page('passwordless/confirm'), 'problems.invalid_code'),
      ],
      [fills({ 'fields.browserCode': ({ kept }) => kept.get('code') ?? '' }), ARRIVED],
    ],
  },
  {
    name: 'a code by mail: wrong, expired, right',
    to: WANTED,
    given: hasAccount,
    steps: [
      [opens(WANTED), LOGIN],
      [follows('pages.auth/login.byEmail'), LINK],
      [follows('pages.passwordless/request.codeInstead'), CODE],
      [fills({ 'fields.email': EMAIL }), CODE_SENT],
      [fills({ 'fields.emailCode': '000000' }), says(CODE_SENT, 'problems.invalid_code')],
      [
        first(waits({ minutes: 11 }), fills({ 'fields.emailCode': mailedCode })),
        says(CODE_SENT, 'problems.code_expired'),
      ],
      [follows('pages.passwordless/code.again'), CODE],
      [fills({ 'fields.email': EMAIL }), CODE_SENT],
      [fills({ 'fields.emailCode': mailedCode }), ARRIVED],
    ],
  },
];

const BY_PASSWORD: readonly Flow[] = [
  {
    name: 'a wrong password, then the right one',
    to: WANTED,
    given: hasAccount,
    steps: [
      [opens(WANTED), LOGIN],
      [signsIn('not the password at all'), says(LOGIN, 'problems.invalid_login')],
      [fills({ 'fields.password': PASSWORD }), ARRIVED],
    ],
  },
  {
    name: 'too many wrong passwords, then the right one after a while',
    to: WANTED,
    given: hasAccount,
    steps: [
      [opens(WANTED), LOGIN],
      [
        first(...Array<Act>(5).fill(signsIn('not the password at all'))),
        says(LOGIN, 'problems.invalid_login'),
      ],
      [signsIn(), says(LOGIN, 'problems.rate_limited', 'errors.retryAfter')],
      [first(waits({ seconds: 10 }), signsIn()), ARRIVED],
    ],
  },
  {
    name: 'a forgotten password',
    to: WANTED,
    given: hasAccount,
    steps: [
      [opens(WANTED), LOGIN],
      [follows('pages.auth/login.forgot'), page('auth/forgot-password')],
      [
        fills({ 'fields.email': EMAIL }),
        { title: 'messages.reset_requested.title', on: 'common.backToSignIn' },
      ],
      [opensMail('/auth/reset-password'), page('auth/reset-password')],
      [
        fills({ 'fields.newPassword': 'passwordpassword' }),
        says(page('auth/reset-password'), 'problems.weak_password', 'problems.password_breached'),
      ],
      [
        fills({ 'fields.newPassword': NEW_PASSWORD }),
        { title: 'messages.password_changed.title', on: 'common.signIn' },
      ],
      [follows('common.signIn'), LOGIN],
      [signsIn(NEW_PASSWORD), ARRIVED],
    ],
  },
];

const toProvider: Flow['steps'] = [
  [opens(WANTED), LOGIN],
  [follows(PROVIDER), AT_PROVIDER],
];

/** The provider sends the browser back with an error of its own. */
const providerFails: Act = async (person) => {
  const asked = new URL(person.page.url()).searchParams;
  const back = new URL(asked.get('redirect_uri') ?? '');
  const answer = { error: 'server_error', state: asked.get('state') ?? '', iss: person.provider.issuer };
  for (const [name, value] of Object.entries(answer)) back.searchParams.set(name, value);
  await opens(back.href)(person);
};

const BY_PROVIDER: readonly Flow[] = [
  {
    name: 'a provider, as a newcomer and as somebody it knows',
    to: WANTED,
    steps: [
      ...toProvider,
      [follows('Ada'), ARRIVED],
      [follows('My account'), SECURITY],
      [presses('account.signOut'), signedOut],
      [opens(WANTED), LOGIN],
      [follows(['common.continueWith + common.lastUsed', { provider: PROVIDER_NAME }]), AT_PROVIDER],
      [follows('Ada'), ARRIVED],
    ],
  },
  {
    name: 'a provider, where the username is still missing',
    to: WANTED,
    options: { signUp: { username: 'required' } },
    steps: [
      ...toProvider,
      [follows('Ada'), page('auth/complete')],
      [
        fills({ 'fields.username': '!!' }),
        says(page('auth/complete'), 'problems.invalid_input', 'problems.invalid_username'),
      ],
      [fills({ 'fields.username': 'ada' }), ARRIVED],
    ],
  },
  {
    name: 'a provider that proves no address',
    to: WANTED,
    steps: [
      ...toProvider,
      [follows('Mallory'), WAITING],
      [opensMail('/auth/verify-email', 'mallory@example.com'), page('auth/verify-email.confirm')],
      [
        presses('pages.auth/verify-email.confirm.submit'),
        { title: 'Welcome mallory@example.com', on: 'My account' },
      ],
    ],
  },
  {
    name: 'a provider, with an address that has an account',
    to: WANTED,
    given: hasAccount,
    steps: [
      ...toProvider,
      [follows('Ada'), error('social_sign_in_then_link', 'common.signIn')],
      [follows('common.signIn'), LOGIN],
      [signsIn(), ARRIVED],
    ],
  },
  {
    name: 'a provider, canceled there',
    to: WANTED,
    given: hasAccount,
    steps: [
      ...toProvider,
      [follows('Cancel'), error('social_canceled', 'common.signIn')],
      [follows('common.signIn'), LOGIN],
      [signsIn(), ARRIVED],
    ],
  },
  {
    name: 'a provider that fails',
    to: WANTED,
    given: hasAccount,
    steps: [
      ...toProvider,
      [providerFails, error('unavailable', 'errors.tryAgain')],
      [follows('errors.tryAgain'), LOGIN],
      [signsIn(), ARRIVED],
    ],
  },
  {
    name: 'Back to a provider that has answered already',
    to: WANTED,
    steps: [...toProvider, [follows('Ada'), ARRIVED], [goesBack, AT_PROVIDER], [follows('Ada'), ARRIVED]],
  },
];

const PASSKEYS: Sight = page('passkeys/list', 'pages.passkeys/list.add');
const CODES: Sight = page('mfa/recovery-codes', 'pages.mfa/recovery-codes.done');
const removesPasskey: Act = async ({ app }) => {
  const { items } = await app.authTuna.users.list();
  const id = items[0]?.id ?? '';
  const [passkey] = await app.authTuna.passkeys.list(id);
  await app.authTuna.passkeys.delete(id, passkey?.id ?? '', SYSTEM);
};

const BY_PASSKEY: readonly Flow[] = [
  {
    name: 'a passkey: added, canceled, right, removed elsewhere',
    to: WANTED,
    needsScripts: true,
    given: first(hasAccount, hasAuthenticator),
    steps: [
      ...opensSecurity,
      [follows('pages.account/security.manage + account.passkeys'), PASSKEYS],
      [presses('pages.passkeys/list.add'), says(CODES, 'notices.passkey_added')],
      [follows('pages.mfa/recovery-codes.done'), PASSKEYS],
      [presses('account.signOut'), signedOut],
      [opens(WANTED), LOGIN],
      [first(cancelsPasskeys(true), pressesHere('passkey.signIn')), says(LOGIN, 'passkey.canceled')],
      [first(cancelsPasskeys(false), presses('passkey.signIn')), ARRIVED],
      [follows('My account'), SECURITY],
      [presses('account.signOut'), signedOut],
      [opens(WANTED), LOGIN],
      [
        first(removesPasskey, pressesHere('passkey.signIn + common.lastUsed')),
        says(LOGIN, 'passkey.unknown'),
      ],
      [signsIn(), ARRIVED],
    ],
  },
];

const CHALLENGE = page('mfa/challenge');
const hasApp: Act = async ({ app, kept }) => {
  const { browser } = await app.signedIn(EMAIL);
  const { secret, recoveryCodes } = await enrolTotp(app, browser);
  kept.set('secret', secret).set('recovery code', recoveryCodes[0] ?? '');
  app.clock.advance({ minutes: 1 });
};
const appCode = ({ app, kept }: Walk) => totpCode(kept.get('secret') ?? '', app.clock);

const SECOND_STEP: readonly Flow[] = [
  {
    name: 'the code of an app: wrong, too late, right',
    to: WANTED,
    given: hasApp,
    steps: [
      [opens(WANTED), LOGIN],
      [signsIn(), CHALLENGE],
      [fills({ 'fields.totp': '000000' }), says(CHALLENGE, 'problems.invalid_code')],
      [
        first(waits({ minutes: 11 }), fills({ 'fields.totp': appCode })),
        says(LOGIN, 'notices.sign_in_expired'),
      ],
      [signsIn(), CHALLENGE],
      [fills({ 'fields.totp': appCode }), ARRIVED],
    ],
  },
  {
    name: 'a recovery code: wrong, right',
    to: WANTED,
    given: hasApp,
    steps: [
      [opens(WANTED), LOGIN],
      [signsIn(), CHALLENGE],
      [unfolds('pages.mfa/challenge.lost'), { ...CHALLENGE, on: 'pages.mfa/challenge.useRecovery' }],
      [
        fills({ 'fields.recoveryCode': 'AAAA-AAAA-AAAA-AAAA' }),
        { ...says(CHALLENGE, 'problems.invalid_code'), on: 'pages.mfa/challenge.useRecovery' },
      ],
      [fills({ 'fields.recoveryCode': ({ kept }) => kept.get('recovery code') ?? '' }), ARRIVED],
    ],
  },
];

const STEP_UP = page('auth/step-up');
const CHANGE_EMAIL = page('auth/change-email');
const MANAGE = page('mfa/manage', 'pages.mfa/manage.setUp: pages.mfa/manage.app');
const NEW_EMAIL = 'ada@new.example';

const ACCOUNT: readonly Flow[] = [
  {
    name: 'a change that asks for a fresh proof',
    to: '/auth/change-email',
    given: hasAccount,
    steps: [
      ...opensSecurity,
      [first(waits({ minutes: 11 }), follows('pages.account/security.change + fields.email')), STEP_UP],
      [fills({ 'fields.password': 'not the password at all' }), says(STEP_UP, 'problems.wrong_password')],
      [fills({ 'fields.password': PASSWORD }), CHANGE_EMAIL],
    ],
  },
  {
    name: 'a change of address',
    to: '/account/security',
    given: hasAccount,
    steps: [
      ...opensSecurity,
      [follows('pages.account/security.change + fields.email'), CHANGE_EMAIL],
      [
        fills({ 'fields.newEmail': EMAIL }),
        says(CHANGE_EMAIL, 'problems.invalid_input', 'problems.same_email'),
      ],
      [
        fills({ 'fields.newEmail': NEW_EMAIL }),
        { title: 'messages.email_change_requested.title', on: 'common.continue' },
      ],
      [opensMail('/auth/change-email/confirm', NEW_EMAIL), page('auth/confirm-email-change')],
      [
        presses('pages.auth/confirm-email-change.submit'),
        { title: 'messages.email_changed.title', on: 'common.continue' },
      ],
      [follows('common.continue'), SECURITY],
    ],
  },
  {
    name: 'a change of password',
    to: '/account/security',
    given: hasAccount,
    steps: [
      ...opensSecurity,
      [follows('pages.account/security.change + fields.password'), page('auth/change-password')],
      [
        fills({ 'fields.currentPassword': 'not the password at all', 'fields.newPassword': NEW_PASSWORD }),
        says(page('auth/change-password'), 'problems.wrong_password'),
      ],
      [
        fills({ 'fields.currentPassword': PASSWORD, 'fields.newPassword': NEW_PASSWORD }),
        says(SECURITY, 'notices.password_changed'),
      ],
    ],
  },
  {
    name: 'a second factor: added and removed',
    to: '/auth/mfa/manage',
    given: hasAccount,
    steps: [
      ...opensSecurity,
      [follows('pages.account/security.turnOn + pages.account/security.twoStep'), page('mfa/begin')],
      [presses('pages.mfa/begin.submit'), page('mfa/setup')],
      [fills({ 'fields.totp': '000000' }), says(page('mfa/setup'), 'problems.invalid_code')],
      [first(copies('#secret', 'secret'), fills({ 'fields.totp': appCode })), CODES],
      [follows('pages.mfa/recovery-codes.done'), SECURITY],
      [
        follows('pages.account/security.manage + pages.account/security.twoStep'),
        { ...MANAGE, on: 'pages.mfa/manage.removeApp: pages.mfa/manage.app' },
      ],
      [
        unfolds('pages.mfa/manage.removeApp: pages.mfa/manage.app'),
        { ...MANAGE, on: 'pages.mfa/manage.removeAppSubmit: pages.mfa/manage.app' },
      ],
      [
        presses('pages.mfa/manage.removeAppSubmit: pages.mfa/manage.app'),
        says(MANAGE, 'notices.app_removed'),
      ],
    ],
  },
  {
    name: 'a provider: linked and unlinked',
    to: '/account/security',
    given: hasAccount,
    steps: [
      ...opensSecurity,
      [presses(`pages.account/security.link + ${PROVIDER_NAME}`), AT_PROVIDER],
      [follows('Ada'), says(SECURITY, ['notices.provider_linked', { provider: PROVIDER_NAME }])],
      [
        unfolds(`pages.account/security.unlink: ${PROVIDER_NAME}`),
        {
          ...says(SECURITY, ['notices.provider_linked', { provider: PROVIDER_NAME }]),
          on: `pages.account/security.unlink: ${PROVIDER_NAME}`,
        },
      ],
      [
        presses(`pages.account/security.unlink: ${PROVIDER_NAME}`),
        says(SECURITY, ['notices.provider_unlinked', { provider: PROVIDER_NAME }]),
      ],
    ],
  },
  {
    name: 'other devices: one signed out, then all',
    to: '/account/security',
    given: async (person) => {
      const { app } = person;
      await hasAccount(person);
      for (const system of [
        'Windows NT 10.0; Win64; x64',
        'X11; Linux x86_64',
        'Macintosh; Intel Mac OS X 10.15',
      ])
        await app
          .browser({ userAgent: `Mozilla/5.0 (${system}; rv:140.0) Gecko/20100101 Firefox/140.0` })
          .post('/auth/login', { login: EMAIL, password: PASSWORD });
    },
    steps: [
      ...opensSecurity,
      [
        presses('pages.account/security.end: Firefox on Windows'),
        says(SECURITY, ['notices.session_ended', { device: 'Firefox on Windows' }]),
      ],
      [
        unfolds('pages.account/security.endOthers'),
        {
          ...says(SECURITY, ['notices.session_ended', { device: 'Firefox on Windows' }]),
          on: 'pages.account/security.endOthersSubmit',
        },
      ],
      [presses('pages.account/security.endOthersSubmit'), says(SECURITY, 'notices.other_sessions_ended')],
    ],
  },
  {
    name: 'deleting the account, and a change of mind',
    to: '/account/data',
    given: hasAccount,
    steps: [
      [opens('/account/data'), LOGIN],
      [signsIn(), page('account/data', 'pages.account/data.delete')],
      [unfolds('pages.account/data.delete'), page('account/data', 'pages.account/data.deleteNow')],
      [
        presses('pages.account/data.deleteNow'),
        says(page('account/data', 'pages.account/data.keep'), 'notices.deletion_requested'),
      ],
      [opensMail('/account/data'), page('account/data', 'pages.account/data.keep')],
      [
        presses('pages.account/data.keep'),
        says(page('account/data', 'pages.account/data.delete'), 'notices.deletion_canceled'),
      ],
    ],
  },
  {
    name: 'signing out, and in again',
    to: WANTED,
    given: hasAccount,
    steps: [
      [opens(WANTED), LOGIN],
      [signsIn(), ARRIVED],
      [follows('My account'), SECURITY],
      [presses('account.signOut'), signedOut],
      [opens(WANTED), LOGIN],
      [signsIn(), ARRIVED],
    ],
  },
];

const ORG = 'Acme';
const JOIN = (on: Text): Sight => ({ title: ['pages.orgs/accept.title', { organization: ORG }], on });
const ACME: Sight = { title: ORG, on: 'pages.orgs/organization.all' };
const isInvited: Act = async ({ app: { authTuna } }) => {
  const owner = await authTuna.users.create({ email: 'owner@acme.example', emailVerified: true });
  const { id } = await authTuna.orgs.create({ name: ORG }, as(owner.id));
  await authTuna.orgs.invite(`org:${id}`, { email: EMAIL, role: 'org_member' }, as(owner.id));
};

const INVITED: readonly Flow[] = [
  {
    name: 'an invitation, as somebody who has an account',
    to: /^\/orgs\/[\w-]+$/,
    given: first(hasAccount, isInvited),
    steps: [
      [opensMail('/orgs/invitations/accept'), JOIN('common.signIn')],
      [follows('common.signIn'), LOGIN],
      [signsIn(), JOIN('pages.orgs/accept.submit')],
      [presses('pages.orgs/accept.submit'), says(ACME, 'notices.joined')],
    ],
  },
  {
    name: 'an invitation, as a newcomer',
    to: /^\/orgs\/[\w-]+$/,
    given: isInvited,
    steps: [
      [opensMail('/orgs/invitations/accept'), JOIN('pages.orgs/accept.signUpSubmit')],
      [
        fills({ 'fields.password': 'passwordpassword' }),
        says(JOIN('pages.orgs/accept.signUpSubmit'), 'problems.weak_password', 'problems.password_breached'),
      ],
      [fills({ 'fields.password': PASSWORD }), says(ACME, 'notices.joined')],
    ],
  },
];

const FLOWS = [
  ...SIGNING_UP,
  ...BY_PASSWORD,
  ...BY_MAIL,
  ...BY_PROVIDER,
  ...BY_PASSKEY,
  ...SECOND_STEP,
  ...ACCOUNT,
  ...INVITED,
];

/** All looks, so that a look and its opposite stand at mirrored places. */
const LOOKS: readonly Look[] = [true, false].flatMap((scripts) =>
  ([360, 1280] as const).flatMap((width) =>
    (['light', 'dark'] as const).flatMap((colorScheme) =>
      (['en', 'de'] as const).map((locale) => ({ scripts, width, colorScheme, locale })),
    ),
  ),
);

/** One look, two opposite ones, or all; the first changes from flow to flow. */
function looksFor({ needsScripts }: Flow, index: number): readonly Look[] {
  const looks = LOOKS.filter(({ scripts }) => scripts || needsScripts !== true);
  if (process.env.WALK === 'all') return looks;
  const half = looks.length / 2;
  const pair = [looks[index % half], looks[looks.length - 1 - (index % half)]] as Look[];
  return process.env.WALK === 'pairs' ? pair : pair.slice(index % 2, (index % 2) + 1);
}

describe.runIf(inject('dialect') === 'sqlite')('a person finds the way through', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openChromium();
  });
  afterAll(() => browser.close());

  const walks = FLOWS.flatMap((flow, index) =>
    looksFor(flow, index).map((look) => {
      const { scripts, width, colorScheme, locale } = look;
      const name = `${flow.name} (${width}, ${colorScheme}, ${locale}${scripts ? '' : ', no scripts'})`;
      return { name, flow, look };
    }),
  );
  test.each(walks)('$name', ({ flow, look }) => walk(flow, look, browser));
});
