import { expect, inject, test } from 'vitest';
import { PASSWORD } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { enrolTotp } from '../support/factors.js';
import { startSocialApp } from '../support/social.js';

test.runIf(inject('dialect') === 'sqlite')(
  'a person signs in with a provider, cancels, links and unlinks, in a real browser',
  async () => {
    const { url, idp, authTuna } = await startSocialApp();
    const chromium = await launchChromium();
    const context = await chromium.newContext();
    const page = await context.newPage();

    // First sign-in makes the account, by the button on the page, and comes back to where the person wanted.
    await page.goto(`${url}/auth/login?returnTo=%2Fme`);
    await page.getByRole('link', { name: /Single sign-on/ }).click();
    await page.waitForURL(`${url}/me`);
    expect(await page.textContent('body')).toContain('ada@example.com');
    expect((await authTuna.users.list()).items).toHaveLength(1);

    // The second finds it, in another browser.
    const other = await (await chromium.newContext()).newPage();
    await other.goto(`${url}/auth/social/oidc/login?returnTo=%2Fme`);
    await other.waitForURL(`${url}/me`);
    expect((await authTuna.users.list()).items).toHaveLength(1);

    // Canceled consent: a page, not a session.
    idp.consents = false;
    const third = await (await chromium.newContext()).newPage();
    const answer = await third.goto(`${url}/auth/social/oidc/login`);
    expect(answer?.status()).toBe(400);
    expect(await third.locator('h1').count()).toBe(1);
    expect(await third.content()).not.toContain('alert(1)');
    await third.goto(`${url}/me`);
    expect(third.url()).toContain('/auth/login');
    idp.consents = true;

    // Linking from an account that has a password, and unlinking.
    await authTuna.users.create({ email: 'grace@example.com', password: PASSWORD, emailVerified: true });
    idp.person = { sub: 'grace-1', email: 'grace@work.example', email_verified: true };
    const grace = await (await chromium.newContext()).newPage();
    await grace.goto(`${url}/auth/login?returnTo=%2Fme`);
    await grace.getByLabel(/email/i).first().fill('grace@example.com');
    await grace.locator('input[name=password]').fill(PASSWORD);
    await grace.locator('input[name=password]').press('Enter');
    await grace.waitForURL(`${url}/me`);
    const ask = (method: string, path: string) =>
      grace.evaluate(
        async ([verb, target]) => {
          // Text, because the test is compiled without the types of a browser.
          const init = { method: verb, headers: { 'content-type': 'application/json' } };
          const response = await fetch(String(target), verb === 'POST' ? { ...init, body: '{}' } : init);
          return { status: response.status, text: await response.text() };
        },
        [method, path],
      );
    const begun = await ask('POST', '/auth/social/oidc/link');
    await grace.goto((JSON.parse(begun.text) as { url: string }).url).catch(() => null);
    await grace.goto(`${url}/auth/social`);
    expect(await grace.textContent('body')).toContain('grace@work.example');
    expect((await ask('DELETE', '/auth/social/oidc')).status).toBe(204);
    expect((await ask('DELETE', '/auth/social/oidc')).status).toBe(404);
  },
  120_000,
);

test.runIf(inject('dialect') === 'sqlite')(
  'what goes wrong on the way back is a page that says so, and no session, in a real browser',
  async () => {
    const app = await startSocialApp();
    const { url, idp, clock } = app;
    const chromium = await launchChromium();
    const open = async () => (await chromium.newContext()).newPage();
    type Page = Awaited<ReturnType<typeof open>>;
    const start = `${url}/auth/social/oidc/login?returnTo=%2Fme`;
    /** Goes to the provider and stops at our door: the address that the browser is sent back to. */
    const toDoor = async (page: Page, change = (address: string) => address) => {
      const begun = await page.context().request.get(start, { maxRedirects: 0 });
      return idp.visit(change(begun.headers().location ?? ''));
    };
    const expectRefused = async (page: Page, address: string, title = 'The sign-in did not work') => {
      const answer = await page.goto(address);
      expect(answer?.status()).toBe(400);
      expect(await page.textContent('h1')).toBe(title);
      await page.goto(`${url}/me`);
      expect(page.url()).toContain('/auth/login');
    };

    const ada = await open();
    const door = await toDoor(ada);
    await expectRefused(await open(), door, 'This sign-in began elsewhere'); // another browser
    await expectRefused(ada, door.replace(/state=([^&]{10})[^&]*/, 'state=$1')); // a changed state
    await ada.goto(door);
    await ada.waitForURL(`${url}/me`);
    await ada.goto(door); // replayed: nothing new, and the session goes on
    await ada.waitForURL(`${url}/me`);
    expect(await ada.textContent('body')).toContain('ada@example.com');

    const mixedUp = await open();
    const other = encodeURIComponent('https://evil.example');
    await expectRefused(mixedUp, (await toDoor(mixedUp)).replace(/iss=[^&]+/, `iss=${other}`));
    const swapped = await open(); // an ID token that answers another sign-in
    await expectRefused(
      swapped,
      await toDoor(swapped, (address) => address.replace(/nonce=[^&]+/, `nonce=${'n'.repeat(43)}`)),
    );
    idp.expiresCodes = true;
    const slow = await open();
    await expectRefused(slow, await toDoor(slow));
    idp.expiresCodes = false;

    await idp.rotateKeys();
    clock.advance({ seconds: 31 });
    const later = await open();
    await later.goto(start);
    await later.waitForURL(`${url}/me`);

    // Whoever has a second factor meets it after the provider, and comes back to where they wanted.
    const script = app.browser();
    await app.signIn(script);
    const totp = await enrolTotp(app, script);
    const careful = await open();
    await careful.goto(start);
    await careful.waitForURL('**/auth/mfa/challenge**');
    await careful.goto(`${url}/me`);
    expect(careful.url()).toContain('/auth/login');
    await careful.goto(start);
    await careful.waitForURL('**/auth/mfa/challenge**');
    await careful.getByLabel('Code from your authenticator app').fill(totp.nextCode());
    await careful.locator('main form button').first().click();
    await careful.waitForURL(`${url}/me`);
    expect(await careful.textContent('body')).toContain('ada@example.com');
  },
  240_000,
);
