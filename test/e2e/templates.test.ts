// Every page with its sample data, without an app behind it, in Chromium.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import chromium from '@sparticuz/chromium';
import axe from 'axe-core';
import { type Browser, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HOSTILE, pageSamples } from '../../scripts/preview-data.js';
import { createTemplates } from '../../src/templates/templates.js';

const CSP =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const templates = createTemplates({
  appName: 'Harbour',
  baseUrl: 'https://harbour.example',
  brand: { colors: { light: { accent: '#0f766e' } } },
});
let browser: Browser;
let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer((req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://localhost');
    const asset = templates.asset(pathname.slice('/auth/assets/'.length));
    const sample = pageSamples[Number(pathname.slice(1))];
    if (asset !== null) return res.setHeader('content-type', asset.contentType).end(asset.body);
    if (sample === undefined) return res.writeHead(204).end();
    res.setHeader('content-security-policy', CSP).setHeader('content-type', 'text/html; charset=utf-8');
    return res.end(templates.renderPage(sample.name, sample.data));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const executablePath = process.env.CHROME_PATH ?? (await chromium.executablePath());
  browser = await playwright.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}, 60_000);

afterAll(async () => {
  await browser?.close();
  server?.close();
});

test.each([
  { width: 360, colorScheme: 'light' },
  { width: 1280, colorScheme: 'dark' },
] as const)(
  'every page is accessible, fits and keeps to the policy at $width px, $colorScheme (AD-1, AD-2)',
  async ({ width, colorScheme }) => {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('dialog', (dialog) => {
      complaints.push(`a script of a hostile name ran: ${dialog.message()}`);
      void dialog.dismiss();
    });
    const cdp = await context.newCDPSession(page);
    const evaluate = async (expression: string) =>
      (await cdp.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })).result
        .value;
    for (const [index, { name, variant, data }] of pageSamples.entries()) {
      if ('code' in data && data.code === 'superseded') continue; // reloads under axe's feet
      await page.goto(`${origin}/${index}`);
      const where = `${name} ${variant}`;
      expect(await evaluate('document.documentElement.scrollWidth - innerWidth'), where).toBeLessThanOrEqual(
        0,
      );
      await evaluate("for (const passkey of document.querySelectorAll('.passkey')) passkey.hidden = false");
      await evaluate(`${axe.source}; 0`);
      const violations = await evaluate(
        "axe.run(document).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
      );
      expect(violations, where).toEqual([]);
    }
    expect(complaints).toEqual([]);
    await context.close();
  },
  180_000,
);

test('a password can be shown, and the error summary has the focus', async () => {
  const page = await browser.newPage();
  const index = pageSamples.findIndex(({ name, variant }) => name === 'auth/login' && variant === 'refused');
  await page.goto(`${origin}/${index}`);
  expect(await page.locator(':focus').getAttribute('role')).toBe('alert');
  await page.getByRole('button', { name: /^Show/ }).click();
  expect(await page.locator('#password').getAttribute('type')).toBe('text');
  await page.getByRole('button', { name: /^Hide/ }).click();
  expect(await page.locator('#password').getAttribute('type')).toBe('password');
  await page.close();
}, 30_000);

test('recovery codes can be downloaded under the policy, without a script', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${origin}/${pageSamples.findIndex(({ name }) => name === 'mfa/recovery-codes')}`);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download' }).click(),
  ]);
  expect(download.suggestedFilename()).toBe('recovery-codes.txt');
  expect(readFileSync(await download.path(), 'utf8')).toMatch(/^k4tw-9xhm-2qvd\r\n/);
  await context.close();
}, 30_000);

test('sign-in goes from field to field by keyboard, in the order it is read', async () => {
  const page = await browser.newPage();
  await page.goto(
    `${origin}/${pageSamples.findIndex(({ name, variant }) => name === 'auth/login' && variant === 'plain')}`,
  );
  const order: string[] = [];
  for (let i = 0; i < 7; i++) {
    await page.keyboard.press('Tab');
    order.push(
      (await page.locator(':focus').textContent())?.trim() ||
        ((await page.locator(':focus').getAttribute('id')) ?? ''),
    );
  }
  expect(order.map((text) => text.split('\n').pop())).toEqual([
    'Skip to content',
    'Harbour',
    'login',
    'password',
    'Show',
    'Forgot your password?',
    'Sign in',
  ]);
  await page.close();
}, 30_000);

test('a superseded page reloads once and then stays', async () => {
  const page = await browser.newPage();
  let loads = 0;
  page.on('load', () => {
    loads += 1;
  });
  const index = pageSamples.findIndex(({ variant }) => variant === 'superseded');
  await page.goto(`${origin}/${index}`);
  await page.waitForEvent('load');
  await expect(page.waitForEvent('load', { timeout: 1500 })).rejects.toThrow();
  expect(loads).toBe(2);
  await page.close();
}, 30_000);

test('the hostile name is shown as text (AD-1)', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  const index = pageSamples.findIndex(
    ({ name, variant }) => name === 'passkeys/list' && variant === 'hostile',
  );
  await page.goto(`${origin}/${index}`);
  expect(await page.locator('.item-title').textContent()).toBe(HOSTILE);
  await context.close();
}, 30_000);
