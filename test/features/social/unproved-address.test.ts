// Shows that a person whose provider does not prove an address gets in by one mail, and that nobody is kept out of an own address.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD } from '../../support/app.js';
import { linkIn } from '../../support/mailed-app.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { startSocialApp } from '../../support/social.js';

const ADA = 'ada@example.com';
const CLAIMED = { sub: 'ada-1', email: ADA, email_verified: false };
const WANTED = '/public?tab=1';

async function start() {
  const mailbox = new TestMailbox();
  const app = await startSocialApp({ mail: { from: 'App <app@example.com>', transport: mailbox } });
  return {
    ...app,
    async mails() {
      await app.authTuna.mailer.deliver();
      return mailbox.mails.filter(({ to }) => to === ADA);
    },
    /** Presses the provider's button as this person; the page at which that ends. */
    async enter(visitor: PageVisitor, person = CLAIMED) {
      const query = `?returnTo=${encodeURIComponent(WANTED)}`;
      return visitor.open(await app.toCallback(visitor.browser, person, query));
    },
    visitor: () => new PageVisitor(app.browser()),
  };
}

test('one press on the mailed link confirms the address, and from then on the provider signs in (OA-7)', async () => {
  const app = await start();
  const visitor = app.visitor();
  expect((await app.enter(visitor)).html).toContain(`We sent a message to ${ADA}`);
  // Before the mail is opened, the button sends it again.
  app.clock.advance({ minutes: 2 });
  expect((await app.enter(visitor)).html).toContain(`We sent a message to ${ADA}`);
  const [, second] = await app.mails();
  expect(await app.mails()).toHaveLength(2);
  if (second === undefined) throw new Error('no second mail');
  const link = await visitor.open(linkIn(second, '/auth/verify-email'));
  expect(link.html).not.toContain('type="password"');
  const confirmed = await visitor.submit(link);
  expect([confirmed.status, confirmed.headers.get('location')]).toEqual([303, WANTED]);
  expect((await visitor.browser.get('/me')).status).toBe(200);
  const elsewhere = app.visitor();
  expect((await app.enter(elsewhere)).status).toBe(200);
  expect(await (await elsewhere.browser.get('/me')).json()).toMatchObject({ email: ADA });
});

test('an unproved address that has an account ends at the same page, and its owner is told by mail (LG-3)', async () => {
  const app = await start();
  const user = await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  const visitor = app.visitor();
  expect((await app.enter(visitor)).html).toContain(`We sent a message to ${ADA}`);
  expect((await app.mails()).map(({ subject }) => subject)).toEqual(['You already have an account']);
  expect(await app.authTuna.social.list(user.id)).toEqual([]);
  expect((await visitor.browser.get('/me')).status).toBe(401);
});

test('an unconfirmed account of a stranger does not keep out the owner of a proved address (OA-6, EM-11)', async () => {
  const app = await start();
  const { id } = await app.authTuna.users.create({ email: ADA, password: PASSWORD }, SYSTEM);
  const owner = app.visitor();
  const page = await app.enter(owner, { ...CLAIMED, email_verified: true });
  expect(page.html).toContain(`We sent a message to ${ADA}`);
  expect(await app.authTuna.social.list(id)).toEqual([]);
  const [mail] = await app.mails();
  if (mail === undefined) throw new Error('no mail');
  const link = await owner.open(linkIn(mail, '/auth/verify-email'));
  const newPassword = 'plain umbrella quartz seventeen';
  const { csrfToken, returnTo = '' } = link.fields;
  const claimed = await owner.postFields('/auth/verify-email', {
    csrfToken: csrfToken ?? '',
    returnTo,
    newPassword,
  });
  expect(claimed.status).toBe(303);
  const login = (password: string) => app.browser().post('/auth/login', { login: ADA, password });
  expect([(await login(PASSWORD)).status, (await login(newPassword)).status]).toEqual([401, 200]);
});
