import { mkdirSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { PASSWORD, startApp, type TestInstance } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { totpCode } from '../support/factors.js';

const SCREENSHOTS = new URL('./screenshots/', import.meta.url).pathname;

/** The page as people see it: on a phone and a desk, light and dark. */
async function photograph(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const size = page.viewportSize();
  for (const width of [360, 1280]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: `${SCREENSHOTS}${name}-${width}-${colorScheme}.png`, fullPage: true });
      const overflow = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      expect([name, width, overflow]).toEqual([name, width, 0]);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  if (size !== null) await page.setViewportSize(size);
}

async function begin(): Promise<{ app: TestInstance; page: Page; email: string; problems: string[] }> {
  const app = await startApp(
    {},
    {
      routes(express, authTuna) {
        express.get('/', authTuna.requireUser(), (_req, res) => void res.type('html').send('<h1>Home</h1>'));
        express.get(
          '/vault',
          authTuna.requireRecentLogin(),
          (_req, res) => void res.type('html').send('<h1>Vault</h1>'),
        );
      },
    },
  );
  const email = 'ada@example.com';
  await app.authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
  const browser = await launchChromium();
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && /Content Security|integrity/i.test(message.text()))
      problems.push(message.text());
  });
  // The virtual authenticator answers an offer below the field by itself; most of the time this is a browser that makes none.
  await page.addInitScript(`
    if (sessionStorage.getItem('autofill') !== 'yes' && window.PublicKeyCredential)
      PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  `);
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return { app, page, email, problems };
}

async function signInWithPassword(page: Page, url: string, email: string): Promise<void> {
  await page.goto(`${url}/auth/login`);
  await page.fill('input[name=login]', email);
  await page.fill('input[name=password]', PASSWORD);
  await page.click('form[action$="/login"] button:not([type])');
}

async function signOut(page: Page, url: string): Promise<void> {
  await page.goto(`${url}/public`);
  await page.evaluate(`fetch('/auth/logout', { method: 'POST' })`);
}

test('a passkey that is registered already, removed here, or used at another address is told as such', async () => {
  const { app, page, email, problems } = await begin();
  const { url } = app;
  page.setDefaultTimeout(15_000);
  await page.addInitScript(`
    PublicKeyCredential.signalUnknownCredential = async (gone) => sessionStorage.setItem('gone', JSON.stringify(gone));
  `);
  await signInWithPassword(page, url, email);
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  await page.goto(`${url}/auth/passkeys/manage`);
  const add = page.getByRole('button', { name: 'Add a passkey' });
  await add.click();
  await page.locator('#codes').waitFor(); // the first factor comes with recovery codes
  await page.goto(`${url}/auth/passkeys/manage`);
  await add.click();
  await page.getByText('There is a passkey for this account on this device already.').waitFor();

  await page.getByText('Rename or remove').click();
  await page.getByRole('button', { name: 'Remove passkey' }).click();
  await page.getByText('You have no passkeys yet.').waitFor();
  await signOut(page, url);
  const withPasskey = page.getByRole('button', { name: 'Sign in with a passkey' });
  await page.goto(`${url}/auth/login`);
  await withPasskey.click();
  await page.getByText('This passkey is not known here, or it was removed.').waitFor();
  expect(await page.evaluate(`JSON.parse(sessionStorage.getItem('gone')).rpId`)).toBe('localhost');

  await page.goto(`${url.replace('localhost', '127.0.0.1')}/auth/login`);
  await withPasskey.click();
  await page.getByText(`Passkeys do not work at this address. Open ${url} instead.`).waitFor();
  expect(problems).toEqual([]);
}, 90_000);

