import { mkdirSync } from 'node:fs';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect, inject, test } from 'vitest';
import { BOB, startAcme } from '../support/acme.js';
import { PASSWORD } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { LOOKS } from '../support/looks.js';

const SCREENSHOTS = new URL('./screenshots/', import.meta.url).pathname;

test.runIf(inject('dialect') === 'sqlite')(
  'people of an organization are led to its sign-in from the page, and a password that does not open it leads there too',
  async () => {
    const { url, idp, authTuna, connections, connection, actor } = await startAcme({
      linkVerifiedEmails: true,
    });
    mkdirSync(SCREENSHOTS, { recursive: true });
    const chromium = await launchChromium();
    const complaints: string[] = [];
    const watched = async (javaScriptEnabled = true): Promise<Page> => {
      const page = await (await chromium.newContext({ javaScriptEnabled })).newPage();
      page.on('console', (message) => {
        if (message.type() === 'error' && !/status of 4\d\d/.test(message.text()))
          complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      return page;
    };
    const visit = async (page: Page): Promise<void> => {
      await page.goto(`${url}/auth/login?returnTo=%2Fme`);
      await page.getByText('Sign in with your organization').click();
      await page.getByLabel('Your work email').fill(BOB.email ?? '');
      await page.locator('details button').click();
      await page.waitForURL(`${url}/me`);
    };

    // Without a script as well: the policy of the page lets forms lead to this site only, and the page in between leads on.
    idp.person = BOB;
    for (const javaScriptEnabled of [true, false]) {
      const page = await watched(javaScriptEnabled);
      await visit(page);
      expect(await page.textContent('body')).toContain('bob@acme.example');
    }
    expect((await authTuna.users.list()).items).toHaveLength(2);

    await connections.requireSso(connection.id, 'acme.example', true, actor);
    const page = await watched();
    await page.goto(`${url}/auth/login?returnTo=%2Fme`);
    await page.getByLabel('Email or username').fill('owner@acme.example');
    await page.locator('input[name=password]').fill(PASSWORD);
    await page.locator('input[name=password]').press('Enter');
    await page.getByText('Acme, which asks you to use its own sign-in').waitFor();
    idp.person = { sub: 'owner-1', email: 'owner@acme.example', email_verified: true };
    await page.getByRole('link', { name: 'Continue with Acme' }).click();
    await page.waitForURL(`${url}/me`);
    expect(await page.textContent('body')).toContain('owner@acme.example');

    for (const locale of ['en', 'de']) {
      for (const [width, colorScheme] of LOOKS) {
        const context = await chromium.newContext({
          locale,
          colorScheme,
          viewport: { width, height: 800 },
        });
        const looked = await context.newPage();
        const look = async (name: string) => {
          const kind = `${locale}-${width}-${colorScheme}`;
          await looked.screenshot({ path: `${SCREENSHOTS}sso-${name}-${kind}.png`, fullPage: true });
          await looked.evaluate(`${axe.source}; 0`);
          const found = (await looked.evaluate(
            "axe.run(document).then((r) => r.violations.map((v) => v.impact + ' ' + v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
          )) as string[];
          complaints.push(...found.map((fault) => `${name} ${kind}: ${fault}`));
          if (
            await looked.evaluate(
              'document.documentElement.scrollWidth > document.documentElement.clientWidth',
            )
          )
            complaints.push(`${name} ${kind}: scrolls sideways`);
        };
        await looked.goto(`${url}/auth/login`);
        await look('login-closed');
        await looked.locator('summary').click();
        await look('login');
        await looked.goto(`${url}/auth/social/sso/login`);
        await look('organization');
        await looked.goto(`${url}/auth/social/sso/login?email=ada%40nowhere.example`);
        await look('unknown');
        await looked.goto(`${url}/auth/login`);
        await looked.locator('input[name=login]').fill('owner@acme.example');
        await looked.locator('input[name=password]').fill(PASSWORD);
        await looked.locator('input[name=password]').press('Enter');
        await looked.locator('a.button[href*="/social/sso-"]').waitFor();
        await look('demanded');
        idp.consents = false;
        await looked.locator('a.button[href*="/social/sso-"]').click();
        await looked.waitForURL('**/callback**');
        await look('canceled');
        idp.consents = true;
        await context.close();
      }
    }
    expect(complaints).toEqual([]);
  },
  240_000,
);
