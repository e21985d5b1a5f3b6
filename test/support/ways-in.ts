import type { Express, Request, Response } from 'express';
import { onTestFinished } from 'vitest';
import type { AuthTuna } from '../../src/authtuna-interface.js';
import { type AuthTunaOptions, SYSTEM, type User } from '../../src/index.js';
import { startMockProvider, TestClock } from '../../src/testing/index.js';
import { PASSWORD } from './app.js';
import { Authenticator } from './authenticator.js';
import { enrolTotp, json } from './factors.js';
import { linkIn, type MailedApp, startMailedApp } from './mailed-app.js';
import { linkOf, type OpenedPage, type PageVisitor } from './page-visitor.js';
import { as } from './people.js';

/** Where each person wanted to go. */
export const WANTED = '/wanted';
const QUERY = `?returnTo=${WANTED}`;
const NEW_PASSWORD = 'plain umbrella quartz seventeen';

/** A person in the last step of a way in. */
export interface Step {
  /** Sends the form of this step, as it was opened; again, if it was sent before. */
  finish(): Promise<OpenedPage>;
  /** The same step in a second tab of the same browser. */
  inSecondTab(): Promise<{ finish(): Promise<OpenedPage> }>;
  /** What another browser of the person shows that opens the link or the address of this step. */
  elsewhere(): Promise<OpenedPage>;
  /** Turns back, by what the page or the other service offers; where nothing is offered, the step is taken back by others. */
  cancel(): Promise<OpenedPage>;
  /** Ends the session; before there is one, the browser loses its cookies. */
  endSession(): Promise<void>;
  /** How long the step lasts. */
  seconds: number;
  /** What the person does after that time; by default sends the form. */
  late?(): Promise<OpenedPage>;
}

export interface Port extends MailedApp {
  /** Answers for the mock provider, which the browser was sent to from this address. */
  backFrom(provider: Response_, as: string): Promise<string>;
  invitedTo: string;
  owner: string;
}
type Response_ = globalThis.Response;

/** An instance with every way in. */
export async function startPort(options: Partial<AuthTunaOptions> = {}): Promise<Port> {
  const clock = new TestClock();
  const mock = await startMockProvider({ clock });
  onTestFinished(() => mock.close());
  const unlimited = { limit: 10_000, windowSeconds: 60 };
  const records = new Map<string, string[][]>();
  const app = await startMailedApp(
    {
      ...options,
      social: { providers: [mock.provider], resolveTxt: async (name) => records.get(name) ?? [] },
      rateLimits: {
        signUp: unlimited,
        mailRequest: unlimited,
        mailToken: unlimited,
        mailNetwork: unlimited,
        passkey: unlimited,
        social: unlimited,
      },
    },
    { clock, routes: addWanted },
  );
  const { authTuna } = app;
  const owner = await authTuna.users.create({ email: 'owner@acme.example', emailVerified: true });
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner.id));
  const invitedTo = `org:${org.id}`;
  const { sso } = authTuna;
  const input = { scope: invitedTo, name: 'Acme', issuer: mock.issuer, clientId: 'mock-client' };
  const { id } = await sso.create(input, as(owner.id));
  const { record } = await sso.addDomain(id, 'acme.example', as(owner.id));
  records.set(record.name, [[record.value]]);
  await sso.verifyDomain(id, 'acme.example', as(owner.id));
  return {
    ...app,
    invitedTo,
    owner: owner.id,
    async backFrom(sent, email) {
      const query = email === 'cancel' ? 'as=cancel' : `email=${encodeURIComponent(email)}`;
      const back = await fetch(`${sent.headers.get('location')}&${query}`, { redirect: 'manual' });
      return (back.headers.get('location') ?? '').slice(app.url.length);
    },
  };
}

/** The page of the host that each person wants to see. */
function addWanted(app: Express, _authTuna: AuthTuna): void {
  app.get(WANTED, (req: Request, res: Response) => {
    res.type('html').send(`<h1>${req.user == null ? 'Not signed in' : `Welcome ${req.user.email}`}</h1>`);
  });
}

type Begin = (port: Port, email: string) => Promise<Step>;

