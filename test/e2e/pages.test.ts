import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import axe from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { type AuthTunaOptions, SYSTEM } from '../../src/index.js';
import { PASSWORD } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { linkIn, startMailedApp } from '../support/mailed-app.js';

const SCREENSHOTS = new URL('./screenshots/', import.meta.url).pathname;
const ADA = 'ada@example.com';
const NEW_PASSWORD = 'plain umbrella quartz seventeen';
const SIZES = { phone: { width: 360, height: 740 }, desk: { width: 1280, height: 800 } };

/** A person at an instance: pages are looked at by axe and a camera, and whatever the browser complains about is collected. */
async function person(options: BrowserContextOptions, appOptions: Partial<AuthTunaOptions> = {}) {
  const app = await startMailedApp(appOptions);
  const browser = await launchChromium();
  const hasScripts = options.javaScriptEnabled !== false;
  const complaints: string[] = [];
  const open = async (): Promise<Page> => {
    const context = await browser.newContext({ baseURL: app.url, ...options });
    const page = await context.newPage();
    page.on('console', (message) => {
      // A refused form is a page with a status of its own, which the browser mentions.
      if (message.type() === 'error' && !/status of 4\d\d/.test(message.text()))
        complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (origin !== app.url && appOptions.humanCheckWidget?.origins?.includes(origin) !== true)
        complaints.push(`foreign: ${request.url()}`);
    });
    return page;
  };
  mkdirSync(SCREENSHOTS, { recursive: true });
  const look = async (page: Page, name: string): Promise<void> => {
    const kind = `${options.viewport?.width}-${options.colorScheme}`;
    await page.screenshot({ path: `${SCREENSHOTS}auth-${name}-${kind}.png`, fullPage: true });
    const wide = await page.evaluate(
      'document.documentElement.scrollWidth > document.documentElement.clientWidth',
    );
    if (wide) complaints.push(`${name}: scrolls sideways`);
    if (!hasScripts) return;
    await page.evaluate(`${axe.source}; 0`);
    const found = (await page.evaluate(
      "axe.run(document).then((r) => r.violations.map((v) => v.impact + ' ' + v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
    )) as string[];
    complaints.push(...found.map((fault) => `${name}: ${fault}`));
  };
  return { app, page: await open(), open, look, complaints };
}

/** Types into the field that has this label, reached by the Tab key alone. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 40; presses += 1) {
    await page.keyboard.press('Tab');
    const focused = await page.locator(':focus').first();
    if ((await focused.count()) === 0) continue;
    const label = await focused.evaluate(
      (element) =>
        (element as unknown as { labels?: { textContent: string }[]; textContent: string }).labels?.[0]
          ?.textContent ?? (element as unknown as { textContent: string }).textContent,
    );
    if (label.trim().startsWith(name)) return;
  }
  throw new Error(`the Tab key never reached ${name}`);
}

test('without scripts, on a phone, by keyboard alone: signing up, confirming, signing in', async () => {
  const { app, page, look, complaints } = await person({
    javaScriptEnabled: false,
    viewport: SIZES.phone,
    colorScheme: 'light',
  });
  const { keyboard } = page;
  await page.goto('/me');
  expect(new URL(page.url()).pathname).toBe('/auth/login');
  await look(page, 'login');
  await tabTo(page, 'Create an account');
  await keyboard.press('Enter');
  await page.waitForURL('**/auth/signup**');
  await look(page, 'signup');
  await tabTo(page, 'Email');
  await keyboard.type(ADA);
  await tabTo(page, 'Password');
  await keyboard.type('passwordpassword');
  await keyboard.press('Enter');
  await page.getByText('This password appears in known data leaks').first().waitFor();
  await look(page, 'signup-refused');
  expect(await page.getByLabel('Email').inputValue()).toBe(ADA);
  await tabTo(page, 'Password');
  await keyboard.type(PASSWORD);
  await keyboard.press('Enter');
  await page.getByText(`We sent a message to ${ADA}`).waitFor();
  await look(page, 'waiting');

  await page.goto(linkIn(await app.mailTo(ADA), '/auth/verify-email'));
  expect(page.url()).toBe(`${app.url}/auth/verify-email`);
  await look(page, 'verify-email');
  await tabTo(page, 'Confirm address');
  await keyboard.press('Enter');
  await page.waitForURL('**/me'); // signed in, and where they wanted to go

  await page.context().clearCookies();
  await page.goto('/me');
  await tabTo(page, 'Email or username');
  await keyboard.type(ADA);
  await tabTo(page, 'Password');
  await keyboard.type('not the password at all');
  await keyboard.press('Enter');
  await page.getByText('The email or password is not correct.').waitFor();
  await look(page, 'login-refused');
  await tabTo(page, 'Password');
  await keyboard.type(PASSWORD);
  await keyboard.press('Enter');
  await page.waitForURL('**/me');
  expect(await page.locator('body').textContent()).toContain(ADA);
  expect(complaints).toEqual([]);
});

