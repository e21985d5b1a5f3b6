import chromium from '@sparticuz/chromium';
import { type Browser, chromium as playwright } from 'playwright-core';
import { onTestFinished } from 'vitest';

/** A real browser, closed after the test. `CHROME_PATH` names another one than the one that npm brought. */
export async function launchChromium(): Promise<Browser> {
  const browser = await openChromium();
  onTestFinished(() => browser.close());
  return browser;
}

/** A real browser for several tests, which close it. */
export async function openChromium(): Promise<Browser> {
  const executablePath = process.env.CHROME_PATH ?? (await chromium.executablePath());
  return playwright.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}
