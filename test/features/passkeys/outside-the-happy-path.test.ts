// Shows what becomes of a passkey that is gone, that changed, or that is a second step without its owner noticing.
import { expect, test } from 'vitest';
import { Authenticator, type Forgery } from '../../support/authenticator.js';
import type { Browser } from '../../support/browser.js';
import { json } from '../../support/factors.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { PageVisitor } from '../../support/page-visitor.js';

const ONE_DEVICE = { flags: { be: false, bs: false } };
const SYNCED = { flags: { be: true, bs: true } };

async function withPasskey(forgery: Forgery) {
  const app = await startMailedApp();
  const { browser, user } = await app.signedIn();
  const authenticator = new Authenticator(app.url);
  const options = await json(browser.post('/auth/passkeys/register/options', {}), 200);
  const { passkey } = await json(
    browser.post('/auth/passkeys/register', authenticator.create(options, forgery)),
    201,
  );
  const signIn = async (by: Browser, used: Forgery, purpose: string) => {
    const begun = await json(by.post('/auth/passkeys/sign-in/options', { purpose }), 200);
    return by.post('/auth/passkeys/sign-in', { ...authenticator.get(begun, used), purpose });
  };
  return { app, browser, user, passkey, signIn };
}

test('a passkey that begins to sync keeps working, is recorded and mailed once, and does not go back (PK-5)', async () => {
  const { app, browser, user, signIn } = await withPasskey(ONE_DEVICE);
  for (const [by, purpose] of [
    [app.browser(), 'sign_in'],
    [browser, 'step_up'],
  ] as const) {
    app.clock.advance({ seconds: 1 });
    expect((await signIn(by, SYNCED, purpose)).status).toBe(200);
  }
  const { items } = await app.authTuna.audit.list({ type: 'passkey.synced' });
  expect(items.map(({ targetId }) => targetId)).toEqual([user.id]);
  const subjects = (await app.mailsTo(user.email)).map(({ subject }) => subject);
  expect(subjects.filter((subject) => subject === 'A passkey of yours is now synced')).toHaveLength(1);
  const back = await json(signIn(app.browser(), ONE_DEVICE, 'sign_in'), 401);
  expect(back).toMatchObject({ code: 'invalid_credentials', failure: 'wrong_backup_state' });
});

test('only a passkey that is gone is one to forget', async () => {
  const { app, browser, passkey, signIn } = await withPasskey(SYNCED);
  // Of another account: refused, and good all the same.
  const other = await app.signedIn('bob@example.com');
  const foreign = await json(signIn(other.browser, SYNCED, 'step_up'), 401);
  expect(foreign).toMatchObject({ failure: 'unknown_credential' });
  expect(foreign).not.toHaveProperty('isGone');
  expect((await browser.delete(`/auth/passkeys/${passkey.id}`)).status).toBe(204);
  const gone = await json(signIn(app.browser(), SYNCED, 'sign_in'), 401);
  expect(gone).toMatchObject({ failure: 'unknown_credential', isGone: true });
});

test('that a passkey becomes a second step is said before, and shown after', async () => {
  const { browser } = await withPasskey(SYNCED);
  const visitor = new PageVisitor(browser);
  const page = await visitor.open('/auth/passkeys/manage');
  expect(page.html).toContain('A passkey also becomes your second step');
  const { html } = await visitor.open('/account/security');
  expect(html).toContain('A passkey is asked for after your password. Recovery codes left: 0');
  expect(html).not.toContain('Turn on<span');
});