test('without scripts: a link and a code by mail sign in', async () => {
  const { app, page, open, look, complaints } = await person({
    javaScriptEnabled: false,
    viewport: SIZES.phone,
    colorScheme: 'dark',
  });
  await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  await page.goto('/auth/login?returnTo=/public');
  await look(page, 'login');
  await page.getByRole('link', { name: 'Sign in by email' }).click();
  await look(page, 'link');
  await page.getByLabel('Email').fill(ADA);
  await page.getByRole('button', { name: 'Send sign-in link' }).click();
  const code = (await page.locator('.big-code').textContent()) ?? '';
  await look(page, 'link-sent');

  const link = linkIn(await app.mailTo(ADA), '/auth/passwordless/link/open');
  const other = await open();
  await other.goto(link);
  await look(other, 'link-other-browser');
  await other.getByLabel('Code shown in your other browser').fill(code);
  await other.getByRole('button', { name: 'Sign in', exact: true }).click();
  await other.goto('/public');
  expect(await other.locator('body').textContent()).not.toContain('null');

  app.clock.advance({ minutes: 2 });
  await page.goto('/auth/passwordless/code?returnTo=/public');
  await page.getByLabel('Email').fill(ADA);
  await page.getByRole('button', { name: 'Send code' }).click();
  await look(page, 'code');
  const mailed = /\b\d{6}\b/.exec((await app.mailTo(ADA)).text)?.[0] ?? '';
  await page.getByLabel('Code from the email').fill(mailed);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.waitForURL('**/public');
  expect(await page.locator('body').textContent()).not.toContain('null');
  expect(complaints).toEqual([]);
});

