// Shows, over all routes that mail what a person asks for, that a page which announces a message has one in the outbox, and that a message
// which is not sent has a line in the log and a time on the page.
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { type MockProvider, startMockProvider, TestClock } from '../../../src/testing/index.js';
import { PASSWORD } from '../../support/app.js';
import { type MailedApp, startMailedApp } from '../../support/mailed-app.js';
import { type OpenedPage, PageVisitor } from '../../support/page-visitor.js';
import { as } from '../../support/people.js';

const UNLIMITED = { limit: 10_000, windowSeconds: 60 };

/** A visitor who asks for a mail, and can ask again. */
type Asking = (app: MailedApp, email: string) => Promise<() => Promise<OpenedPage>>;

const byForm =
  (
    path: string,
    fields: (email: string) => Record<string, string>,
    user?: { isConfirmed: boolean },
  ): Asking =>
  async (app, email) => {
    if (user !== undefined)
      await app.authTuna.users.create({ email, password: PASSWORD, emailVerified: user.isConfirmed });
    const visitor = app.visitor();
    return async () => visitor.send(await visitor.open(path), fields(email));
  };

const changeOfAddress: Asking = async (app, email) => {
  const visitor = new PageVisitor((await app.signedIn(`old-${email}`)).browser);
  return async () => visitor.send(await visitor.open('/auth/change-email'), { newEmail: email });
};

/** Somebody whose address the provider has not proved. */
const unprovedAt =
  (mock: MockProvider): Asking =>
  async (app, email) => {
    const visitor = app.visitor();
    return async () => {
      mock.signInAs({ email, emailVerified: false });
      const begun = await visitor.browser.get('/auth/social/mock/login');
      const sent = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' });
      return visitor.open((sent.headers.get('location') ?? '').slice(app.url.length));
    };
  };

const CONFIRMED = { isConfirmed: true };
const email = (address: string) => ({ email: address });
const asked = (mock: MockProvider): Readonly<Record<string, Asking>> => ({
  'POST /auth/signup': byForm('/auth/signup', (address) => ({ email: address, password: PASSWORD })),
  'POST /auth/login': byForm('/auth/login', (address) => ({ login: address, password: PASSWORD }), {
    isConfirmed: false,
  }),
  'POST /auth/verify-email/resend': byForm('/auth/verify-email', email, CONFIRMED),
  'POST /auth/forgot-password': byForm('/auth/forgot-password', email, CONFIRMED),
  'POST /auth/change-email': changeOfAddress,
  'POST /auth/passwordless/link': byForm('/auth/passwordless/link', email, CONFIRMED),
  'POST /auth/passwordless/code': byForm('/auth/passwordless/code', email, CONFIRMED),
  'GET /auth/social/:provider/callback': unprovedAt(mock),
});
/** Their pages announce nothing: the invitation stands in the list, with its button to send it again. */
const INVITING = /^POST \/orgs\/:orgId\/(.*\/)?invitations(\/:id\/resend)?$/;

/** The sentences that announce a mail, by the texts of pages, messages and notices. */
function announcements(): string[] {
  const texts = JSON.parse(
    readFileSync(new URL('../../../templates/locales/en.json', import.meta.url), 'utf8'),
  ) as Record<string, object>;
  const all = (value: unknown): string[] =>
    typeof value === 'string' ? [value] : Object.values(value as object).flatMap(all);
  return [texts.pages, texts.messages, texts.notices]
    .flatMap(all)
    .filter((text) => /^We sent|on its way/.test(text) && !text.startsWith('Enter'));
}

const saysOf = (page: OpenedPage, to: string, text: string) =>
  page.html.replaceAll('&#x27;', "'").includes(text.replaceAll('{email}', to));

test('each page that announces a message has one in the outbox; otherwise it says when to ask again, and the log says why (EM-8, LG-3)', async () => {
  const clock = new TestClock();
  const mock = await startMockProvider({ clock });
  onTestFinished(() => mock.close());
  const app = await startMailedApp(
    {
      social: { providers: [mock.provider] },
      rateLimits: { mailNetwork: UNLIMITED, mailAddress: { limit: 1, windowSeconds: 3600 } },
    },
    { clock },
  );
  const { authTuna, logger } = app;
  const ways = asked(mock);
  const mailing = authTuna
    .routes()
    .filter(({ summary }) =>
      /^(Mail an?|Mail the|Invite a mailbox|Ask for a change of the own address)\b/.test(summary),
    )
    .map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(mailing.length).toBeGreaterThan(6);
  expect(mailing.filter((each) => ways[each] === undefined && !INVITING.test(each))).toEqual([]);

  const claims = announcements();
  const heard = new Set<string>();
  const refusals = () =>
    logger.lines.filter(({ message }) => message.startsWith('A mail that was asked for'));
  for (const [route, asking] of Object.entries(ways)) {
    const to = `${route.replace(/\W+/g, '-').toLowerCase()}@example.com`;
    const ask = await asking(app, to);
    const first = await ask();
    const said = claims.filter((text) => saysOf(first, to, text));
    for (const text of said) heard.add(text);
    expect([route, said.length > 0, (await app.mailsTo(to)).length]).toEqual([route, true, 1]);

    for (const [seconds, why] of [
      [10, 'less than a minute ago'],
      [120, 'rateLimits.mailAddress'],
    ] as const) {
      clock.advance({ seconds });
      const before = refusals().length;
      const again = await ask();
      const time = /[Pp]lease try again in \d+ \w+|ask again in \d+ \w+/.test(again.html);
      const lines = refusals().slice(before);
      expect([route, why, time, (await app.mailsTo(to)).length]).toEqual([route, why, true, 1]);
      expect([route, lines.map(({ message }) => message.includes(why))]).toEqual([route, [true]]);
    }
  }
  // An invitation is mailed at once, and again by its button.
  const owner = await app.signedIn('owner@example.com');
  const { id } = await authTuna.orgs.create({ name: 'Acme' }, as(owner.user.id));
  const visitor = new PageVisitor(owner.browser);
  const { csrfToken } = await visitor.open(`/orgs/${id}`);
  const to = 'new@example.com';
  await visitor.postFields(`/orgs/${id}/invitations`, { csrfToken, email: to, role: 'org_member' });
  expect(await app.mailsTo(to)).toHaveLength(1);
  const [invitation] = (await authTuna.orgs.listInvitations(`org:${id}`)).items;
  await visitor.postFields(`/orgs/${id}/invitations/${invitation?.id}/resend`, { csrfToken });
  expect(await app.mailsTo(to)).toHaveLength(2);
  // Each sentence of the texts that announces a mail was read above, but for the one that follows a second request.
  expect(claims.filter((text) => !heard.has(text))).toEqual([]);
}, 180_000);