export interface Way {
  /** The route that signs in, or where a person who is signed in decides. */
  ends: string;
  /** Goes the way down to its last step, for a person of its own. */
  begin: Begin;
  /** Options without which there is no such way. */
  options?: Partial<AuthTunaOptions>;
}

const person = ({ authTuna }: Port, email: string): Promise<User> =>
  authTuna.users.create({ email, password: PASSWORD, emailVerified: true });

/** A step whose form stands on a page. @param open opens the page, in any browser */
function formStep(
  visitor: PageVisitor,
  page: OpenedPage,
  open: (by: PageVisitor) => Promise<OpenedPage>,
  fields: Record<string, string> | (() => Record<string, string>),
  rest: Pick<Step, 'cancel' | 'seconds' | 'late'> & { other: PageVisitor },
): Step {
  const send = (from: OpenedPage) => visitor.send(from, typeof fields === 'function' ? fields() : fields);
  return {
    finish: () => send(page),
    async inSecondTab() {
      const tab = await open(visitor);
      return { finish: () => send(tab) };
    },
    elsewhere: () => open(rest.other),
    async endSession() {
      visitor.browser.jar.clear();
    },
    ...rest,
  };
}

const password: Begin = async (port, email) => {
  await person(port, email);
  const visitor = port.visitor();
  const open = (by: PageVisitor) => by.open(`/auth/login${QUERY}`);
  const page = await open(visitor);
  return formStep(
    visitor,
    page,
    open,
    { login: email, password: PASSWORD },
    {
      other: port.visitor(),
      seconds: 3601,
      async cancel() {
        return visitor.open(linkOf(await visitor.open(linkOf(page, 'Create an account')), 'Sign in'));
      },
    },
  );
};

const signUp: Begin = async (port, email) => {
  const visitor = port.visitor();
  const waiting = await visitor.send(await visitor.open(`/auth/signup${QUERY}`), {
    email,
    password: PASSWORD,
  });
  const link = linkIn(await port.mailTo(email), '/auth/verify-email');
  const open = (by: PageVisitor) => by.open(link);
  return formStep(
    visitor,
    await open(visitor),
    open,
    {},
    {
      other: port.visitor(),
      seconds: 24 * 3600 + 1,
      cancel: () => visitor.open(linkOf(waiting, 'Back to sign in')),
    },
  );
};

const magicLink: Begin = async (port, email) => {
  await person(port, email);
  const visitor = port.visitor();
  const sent = await visitor.send(await visitor.open(`/auth/passwordless/link${QUERY}`), { email });
  const link = linkIn(await port.mailTo(email), '/auth/passwordless/link/open');
  const open = (by: PageVisitor) => by.open(link);
  return formStep(
    visitor,
    await open(visitor),
    open,
    {},
    {
      other: port.visitor(),
      seconds: 601,
      cancel: async () =>
        visitor.open(linkOf(await visitor.open(linkOf(sent, 'Send another link')), 'Back to sign in')),
    },
  );
};

const mailedCode: Begin = async (port, email) => {
  await person(port, email);
  const visitor = port.visitor();
  const page = await visitor.send(await visitor.open(`/auth/passwordless/code${QUERY}`), { email });
  const code = /\b\d{6}\b/.exec((await port.mailTo(email)).text)?.[0] ?? '';
  const open = (by: PageVisitor) => by.open(`/auth/passwordless/code/enter${QUERY}`);
  return formStep(
    visitor,
    page,
    open,
    { code },
    {
      other: port.visitor(),
      seconds: 601,
      cancel: async () =>
        visitor.open(linkOf(await visitor.open(linkOf(page, 'Send a new code')), 'Back to sign in')),
    },
  );
};

const forgottenPassword: Begin = async (port, email) => {
  await person(port, email);
  const visitor = port.visitor();
  const sent = await visitor.send(await visitor.open(`/auth/forgot-password${QUERY}`), { email });
  const link = linkIn(await port.mailTo(email), '/auth/reset-password');
  const open = (by: PageVisitor) => by.open(link);
  return formStep(
    visitor,
    await open(visitor),
    open,
    { newPassword: NEW_PASSWORD },
    {
      other: port.visitor(),
      seconds: 1801,
      cancel: () => visitor.open(linkOf(sent, 'Back to sign in')),
    },
  );
};

