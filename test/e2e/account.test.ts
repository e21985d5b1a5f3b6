import { expect, test } from 'vitest';
import { PASSWORD } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { look } from '../support/looks.js';
import { startSocialApp } from '../support/social.js';

test('a person looks at the account, signs out other devices, links a provider and unlinks it, stepping up on the way', async () => {
  const app = await startSocialApp({ appName: 'Harbour' });
  const { url, clock, authTuna } = app;
  const email = 'grace@example.com';
  const { user } = await app.signedIn(email);
  const phone = app.browser({
    userAgent:
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
  });
  await phone.post('/auth/login', { login: email, password: PASSWORD });
  const page = await (await (await launchChromium()).newContext()).newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && /Content Security|integrity/i.test(message.text()))
      problems.push(message.text());
  });

  await page.goto(`${url}/account`);
  await page.getByLabel('Email or username').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.waitForURL(`${url}/account/security`);
  await look(page, 'account-security');

  clock.advance({ minutes: 11 });
  const endPhone = page.getByRole('button', { name: /^Sign out.*Safari/ });
  await endPhone.click();
  await page.waitForURL('**/auth/step-up**');
  expect((await phone.post('/me/x')).status).toBe(200);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.locator('form[action$="/step-up"] button:not([type])').first().click();
  await page.waitForURL(`${url}/account/security?confirmed=again`);
  await page.getByText('Please press the button once more.').waitFor();
  await endPhone.click();
  await endPhone.waitFor({ state: 'detached' });
  expect((await phone.post('/me/x')).status).toBe(401);
  await page.locator('summary', { hasText: 'Sign out all other devices' }).click();
  await page.getByRole('button', { name: 'Sign them out' }).click();
  await page.waitForURL(`${url}/account/security`);
  await expect.poll(async () => (await authTuna.sessions.list(user.id)).length).toBe(1);

  // The browser follows the form's redirect to the provider and comes back.
  await page.getByRole('button', { name: 'Link Single sign-on', exact: true }).click();
  await page.getByText('Linked for signing in').waitFor();
  await look(page, 'account-linked');
  await page.locator('summary', { hasText: 'Unlink' }).click();
  await page.getByRole('button', { name: /^Unlink/ }).click();
  await page.getByText('Not linked').waitFor();
  expect(await authTuna.social.list(user.id)).toEqual([]);

  await page.getByRole('link', { name: 'Passkeys', exact: true }).click();
  await page.waitForURL('**/auth/passkeys/manage');
  await page.getByRole('link', { name: 'Security', exact: true }).click();
  await page.waitForURL(`${url}/account/security`);
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.waitForURL('**/auth/login**');
  expect(problems).toEqual([]);
}, 120_000);
