import type { CDPSession, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { PASSWORD } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { startMailedApp } from '../support/mailed-app.js';

const ADA = 'ada@example.com';

/** Reports whether the form is said to be busy, and what the pointer shows above its button: a page that is being left answers no question. */
const REPORT = `new MutationObserver(() => {
  const form = document.querySelector('form[action$="/login"]');
  if (form === null) return;
  console.debug(form.ariaBusy + ' ' + getComputedStyle(form.querySelector('button:not([type])')).cursor);
}).observe(document, { subtree: true, attributes: true, attributeFilter: ['aria-busy'] })`;
const READY = 'false pointer';
const WAITING = 'true progress';

/** How a person stops a page that does not come. */
const STOPS: Record<string, (page: Page, browser: CDPSession) => Promise<unknown>> = {
  async 'the Escape key'(page, browser) {
    await page.keyboard.press('Escape');
    await browser.send('Page.stopLoading');
  },
  // No event tells the page of it.
  async 'the Stop button'(page, browser) {
    await browser.send('Page.stopLoading');
    await page.clock.fastForward('00:10');
  },
};

test.each(Object.keys(STOPS))(
  'a form shows that it waits, is sent once meanwhile, and works again after %s',
  async (name) => {
    let posts = 0;
    const app = await startMailedApp(
      {},
      {
        isBare: true,
        routes(express, authTuna) {
          express.post('/auth/login', (_req, _res, next) => {
            posts += 1;
            if (posts > 1) next(); // the first one is never answered
          });
          express.use(authTuna.router());
        },
      },
    );
    await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified: true });
    const page = await (await (await launchChromium()).newContext()).newPage();
    const browser = await page.context().newCDPSession(page);
    await page.clock.install();
    await page.addInitScript(REPORT);
    const looks: string[] = [];
    page.on('console', (message) => message.type() === 'debug' && looks.push(message.text()));
    const look = () => looks.at(-1);
    await page.goto(`${app.url}/auth/login?returnTo=/public`);
    await page.getByLabel('Email or username').fill(ADA);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    const press = () => page.keyboard.press('Enter'); // in the field of the password

    await expect.poll(look).toBe(READY);
    await press();
    await expect.poll(() => posts).toBe(1);
    await expect.poll(look).toBe(WAITING);
    await press();
    await STOPS[name]?.(page, browser);
    await expect.poll(look).toBe(READY);
    expect(posts).toBe(1);
    await press();
    await page.waitForURL(`${app.url}/public`);
    expect(posts).toBe(2);
  },
);