/** A step that ends at the callback of a provider. @param begin goes to the provider, and returns its address */
async function providerStep(
  port: Port,
  email: string,
  begin: (by: PageVisitor) => Promise<Response_>,
): Promise<Step> {
  const visitor = port.visitor();
  const sent = await begin(visitor);
  const callback = await port.backFrom(sent, email);
  return {
    finish: () => visitor.open(callback),
    async inSecondTab() {
      const second = await port.backFrom(await begin(visitor), email);
      return { finish: () => visitor.open(second) };
    },
    elsewhere: () => port.visitor().open(callback),
    cancel: async () => visitor.open(await port.backFrom(sent, 'cancel')),
    async endSession() {
      visitor.browser.jar.clear();
    },
    seconds: 601,
  };
}

const provider: Begin = async (port, email) =>
  providerStep(port, email, (by) => by.browser.get(`/auth/social/mock/login${QUERY}`));

/** A newcomer whose account needs a username, which no provider proves. */
const providerSignUp: Begin = async (port, email) => {
  const visitor = port.visitor();
  const sent = await visitor.browser.get(`/auth/social/mock/login${QUERY}`);
  const page = await visitor.open(await port.backFrom(sent, email));
  const open = (by: PageVisitor) => by.open('/auth/social/sign-up');
  const username = email.replaceAll(/\W/g, '').slice(0, 32);
  return formStep(
    visitor,
    page,
    open,
    { username },
    {
      other: port.visitor(),
      seconds: 1801,
      cancel: () => visitor.open(linkOf(page, 'Back to sign in')),
    },
  );
};

const singleSignOn: Begin = async (port, email) =>
  providerStep(port, email.replace('example.com', 'acme.example'), async (by) => {
    const query = new URLSearchParams({
      email: email.replace('example.com', 'acme.example'),
      returnTo: WANTED,
    });
    const found = await by.open(`/auth/social/sso/login?${query}`);
    return by.browser.get(linkOf(found, 'Continue with Acme'));
  });

const secondFactor: Begin = async (port, email) => {
  const { browser } = await port.signedIn(email);
  const app = await enrolTotp(port, browser);
  const visitor = port.visitor();
  const page = await visitor.send(await visitor.open(`/auth/login${QUERY}`), {
    login: email,
    password: PASSWORD,
  });
  const open = (by: PageVisitor) => by.open(`/auth/mfa/challenge${QUERY}`);
  return formStep(visitor, page, open, () => ({ code: app.nextCode() }), {
    other: port.visitor(),
    seconds: 601,
    cancel: () => visitor.open(linkOf(page, 'Sign in another way')),
  });
};

/** Passkeys need a script; what it is told is what the page shows. */
const passkey: Begin = async (port, email) => {
  const { browser } = await port.signedIn(email);
  const authenticator = new Authenticator(port.url);
  const made = authenticator.create(await json(browser.post('/auth/passkeys/register/options', {}), 200));
  await json(browser.post('/auth/passkeys/register', made), 201);
  port.clock.advance({ seconds: 1 });
  const visitor = port.visitor();
  const page = await visitor.open(`/auth/login${QUERY}`);
  const purpose = 'sign_in';
  const begin = async () =>
    authenticator.get(await json(visitor.browser.post('/auth/passkeys/sign-in/options', { purpose }), 200));
  const answering = async (response: object) => {
    const answer = await visitor.browser.post('/auth/passkeys/sign-in', { ...response, purpose });
    if (answer.ok) return visitor.open(WANTED);
    const { detail } = (await answer.json()) as { detail: string };
    const notice = `<div class="notice" role="status"><p>${detail}</p></div>`;
    return { ...page, status: answer.status, html: page.html.replace('<main', `${notice}<main`) };
  };
  const response = await begin();
  return {
    finish: () => answering(response),
    async inSecondTab() {
      const second = await begin();
      return { finish: () => answering(second) };
    },
    elsewhere: () => port.visitor().open(`/auth/login${QUERY}`),
    cancel: () => visitor.open(`/auth/login${QUERY}`),
    async endSession() {
      visitor.browser.jar.clear();
    },
    seconds: 301,
  };
};

