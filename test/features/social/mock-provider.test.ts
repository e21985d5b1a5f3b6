import { expect, onTestFinished, test } from 'vitest';
import { createAuthTuna } from '../../../src/index.js';
import { startMockProvider, TestClock } from '../../../src/testing/index.js';
import { SECRET, startApp } from '../../support/app.js';

test('the mock provider signs in as whoever is picked, and lets people cancel', async () => {
  const clock = new TestClock();
  const mock = await startMockProvider({ clock });
  onTestFinished(() => mock.close());
  const { browser, url } = await startApp({ social: { providers: [mock.provider] } }, { clock });
  const ada = browser();
  const go = async (as: string) => {
    const start = await ada.get('/auth/social/mock/login');
    const page = await fetch(start.headers.get('location') ?? '');
    expect(await page.text()).toContain('Grace');
    const picked = await fetch(`${start.headers.get('location')}&as=${as}`, { redirect: 'manual' });
    return ada.get((picked.headers.get('location') ?? '').slice(url.length));
  };
  expect((await go('cancel')).status).toBe(400);
  expect((await go('1')).status).toBe(303);
  expect(await (await ada.get('/me')).json()).toMatchObject({ email: 'grace@example.com' });

  mock.signInAs({ email: 'new@example.com', sub: 'new' });
  const other = browser();
  const start = await other.get('/auth/social/mock/login');
  const sent = await fetch(start.headers.get('location') ?? '', { redirect: 'manual' });
  expect((await other.get((sent.headers.get('location') ?? '').slice(url.length))).status).toBe(303);
});

test('the mock provider, and any other over http, is refused at start where the app is on https', async () => {
  const mock = await startMockProvider();
  onTestFinished(() => mock.close());
  const create = () =>
    createAuthTuna({
      baseUrl: 'https://app.example.com',
      secrets: [SECRET],
      signUp: { requireVerifiedEmail: false },
      social: { providers: [mock.provider, mock.provider], linkVerifiedEmails: ['google'] },
    });
  expect(create).toThrow(/must be https/);
  expect(create).toThrow(/taken by another provider/);
  expect(create).toThrow(/google is not one of the providers/);
});