test('a person enrolls an app and a passkey, signs in with each, recovers with a code, steps up and removes them (SS-14)', async () => {
  const { app, page, email, problems } = await begin();
  const { url, clock } = app;

  await signInWithPassword(page, url, email);
  await page.getByRole('heading', { name: 'Home' }).waitFor();

  // An app.
  await page.goto(`${url}/auth/mfa/setup?returnTo=/`);
  await photograph(page, 'mfa-begin');
  await page.click('form[action$="/mfa/totp"] button');
  await page.locator('img.qr').waitFor();
  expect(await page.evaluate(`document.querySelector('img.qr').naturalWidth > 0`)).toBe(true);
  await photograph(page, 'mfa-setup');
  const secret = (await page.locator('#secret').textContent({ timeout: 2000 }))?.replace(/\s/g, '') ?? '';
  await page.fill('#code', '000000');
  await page.click('form[action$="/totp/confirm"] button');
  await page.getByText('This code is not correct or was used already.').waitFor();
  await photograph(page, 'mfa-setup-refused');
  expect((await page.locator('#secret').textContent())?.replace(/\s/g, '')).toBe(secret);
  await page.fill('#code', totpCode(secret, clock));
  await page.click('form[action$="/totp/confirm"] button');
  await page.locator('#codes').waitFor();
  await photograph(page, 'mfa-recovery-codes');
  const codes = await page.locator('#codes code').allTextContents();
  expect(codes).toHaveLength(10);
  await page.click('a.button:not([download])');
  await page.getByRole('heading', { name: 'Home' }).waitFor();

  // A passkey.
  await page.goto(`${url}/auth/passkeys/manage`);
  await photograph(page, 'passkeys-empty');
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.locator('.item-title').waitFor();
  await photograph(page, 'passkeys-list');

  // Sign in with a code of the app.
  await signOut(page, url);
  clock.advance({ minutes: 1 });
  await signInWithPassword(page, url, email);
  await page.waitForURL(/\/auth\/mfa\/challenge/);
  await photograph(page, 'mfa-challenge');
  await page.fill('#code', '000000');
  await page.click('form:has(#code) button');
  await page.getByText('This code is not correct or was used already.').waitFor();
  await page.fill('#code', totpCode(secret, clock));
  await page.click('form:has(#code) button');
  await page.getByRole('heading', { name: 'Home' }).waitFor();

  // Sign in with the passkey, as the second factor and alone.
  await signOut(page, url);
  await signInWithPassword(page, url, email);
  await page.waitForURL(/\/auth\/mfa\/challenge/);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  await signOut(page, url);
  await page.goto(`${url}/auth/login?returnTo=/vault`);
  await photograph(page, 'login');
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('heading', { name: 'Vault' }).waitFor();

  // And from the field, where the browser offers it.
  await signOut(page, url);
  await page.evaluate(`sessionStorage.setItem('autofill', 'yes')`);
  await page.goto(`${url}/auth/login`);
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  await page.evaluate(`sessionStorage.removeItem('autofill')`);

  // Recover with a code.
  await signOut(page, url);
  clock.advance({ minutes: 1 });
  await signInWithPassword(page, url, email);
  await page.waitForURL(/\/auth\/mfa\/challenge/);
  await page.click('summary');
  await page.fill('#recovery-code', (codes[3] ?? '').toLowerCase().replaceAll('-', ' '));
  await page.click('form:has(#recovery-code) button');
  await page.getByRole('heading', { name: 'Home' }).waitFor();

  // A page that wants a fresh proof leads through the step-up and back; a copy of the cookie gains nothing (SS-14).
  clock.advance({ minutes: 11 });
  await page.goto(`${url}/vault`);
  await page.waitForURL(/\/auth\/step-up\?returnTo=%2Fvault/);
  await photograph(page, 'step-up');
  const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  await page.fill('#password', PASSWORD);
  await page.fill('#code', totpCode(secret, clock));
  await page.click('form:has(#password) button:not([type])');
  await page.getByRole('heading', { name: 'Vault' }).waitFor();
  const userAgent = String(await page.evaluate('navigator.userAgent'));
  for (const [method, path] of [
    ['POST', '/me/x'],
    ['GET', '/vault'],
  ] as const) {
    const stolen = await fetch(url + path, {
      method,
      headers: { cookie, 'user-agent': userAgent, accept: 'application/json' },
    });
    expect(stolen.status).toBe(401);
    expect(await stolen.json()).toMatchObject({ code: 'superseded' });
    expect(stolen.headers.getSetCookie()).toEqual([]);
  }

  // By passkey too; then the passkey goes.
  clock.advance({ minutes: 11 });
  await page.goto(`${url}/auth/passkeys/manage`);
  await page.waitForURL(/\/auth\/step-up/);
  await page.getByRole('button', { name: 'Confirm with a passkey' }).click();
  await page.waitForURL(/\/auth\/passkeys\/manage/);
  await page.click('summary');
  await photograph(page, 'passkeys-edit');
  await page.fill('input[name=name]', 'My laptop');
  await page.click('form[action$="/rename"] button');
  await page.getByText('My laptop').first().waitFor();
  await page.click('summary');
  await page.click('form[action$="/delete"] button');
  await page.getByText('You have no passkeys yet.').waitFor();

  // A device that is trusted is not asked, until that is taken back; then the app goes, without a script of ours.
  await signOut(page, url);
  clock.advance({ minutes: 1 });
  await signInWithPassword(page, url, email);
  await page.waitForURL(/\/auth\/mfa\/challenge/);
  await page.check('input[name=trustDevice]');
  await page.fill('#code', totpCode(secret, clock));
  await page.click('form:has(#code) button');
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  await signOut(page, url);
  await signInWithPassword(page, url, email);
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  await page.goto(`${url}/account/security`);
  await page.getByRole('link', { name: 'Manage Two-step sign-in' }).click();
  await page.getByRole('heading', { name: 'Trusted devices' }).waitFor();
  await photograph(page, 'mfa-manage');
  await page.getByRole('button', { name: /^Stop trusting/ }).click();
  await page.getByRole('heading', { name: 'Trusted devices' }).waitFor({ state: 'detached' });
  await page.locator('summary', { hasText: 'Remove' }).click();
  await page.getByRole('button', { name: /^Remove/ }).click();
  await page.waitForURL(/\/auth\/step-up/); // this session has seen a password only
  await page.fill('#password', PASSWORD);
  clock.advance({ minutes: 1 });
  await page.fill('#code', totpCode(secret, clock));
  await page.click('form:has(#password) button:not([type])');
  await page.waitForURL(/\/auth\/mfa\/manage/);
  await page.locator('summary', { hasText: 'Remove' }).click();
  await page.getByRole('button', { name: /^Remove/ }).click();
  await page.getByRole('link', { name: /^Set up/ }).waitFor();
  await photograph(page, 'mfa-manage-off');
  await signOut(page, url);
  await signInWithPassword(page, url, email);
  await page.getByRole('heading', { name: 'Home' }).waitFor();
  expect(problems).toEqual([]);
}, 240_000);
