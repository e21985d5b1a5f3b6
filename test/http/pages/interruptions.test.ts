// Shows where a person ends whose way in is interrupted, and what the page says: each way in times each interruption, as a browser without
// scripts. No cell is an error page that leads nowhere, and none says something that did not happen.
import { expect, test } from 'vitest';
import { leadsOn, type OpenedPage, toldBy } from '../../support/page-visitor.js';
import { type Step, startPort, WAYS, type Way, type WayName } from '../../support/ways-in.js';

const INTERRUPTIONS = {
  cancel: (step: Step) => step.cancel(),
  expiry: async (step: Step, advance: (seconds: number) => void) => {
    advance(step.seconds);
    return (step.late ?? step.finish)();
  },
  back: async (step: Step) => {
    await step.finish();
    return step.finish();
  },
  'second tab': async (step: Step) => {
    const second = await step.inSecondTab();
    await step.finish();
    return second.finish();
  },
  'second device': (step: Step) => step.elsewhere(),
  'session gone': async (step: Step) => {
    await step.endSession();
    return step.finish();
  },
} as const;
type Interruption = keyof typeof INTERRUPTIONS;

/** Where one ends; what the page says, heading first; and on a page without a form, where its button leads. */
type Cell = readonly [at: string, says: string, on?: string];

const LOGIN = '/auth/login?returnTo=%2Fwanted';
const ARRIVED: Cell = ['/wanted', 'Welcome'];
const OPEN_TOO_LONG = 'The form was open for too long. Please send it again.';
const NO_COOKIE =
  'The form was open for too long, or your browser keeps no cookies for this site. Please send it again. If that does not help, allow cookies.';
const TOO_OLD = 'This link is too old. Please ask for a new one.';
const NOT_HERE =
  'This browser no longer has the link. Open it in our message once more, or ask for a new one.';
const USED =
  'This link was used already, or a newer one has replaced it. If you still need one, ask for a new one.';
const OVER = 'This invitation is no longer open';
const NO_TOOL = 'No tool waits for this code. Check what you typed, or have the tool show a new one.';

const atProvider = (id: string): Record<Interruption, Cell> => ({
  cancel: [`/auth/social/${id}/callback`, 'Sign-in canceled', LOGIN],
  expiry: [`/auth/social/${id}/callback`, 'Signing in took too long', LOGIN],
  back: ARRIVED,
  'second tab': ARRIVED,
  'second device': [`/auth/social/${id}/callback`, 'This sign-in began elsewhere', '/auth/login'],
  'session gone': [`/auth/social/${id}/callback`, 'This sign-in began elsewhere', '/auth/login'],
});

