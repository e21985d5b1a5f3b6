import { mkdirSync } from 'node:fs';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { PASSWORD, startApp } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { as } from '../support/people.js';

const SCREENSHOTS = new URL('./screenshots/', import.meta.url).pathname;

/** The page as people see it: on a phone in the dark and on a desk in the light; each time axe looks too. */
async function look(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  for (const [width, colorScheme] of [
    [360, 'dark'],
    [1280, 'light'],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await page.screenshot({ path: `${SCREENSHOTS}${name}-${width}.png`, fullPage: true });
    const overflow = await page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
    expect([name, width, overflow]).toEqual([name, width, 0]);
    await page.evaluate(`${axe.source}; 0`);
    const violations = await page.evaluate(
      "axe.run(document).then((r) => r.violations.map((v) => v.impact + ' ' + v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
    );
    expect([name, width, violations]).toEqual([name, width, []]);
  }
}

test('an owner opens a project, makes an invitation link, and another person joins by it', async () => {
  const app = await startApp({ appName: 'Harbour' });
  const { authTuna, url } = app;
  const chromium = await launchChromium();
  const owner = await app.signedIn('olive@example.com');
  const org = await authTuna.orgs.create({ name: 'Acme' }, as(owner.user.id));
  const project = await authTuna.projects.create({ orgId: org.id, name: 'Sardine' }, as(owner.user.id));
  await authTuna.teams.create({ parent: `project:${project.id}`, name: 'Blue' }, as(owner.user.id));
  await authTuna.users.create({ email: 'mia@example.com', password: PASSWORD, emailVerified: true });
  const open = async (email: string, path: string) => {
    const page = await (await chromium.newContext()).newPage();
    await page.goto(`${url}${path}`);
    if (page.url().includes('/invitations/')) await page.getByRole('link', { name: 'Sign in' }).click();
    await page.getByLabel('Email or username').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    return page;
  };
  const page = await open('olive@example.com', '/orgs/acme');
  await page.waitForURL(`${url}/orgs/acme`);
  await page.getByRole('link', { name: 'Open Sardine' }).click();
  await page.getByText('Create an invitation link').click();
  await look(page, 'orgs-project');
  await page.getByRole('button', { name: 'Create the link' }).click();
  await look(page, 'orgs-link');
  const link = (await page.locator('#link').textContent()) ?? '';
  await page.getByRole('link', { name: 'I copied the link' }).click();
  await page.waitForURL(`${url}/orgs/acme/projects/${project.id}`);

  const mia = await open('mia@example.com', link.trim().slice(url.length));
  await mia.getByRole('button', { name: 'Accept' }).waitFor();
  await look(mia, 'orgs-accept-link');
  await mia.getByRole('button', { name: 'Accept' }).click();
  await mia.waitForURL(`${url}/orgs`);
  await page.reload();
  await page.getByText('mia@example.com').first().waitFor();
  await chromium.close();
}, 120_000);
