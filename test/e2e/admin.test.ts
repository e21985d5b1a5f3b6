import { expect, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD, startApp } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { look } from '../support/looks.js';

const HOSTILE = `"><img src=x onerror=alert(1)>`;

test('an administrator walks through the dashboard: every page, and a person from creation to erasure (AD-1, AD-2, AD-3, AD-5)', async () => {
  const { url, authTuna, clock } = await startApp(
    {
      appName: 'Harbour',
      privacy: {
        consents: {
          terms: { version: '1', label: 'I accept the terms of use', url: '/terms', required: true },
          news: { version: '1', label: HOSTILE },
        },
      },
    },
    { routes: (app) => app.get('/', (_req, res) => void res.type('html').send('<title>Harbour</title>')) },
  );
  const root = await authTuna.users.create({
    email: 'root@example.com',
    password: PASSWORD,
    emailVerified: true,
  });
  await authTuna.roles.assign({ userId: root.id, role: 'superadmin', scope: 'global' }, SYSTEM);
  await authTuna.scopes.register({ id: 'org:acme', name: HOSTILE }, SYSTEM);
  const { webhook } = await authTuna.webhooks.create(
    { url: 'http://localhost:9/hooks', events: '*' },
    SYSTEM,
  );
  await authTuna.audit.record({ type: 'document.published', actor: SYSTEM, reason: HOSTILE });
  const eve = await authTuna.users.create({ email: 'eve@example.com' });
  const org = await authTuna.orgs.create({ name: HOSTILE, slug: 'acme', ownerId: root.id }, SYSTEM);
  const account = await authTuna.serviceAccounts.create({ orgId: org.id, name: HOSTILE }, SYSTEM);
  await authTuna.apiKeys.create({ userId: account.id, name: HOSTILE }, SYSTEM);
  const page = await (await (await launchChromium()).newContext()).newPage();
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });

  await page.goto(`${url}/admin/users`); // leads through the sign-in and comes back
  await page.fill('[name=login]', 'root@example.com');
  await page.fill('[name=password]', PASSWORD);
  await page.press('[name=password]', 'Enter');
  await page.waitForURL(`${url}/admin/users`);

  await page.click('text=New person');
  await page.fill('[name=email]', 'ada@example.com');
  await page.click('main button:has-text("New person")');
  await page.waitForSelector('text=Created.');
  const person = page.url().split('?')[0] ?? '';
  await page.click('summary:has-text("Give a role")');
  await page.fill('#role', 'org_member');
  await page.fill('#scope', 'org:acme');
  await page.click('main button:has-text("Give a role")');
  await page.waitForSelector('text=The role is given.');
  // By keyboard alone: the disclosure opens with Enter, the form is sent with Enter.
  await page.focus('summary:has-text("Suspend")');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.type(HOSTILE);
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Suspended; all sessions have ended.');
  await look(page, 'admin-user');
  await page.click('summary:has-text("Lift the suspension")');
  await page.click('main button:has-text("Lift the suspension")');
  await page.waitForSelector('text=The suspension is lifted.');

  await page.click('summary:has-text("Act as this person")');
  await page.fill('#impersonate-reason', 'ticket 4711');
  await page.click('main button:has-text("Act as this person")');
  await page.goto(`${url}/account/security`);
  await page.waitForSelector('text=You are acting as');
  await look(page, 'admin-impersonated');
  await page.click('button:has-text("Stop")');
  await page.waitForURL(person);

  clock.advance({ minutes: 11 });
  await page.click('summary:has-text("Erase for good")');
  await page.click('main button:has-text("Erase for good")');
  await page.waitForURL(/step-up/);
  await page.fill('[name=password]', PASSWORD);
  await page.press('[name=password]', 'Enter');
  await page.waitForURL(`${person}?confirmed=again`);
  await page.click('summary:has-text("Erase for good")');
  await page.click('main button:has-text("Erase for good")');
  await page.waitForSelector('text=Removed for good.');

  for (const [name, path] of Object.entries({
    overview: '/admin/stats',
    users: '/admin/users',
    'user-new': '/admin/new-user',
    roles: '/admin/roles',
    role: '/admin/roles/admin',
    permissions: '/admin/permissions',
    scopes: '/admin/scopes',
    why: '/admin/why?user=root@example.com&permission=users:read&scope=org:acme',
    sessions: '/admin/sessions',
    orgs: '/admin/orgs',
    org: `/admin/orgs/${org.id}`,
    'api-keys': '/admin/api-keys',
    'service-accounts': '/admin/service-accounts',
    'service-account': `/admin/service-accounts/${account.id}`,
    bulk: `/admin/bulk?action=suspend&users=${root.id}&users=${eve.id}`,
    webhooks: '/admin/webhooks',
    webhook: `/admin/webhooks/${webhook.id}`,
    mails: '/admin/mails',
    throttles: '/admin/throttles',
    jobs: '/admin/jobs',
    audit: '/admin/audit',
    history: '/account/history',
    data: '/account/data',
  })) {
    await page.goto(url + path);
    await look(page, `admin-${name}`);
  }
  // People are ticked by keyboard, and what is to be done is chosen and previewed.
  await page.goto(`${url}/admin/users`);
  await page.focus(`input[name=users][value="${eve.id}"]`);
  await page.keyboard.press('Space');
  await page.selectOption('#action', 'delete');
  await page.click('button:has-text("Show who is affected")');
  await page.waitForSelector('text=people affected: 1');
  await page.click('main button:has-text("Delete")');
  await page.waitForSelector('text=Done for everybody you chose.');

  // A new key is shown once, on the page that answers the form.
  await page.goto(`${url}/admin/service-accounts/${account.id}`);
  await page.click('summary:has-text("New API key")');
  await page.fill('#name', 'deploy');
  await page.click('main button:has-text("Create key")');
  await page.waitForSelector('text=Copy it now.');
  await look(page, 'admin-api-key');
  expect(complaints).toEqual([]);
}, 300_000);