const TABLE: Record<WayName, Record<Interruption, Cell>> = {
  password: {
    cancel: [LOGIN, 'Sign in'],
    expiry: ['/auth/login', `Sign in / ${OPEN_TOO_LONG}`],
    back: ARRIVED,
    'second tab': ARRIVED,
    'second device': ['/auth/login?returnTo=/wanted', 'Sign in'],
    'session gone': ['/auth/login', `Sign in / ${NO_COOKIE}`],
  },
  'sign-up': {
    cancel: [LOGIN, 'Sign in'],
    expiry: ['/auth/verify-email', `Check your inbox / ${TOO_OLD}`],
    back: [
      '/auth/done/email_confirmed_already?returnTo=%2Fwanted',
      'Confirmed already / Address confirmed. Welcome!',
      '/wanted',
    ],
    'second tab': [
      '/auth/done/email_confirmed_already?returnTo=%2Fwanted',
      'Confirmed already / Address confirmed. Welcome!',
      '/wanted',
    ],
    'second device': ['/auth/verify-email', 'Confirm your email address'],
    'session gone': ['/auth/verify-email', `Check your inbox / ${NOT_HERE}`],
  },
  'magic link': {
    cancel: [LOGIN, 'Sign in'],
    expiry: ['/auth/passwordless/link/consume', `Sign in by email / ${TOO_OLD}`],
    back: ARRIVED,
    'second tab': ARRIVED,
    'second device': ['/auth/passwordless/link/open', 'Continue signing in'],
    'session gone': ['/auth/passwordless/link/consume', `Sign in by email / ${NOT_HERE}`],
  },
  'mailed code': {
    cancel: [LOGIN, 'Sign in'],
    expiry: [
      '/auth/passwordless/code/consume',
      'Enter your code / This code has expired. Please ask for a new one.',
    ],
    back: ARRIVED,
    'second tab': ARRIVED,
    'second device': ['/auth/passwordless/code?returnTo=%2Fwanted', 'Sign in by email'],
    'session gone': ['/auth/passwordless/code/consume', `Enter your code / ${NO_COOKIE}`],
  },
  'forgotten password': {
    cancel: [LOGIN, 'Sign in'],
    expiry: ['/auth/reset-password', `Forgot your password? / ${TOO_OLD}`],
    back: ['/auth/reset-password', `Forgot your password? / ${USED}`],
    'second tab': ['/auth/reset-password', `Forgot your password? / ${USED}`],
    'second device': ['/auth/reset-password', 'Choose a new password'],
    'session gone': ['/auth/reset-password', `Forgot your password? / ${NOT_HERE}`],
  },
  provider: atProvider('mock'),
  'provider sign-up': {
    cancel: [LOGIN, 'Sign in'],
    expiry: ['/auth/social/sign-up', 'Signing in took too long', LOGIN],
    back: ARRIVED,
    'second tab': ARRIVED,
    'second device': ['/auth/social/sign-up', 'This sign-in began elsewhere', '/auth/login'],
    'session gone': ['/auth/social/sign-up', 'This sign-in began elsewhere', LOGIN],
  },
  'single sign-on': atProvider('sso-…'),
  passkey: {
    cancel: ['/auth/login?returnTo=/wanted', 'Sign in'],
    expiry: ['/auth/login?returnTo=/wanted', 'Sign in / The passkey was not accepted.'],
    back: ['/auth/login?returnTo=/wanted', 'Sign in / The passkey was not accepted.'],
    'second tab': ARRIVED,
    'second device': ['/auth/login?returnTo=/wanted', 'Sign in'],
    'session gone': ['/auth/login?returnTo=/wanted', 'Sign in / The passkey was not accepted.'],
  },
  'second factor': {
    cancel: [LOGIN, 'Sign in'],
    expiry: [LOGIN, 'Sign in / Signing in took too long. Please start again.'],
    back: ARRIVED,
    'second tab': ARRIVED,
    'second device': [LOGIN, 'Sign in'],
    'session gone': [
      LOGIN,
      'Sign in / Your browser did not keep this sign-in. Please start again, and allow cookies for this site.',
    ],
  },
  invitation: {
    cancel: ['/orgs/invitations/accept', OVER, '/'],
    expiry: ['/orgs/invitations/accept', 'This link is too old', '/auth/login'],
    back: ['/orgs/…', 'Acme'],
    'second tab': ['/orgs/…', 'Acme'],
    'second device': [
      '/orgs/invitations/accept',
      'Join Acme',
      '/auth/login?returnTo=%2Forgs%2Finvitations%2Faccept',
    ],
    'session gone': [
      '/orgs/invitations/accept',
      'You were signed out',
      '/auth/login?returnTo=%2Forgs%2Finvitations%2Faccept',
    ],
  },
  'invited newcomer': {
    cancel: ['/orgs/invitations/sign-up', OVER, '/auth/login'],
    expiry: ['/orgs/invitations/accept', 'This link is too old', '/auth/login'],
    back: ['/orgs/…', 'Acme'],
    'second tab': ['/orgs/…', 'Acme'],
    'second device': ['/orgs/invitations/accept', 'Join Acme'],
    'session gone': ['/orgs/invitations/sign-up', 'Please open the link again', '/auth/login'],
  },
  'device approval': {
    cancel: ['/auth/device/deny?user_code=…', 'The tool was refused', '/account/security'],
    expiry: ['/auth/device?user_code=…&confirmed=again', `Connect a tool / ${NO_TOOL}`],
    back: ['/auth/device/approve?user_code=…', 'The tool is connected', '/account/security'],
    'second tab': ['/auth/device/approve?user_code=…', 'The tool is connected', '/account/security'],
    'second device': ['/auth/login?returnTo=%2Fauth%2Fdevice%3Fuser_code%3D…', 'Sign in'],
    'session gone': [
      '/auth/device/approve?user_code=…',
      'You were signed out',
      '/auth/login?returnTo=%2Fauth%2Fdevice%3Fuser_code%3D…',
    ],
  },
};

