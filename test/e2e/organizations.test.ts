import type { Page } from 'playwright-core';
import { inject, test } from 'vitest';
import { PASSWORD } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { look } from '../support/looks.js';
import { linkIn, startMailedApp } from '../support/mailed-app.js';
import { CLIENT, startOpenIdProvider } from '../support/openid-provider.js';
import { as } from '../support/people.js';

/** Connects a provider, proves a domain and demands it, ends all of it again: with the pages alone. */
async function connect(page: Page, issuer: string, records: Map<string, string[][]>): Promise<void> {
  await page.getByRole('link', { name: 'Open single sign-on' }).click();
  await page.getByLabel('Name').fill('Acme staff');
  await page.getByLabel('Issuer').fill(issuer);
  await page.getByLabel('Client ID').fill(CLIENT.clientId);
  await page.getByRole('textbox', { name: 'Client secret' }).fill(CLIENT.clientSecret);
  await look(page, 'sso-list');
  await page.getByRole('button', { name: 'Connect' }).click();
  await page.getByLabel('Mail domain').fill('acme.example');
  await page.getByRole('button', { name: 'Add the domain' }).click();
  await page.getByRole('button', { name: 'Check the record' }).click();
  await page.getByText('The record was not found yet').waitFor();
  await look(page, 'sso-unproved');
  const [name, value] = await page.locator('.item .secret').allTextContents();
  records.set(name?.trim() ?? '', [[value?.trim() ?? '']]);
  await page.getByRole('button', { name: 'Check the record' }).click();
  await page.getByRole('button', { name: 'Require single sign-on' }).click();
  await page.getByText('Required', { exact: true }).waitFor();
  await look(page, 'sso-required');
  await page.getByRole('button', { name: 'Stop requiring it' }).click();
  await page.getByRole('button', { name: /^Remove.*acme/ }).click();
  await page.getByText('No domains yet.').waitFor();
  await page.getByText('Remove this connection').click();
  await page.getByRole('button', { name: 'Remove the connection' }).click();
  await page.getByText('No connections yet.').waitFor();
  await page.getByRole('link', { name: 'Acme', exact: true }).click();
}

test.runIf(inject('dialect') === 'sqlite')(
  'an owner connects a provider, opens a project, makes an invitation link, and another person joins by it',
  async () => {
    const records = new Map<string, string[][]>();
    const idp = await startOpenIdProvider();
    await idp.allow('http://localhost:1/unused');
    const app = await startMailedApp({
      social: { resolveTxt: async (name) => records.get(name) ?? [] },
    });
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
    await connect(page, idp.issuer, records);
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

    // Mailed invitations: for an account, for somebody else's account, for no account, and too late.
    const invite = async (email: string) => {
      const input = { email, role: 'org_member' };
      await authTuna.orgs.invite(`org:${org.id}`, input, as(owner.user.id));
      return url + linkIn(await app.mailTo(email), '/orgs/invitations/accept');
    };
    await authTuna.users.create({ email: 'kim@example.com', password: PASSWORD, emailVerified: true });
    const forKim = await invite('kim@example.com');
    const visitor = await (await chromium.newContext()).newPage();
    await visitor.goto(forKim);
    await visitor.getByText('There is an account with this address').waitFor();
    await look(visitor, 'orgs-accept-account');
    await mia.goto(forKim);
    await mia.getByText('You are signed in with another address').waitFor();
    await look(mia, 'orgs-accept-other');
    await visitor.goto(await invite('new@example.com'));
    await look(visitor, 'orgs-accept-new');
    await visitor.locator('input[name=password]').fill(PASSWORD);
    await visitor.getByRole('button', { name: 'Create the account and join' }).click();
    await visitor.waitForURL(`${url}/orgs/${org.id}`);
    const late = await invite('late@example.com');
    app.clock.advance({ days: 8 });
    const later = await (await chromium.newContext()).newPage();
    await later.goto(late);
    await later.getByText('This link is too old').waitFor();
    await look(later, 'orgs-accept-expired');
    await chromium.close();
  },
  120_000,
);