const invitation: Begin = async (port, email) => {
  const { user, browser } = await port.signedIn(email);
  browser.jar.clear();
  const { authTuna } = port;
  const { id } = await authTuna.orgs.invite(port.invitedTo, { email, role: 'org_member' }, as(port.owner));
  const link = linkIn(await port.mailTo(email), '/orgs/invitations/accept');
  const visitor = port.visitor();
  const login = await visitor.open(linkOf(await visitor.open(link), 'Sign in'));
  const page = await visitor.send(login, { login: email, password: PASSWORD });
  const open = (by: PageVisitor) => by.open(link);
  const step = formStep(
    visitor,
    page,
    open,
    {},
    {
      other: port.visitor(),
      seconds: 7 * 86_400 + 1,
      late: () => open(visitor),
      async cancel() {
        await authTuna.orgs.revokeInvitation(id, as(port.owner));
        return step.finish();
      },
    },
  );
  return { ...step, endSession: async () => void (await authTuna.sessions.revokeAll(user.id, SYSTEM)) };
};

const invitedNewcomer: Begin = async (port, email) => {
  const { authTuna } = port;
  const { id } = await authTuna.orgs.invite(port.invitedTo, { email, role: 'org_member' }, as(port.owner));
  const link = linkIn(await port.mailTo(email), '/orgs/invitations/accept');
  const visitor = port.visitor();
  const open = (by: PageVisitor) => by.open(link);
  const step = formStep(
    visitor,
    await open(visitor),
    open,
    { password: PASSWORD },
    {
      other: port.visitor(),
      seconds: 7 * 86_400 + 1,
      late: () => open(visitor),
      async cancel() {
        await authTuna.orgs.revokeInvitation(id, as(port.owner));
        return step.finish();
      },
    },
  );
  return step;
};

const deviceApproval: Begin = async (port, email) => {
  const { user, browser } = await port.signedIn(email);
  const visitor = port.visitor();
  for (const [name, value] of browser.jar) visitor.browser.jar.set(name, value);
  const { user_code: userCode } = await json(
    port.browser().post('/auth/device', { client_id: 'acme-cli' }),
    200,
  );
  const open = (by: PageVisitor) => by.open(`/auth/device?user_code=${userCode}`);
  const page = await open(visitor);
  const step = formStep(
    visitor,
    page,
    open,
    {},
    {
      other: port.visitor(),
      seconds: 901,
      async late() {
        const stepUp = await step.finish();
        return visitor.send(stepUp, { password: PASSWORD });
      },
      cancel: () => visitor.send({ ...page, action: page.action.replace('approve', 'deny') }),
    },
  );
  return { ...step, endSession: async () => void (await port.authTuna.sessions.revokeAll(user.id, SYSTEM)) };
};

export const WAYS = {
  password: { ends: 'POST /auth/login', begin: password },
  'sign-up': { ends: 'POST /auth/signup', begin: signUp },
  'magic link': { ends: 'POST /auth/passwordless/link/consume', begin: magicLink },
  'mailed code': { ends: 'POST /auth/passwordless/code/consume', begin: mailedCode },
  'forgotten password': { ends: 'POST /auth/reset-password', begin: forgottenPassword },
  provider: { ends: 'GET /auth/social/:provider/callback', begin: provider },
  'provider sign-up': {
    ends: 'POST /auth/social/sign-up',
    begin: providerSignUp,
    options: { signUp: { username: 'required' } },
  },
  'single sign-on': { ends: 'GET /auth/social/:provider/callback', begin: singleSignOn },
  passkey: { ends: 'POST /auth/passkeys/sign-in', begin: passkey },
  'second factor': { ends: 'POST /auth/mfa/verify', begin: secondFactor },
  invitation: { ends: 'POST /orgs/invitations/accept', begin: invitation },
  'invited newcomer': { ends: 'POST /orgs/invitations/sign-up', begin: invitedNewcomer },
  'device approval': { ends: 'POST /auth/device/approve', begin: deviceApproval },
} satisfies Record<string, Way>;
export type WayName = keyof typeof WAYS;