/** What must have happened where a page says so. */
const CLAIMS: readonly (readonly [said: RegExp, after: readonly Interruption[]])[] = [
  [/too (old|long)|expired/, ['expiry']],
  [/used already|already/, ['back', 'second tab']],
  [/began elsewhere|no longer has the link|open the link again/, ['second device', 'session gone']],
  [/signed out|keeps? no cookies|did not keep/, ['session gone']],
  [/canceled|refused|no longer open/, ['cancel']],
];

test('each way in, interrupted in each way, ends where the table says, tells the truth and leads on', async () => {
  const plain = await startPort();
  const ends: string[] = Object.values(WAYS).map((way) => way.ends);
  const signIns = plain.authTuna
    .routes()
    .filter(({ summary }) => /^(Sign in |Complete a sign-in|Make (an|the) account)/.test(summary))
    .map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(signIns.length).toBeGreaterThan(5);
  expect(signIns.filter((each) => !ends.includes(each))).toEqual([]);

  const found: Record<string, Record<string, Cell>> = {};
  const faults: string[] = [];
  for (const [name, { begin, options }] of Object.entries<Way>(WAYS)) {
    const port = options === undefined ? plain : await startPort(options);
    const { clock, mailbox, authTuna } = port;
    found[name] = {};
    for (const [what, interrupt] of Object.entries(INTERRUPTIONS)) {
      const email = `${name}-${what}@example.com`.replaceAll(' ', '-');
      const step = await begin(port, email);
      const mailsBefore = mailbox.mails.length;
      const page = await interrupt(step, (seconds) => clock.advance({ seconds }));
      const cell = cellOf(page, email);
      found[name][what] = cell;
      if (cell[0] !== '/wanted' && !leadsOn(page)) faults.push(`${name}, ${what}: leads nowhere`);
      // A cookie that is gone was kept for as long as the form may stay open, so its page may name both.
      for (const [said, after] of CLAIMS)
        if (said.test(cell[1].replace(NO_COOKIE, '')) && !after.includes(what as Interruption))
          faults.push(`${name}, ${what}: ${cell[1]}`);
      await authTuna.mailer.deliver();
      if (/on its way|We sent/.test(page.html) && mailbox.mails.length === mailsBefore)
        faults.push(`${name}, ${what}: announces a mail`);
    }
  }
  expect(found).toEqual(TABLE);
  expect(faults).toEqual([]);
}, 180_000);

/** A page as a cell, without what differs from one run to the next. */
function cellOf(page: OpenedPage, email: string): Cell {
  const even = (address: string) =>
    address
      .replace(/(callback)\?.*/, '$1')
      .replace(/sso-[\w-]{22}/, 'sso-…')
      .replace(/^(\/orgs\/)[\w-]{22}$/, '$1…')
      .replace(/(user_code(?:=|%3D))[B-Z]{4}-[B-Z]{4}/, '$1…');
  const says = toldBy(page)
    .join(' / ')
    .replace(/ [\w.@-]+@[\w.]+$/, '');
  const main = /<main[\s\S]*<\/main>/.exec(page.html)?.[0] ?? '';
  const on = main.includes('<form') ? undefined : /<a [^>]*href="([^"]+)"/.exec(main)?.[1];
  const cell = [even(page.address), says.replace(email, '')] as const;
  return on === undefined ? cell : [...cell, even(on.replaceAll('&#x3D;', '=').replaceAll('&amp;', '&'))];
}