test('with scripts, at a desk: forgotten and forced passwords, a change of address and errors', async () => {
  const { app, page, look, complaints } = await person({ viewport: SIZES.desk, colorScheme: 'dark' });
  const user = await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
  await page.goto('/auth/login');
  await look(page, 'login');
  await page.getByRole('link', { name: 'Forgot your password?' }).click();
  await look(page, 'forgot');
  await page.getByLabel('Email').fill(ADA);
  await page.getByRole('button', { name: 'Send link' }).click();
  await page.getByRole('heading', { name: 'Check your inbox' }).waitFor();
  await look(page, 'forgot-sent');
  const link = linkIn(await app.mailTo(ADA), '/auth/reset-password');
  await page.goto(link);
  await look(page, 'reset');
  await page.getByLabel('New password', { exact: true }).fill('short');
  await page.getByRole('button', { name: 'Save new password' }).click();
  expect(new URL(page.url()).pathname).toBe('/auth/reset-password'); // the browser itself asks for more
  await page.getByLabel('New password', { exact: true }).fill(NEW_PASSWORD);
  await page.getByRole('button', { name: 'Save new password' }).click();
  await page.getByRole('heading', { name: 'Password changed' }).waitFor();
  await look(page, 'reset-done');
  await page.goto(link);
  await page.getByText('was used already').first().waitFor();
  await look(page, 'reset-dead');

  await app.authTuna.passwords.requireChange(user.id, SYSTEM);
  await page.goto('/auth/login?returnTo=/public');
  await page.getByLabel('Email or username').fill(ADA);
  await page.getByLabel('Password', { exact: true }).fill(NEW_PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.waitForURL('**/auth/change-password**');
  await look(page, 'change-password');
  await page.getByLabel('Current password', { exact: true }).fill(NEW_PASSWORD);
  await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.waitForURL('**/public');

  await page.goto('/account/security');
  await page.getByRole('link', { name: 'Change Email' }).click();
  await look(page, 'change-email');
  await page.getByLabel('New email').fill(ADA);
  await page.getByRole('button', { name: 'Send link' }).click();
  await page.getByText('That is your address already.').first().waitFor();
  await look(page, 'change-email-refused');
  await page.getByLabel('New email').fill('ada@new.example');
  await page.getByRole('button', { name: 'Send link' }).click();
  await page.getByRole('heading', { name: 'Check your new inbox' }).waitFor();
  await page.goto(linkIn(await app.mailTo('ada@new.example'), '/auth/change-email/confirm'));
  await look(page, 'change-email-confirm');
  await page.getByRole('button', { name: 'Use this address' }).click();
  await page.getByRole('heading', { name: 'Address changed' }).waitFor();
  await page.goto(linkIn(await app.mailTo(ADA), '/auth/change-email/undo'));
  await look(page, 'undo-email-change');
  await page.getByRole('button', { name: 'Restore my address' }).click();
  await page.getByRole('heading', { name: 'Address restored' }).waitFor();
  await look(page, 'undone');

  await page.goto('/auth/done/nothing');
  await look(page, 'not-found');
  await page.goto('/auth/unlock');
  await look(page, 'dead-link');
  await page.goto('/auth/errors/rate_limited');
  await page.getByRole('heading', { name: 'A little too fast' }).waitFor();
  await look(page, 'error-type');
  expect(complaints).toEqual([]);
});

test.each([
  { scripts: true, viewport: SIZES.desk, colorScheme: 'light' as const },
  { scripts: false, viewport: SIZES.phone, colorScheme: 'dark' as const },
])(
  'the link of a sign-up in another browser asks for its password, or for a new one ($colorScheme) (EM-11)',
  async ({ scripts, viewport, colorScheme }) => {
    const { app, page, open, look, complaints } = await person({
      javaScriptEnabled: scripts,
      viewport,
      colorScheme,
      locale: colorScheme === 'dark' ? 'de-DE' : 'en-GB',
    });
    const impostor = await app
      .browser()
      .post('/auth/signup', { email: ADA, username: 'ada', password: PASSWORD });
    expect(impostor.status).toBe(202);
    await page.goto(linkIn(await app.mailTo(ADA), '/auth/verify-email'));
    await look(page, 'verify-elsewhere');
    await page.locator('#password').fill('not the password at all');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await look(page, 'verify-elsewhere-refused');
    await page.locator('summary').click();
    await look(page, 'verify-elsewhere-claim');
    await page.locator('#newPassword').fill(NEW_PASSWORD);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/auth/done/email_verified');
    const other = await open();
    await other.goto('/auth/login?returnTo=/public');
    await other.locator('#login').fill(ADA);
    await other.locator('#password').fill(NEW_PASSWORD);
    await other.keyboard.press('Enter');
    await other.waitForURL('**/public');
    expect((await app.browser().post('/auth/login', { login: ADA, password: PASSWORD })).status).toBe(401);
    expect(complaints).toEqual([]);
  },
);

test('the widget of a person check is shown by the forms that need it, under a policy that lets in its origin and no other', async () => {
  const service = createServer((request, response) => {
    if (request.url === '/frame')
      return response.setHeader('content-type', 'text/html').end('<title>.</title>');
    response.setHeader('content-type', 'text/javascript').setHeader('access-control-allow-origin', '*');
    response.end(`
      const { src } = document.currentScript;
      const slot = document.querySelector('.person-check');
      const frame = Object.assign(document.createElement('iframe'), { src: new URL('/frame', src).href, title: 'Person check' });
      const field = Object.assign(document.createElement('input'), { type: 'hidden', name: 'humanCheck', value: slot.dataset.sitekey });
      fetch(src).then(() => slot.append(frame, field));
    `);
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  onTestFinished(() => void service.close());
  const origin = `http://localhost:${(service.address() as AddressInfo).port}`;
  const { app, page, look, complaints } = await person(
    { viewport: SIZES.phone, colorScheme: 'light' },
    {
      humanCheck: ({ token }) => token === 'a "person"',
      humanCheckWidget: {
        attributes: { class: 'person-check', 'data-sitekey': 'a "person"' },
        scripts: [`${origin}/widget.js`],
        origins: [origin],
      },
    },
  );
  await page.goto('/auth/signup');
  await page.locator('iframe').waitFor();
  await look(page, 'signup-widget');
  await page.getByLabel('Email').fill(ADA);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByText(`We sent a message to ${ADA}`).waitFor();
  for (const path of ['/auth/login', '/auth/forgot-password', '/auth/passwordless/link']) {
    const answer = await page.goto(path);
    await page.locator('iframe').waitFor();
    expect(answer?.headers()['content-security-policy']).toContain(`script-src 'self' ${origin};`);
  }
  const other = await page.goto('/auth/unlock');
  expect(other?.headers()['content-security-policy']).not.toContain(origin);
  expect(await app.mailsTo(ADA)).toHaveLength(1);
  expect(complaints).toEqual([]);
});
