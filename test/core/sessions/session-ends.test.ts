import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { enrolTotp, json } from '../../support/factors.js';
import { at, COOKIE, startSibling } from '../../support/sessions.js';

const NEW_PASSWORD = 'plain umbrella quartz seventeen';

interface Scene {
  app: TestInstance;
  mailbox: TestMailbox;
  userId: string;
  email: string;
  /** In which somebody who is signed in makes the change. */
  browser: Browser;
}

const tokenIn = (text: string | undefined) => /token=([\w.~-]+)/.exec(text ?? '')?.[1];

/** What ends sessions. Whoever makes the change in a browser stays signed in there, under a new cookie. */
const events: Record<string, { keepsOwn: boolean; make(scene: Scene): Promise<unknown> }> = {
  suspension: {
    keepsOwn: false,
    make: ({ app, userId }) => app.authTuna.users.suspend(userId, 'spam', SYSTEM),
  },
  deletion: { keepsOwn: false, make: ({ app, userId }) => app.authTuna.users.delete(userId, SYSTEM) },
  'a sign-out everywhere': {
    keepsOwn: false,
    make: ({ app, userId }) => app.authTuna.sessions.revokeAll(userId, SYSTEM),
  },
  'a password set by an administrator': {
    keepsOwn: false,
    make: ({ app, userId }) => app.authTuna.passwords.set(userId, NEW_PASSWORD, SYSTEM),
  },
  'a password reset by mail': {
    keepsOwn: false,
    async make({ app, mailbox, email }) {
      await app.browser().post('/auth/forgot-password', { email });
      await app.authTuna.mailer.deliver();
      const token = tokenIn(mailbox.latestTo(email)?.text);
      await json(app.browser().post('/auth/reset-password', { token, newPassword: NEW_PASSWORD }), 200);
    },
  },
  'an address set by an administrator': {
    keepsOwn: false,
    make: ({ app, userId }) => app.authTuna.users.update(userId, { email: 'moved@example.com' }, SYSTEM),
  },
  'a change of password': {
    keepsOwn: true,
    make: ({ browser }) =>
      json(
        browser.post('/auth/change-password', { currentPassword: PASSWORD, newPassword: NEW_PASSWORD }),
        200,
      ),
  },
  'the removal of a second factor': {
    keepsOwn: true,
    async make({ browser }) {
      const answer = await browser.delete('/auth/mfa/totp');
      expect(answer.status).toBe(204);
    },
  },
};

test.each(Object.keys(events))(
  '%s ends every session on every instance: at once where something changes, within V elsewhere (SS-11)',
  async (name) => {
    const event = events[name] as (typeof events)[string];
    const mailbox = new TestMailbox();
    const app = await startApp({ mail: { from: 'app@example.com', transport: mailbox } });
    const other = await startSibling(app);
    const { browser, user } = await app.signedIn('ada@example.com');
    const bystander = (await app.signedIn()).browser;
    if (name === 'the removal of a second factor') await enrolTotp(app, browser);
    // Three further sessions of the same person, and what both instances remember of all.
    const further: Browser[] = [];
    for (let i = 0; i < 3; i += 1) {
      const device = app.browser();
      const { token } = await app.authTuna.sessions.create(user.id, ['pwd', 'otp'], {
        ...SYSTEM,
        userAgent: device.userAgent,
      });
      device.jar.set(COOKIE, token);
      further.push(device);
    }
    for (const device of [browser, bystander, ...further])
      for (const instance of [app, other]) expect((await at(instance, device).get('/me')).status).toBe(200);
    const before = browser.stolen();

    const ending = event.keepsOwn ? further : [...further, before];
    await event.make({ app, mailbox, userId: user.id, email: user.email, browser });

    for (const device of ending) {
      for (const instance of [app, other]) {
        const answer = await at(instance, device).post('/me/x');
        expect(answer.status, 'unsafe').toBe(401);
      }
      expect((await at(app, device).get('/me')).status, 'the same instance').toBe(401);
    }
    app.clock.advance({ seconds: 10 });
    for (const device of ending)
      expect((await at(other, device).get('/me')).status, 'the other instance').toBe(401);
    if (event.keepsOwn) {
      expect(browser.cookieHeader).not.toBe(before.cookieHeader);
      expect((await browser.post('/me/x')).status).toBe(200);
      expect((await at(other, browser).post('/me/x')).status).toBe(200);
      expect(await (await before.post('/me/x')).json()).toMatchObject({ status: 401, code: 'superseded' });
    }
    for (const instance of [app, other])
      expect((await at(instance, bystander).post('/me/x')).status).toBe(200);
  },
);
