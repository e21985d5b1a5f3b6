import { expect, onTestFinished, test } from 'vitest';
import { startMockProvider, TestClock } from '../../../src/testing/index.js';
import { startMailedApp } from '../../support/mailed-app.js';
import type { PageVisitor } from '../../support/page-visitor.js';

const EVA = 'eva@example.com';

async function start() {
  const clock = new TestClock();
  const mock = await startMockProvider({ clock });
  onTestFinished(() => mock.close());
  mock.signInAs({ email: EVA, name: 'Eva' });
  const app = await startMailedApp(
    { social: { providers: [mock.provider] }, signUp: { username: 'required' } },
    { clock },
  );
  /** To the provider and back to the page that the callback leads to. */
  const comeBack = async (visitor: PageVisitor) => {
    const begun = await visitor.browser.get('/auth/social/mock/login?returnTo=%2Fpublic%3Ftab%3D1');
    const sent = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' });
    return visitor.open((sent.headers.get('location') ?? '').slice(app.url.length));
  };
  return { ...app, mock, comeBack };
}

test('a newcomer from a provider is asked for the required username before the account exists, and comes to where they wanted', async () => {
  const app = await start();
  const visitor = app.visitor();
  const page = await app.comeBack(visitor);
  expect(page.html).toContain('Mock provider has confirmed who you are');
  expect(page.html).toContain(EVA);
  expect(await app.authTuna.users.findByEmail(EVA)).toBeNull();
  app.clock.advance({ minutes: 12 });
  const refused = await visitor.send(page, { username: 'e@va' });
  expect([refused.status, refused.html.includes('Use 3 to 32 letters')]).toEqual([422, true]);
  const done = await visitor.submit(refused, { username: 'eva' });
  expect([done.status, done.headers.get('location')]).toEqual([303, '/public?tab=1']);
  expect(await (await visitor.browser.get('/me')).json()).toMatchObject({ email: EVA, username: 'eva' });
  // The next time nothing is asked.
  const again = app.visitor();
  await app.comeBack(again);
  expect((await again.browser.get('/me')).status).toBe(200);
});

test('a waiting sign-up counts in the browser that came back, once, and for half an hour (OA-1)', async () => {
  const app = await start();
  const tokenOf = async () => {
    const browser = app.browser();
    const begun = await browser.get('/auth/social/mock/login');
    const sent = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' });
    const answer = await browser.get((sent.headers.get('location') ?? '').slice(app.url.length));
    expect(answer.status).toBe(202);
    const { token, missing } = (await answer.json()) as { token: string; missing: string[] };
    expect(missing).toEqual(['username']);
    return { browser, token };
  };
  const late = await tokenOf();
  app.clock.advance({ minutes: 31 });
  const complete = (browser: typeof late.browser, token: string, username = 'eva') =>
    browser.post('/auth/social/sign-up', { token, username });
  expect((await complete(late.browser, late.token)).status).toBe(400);
  const { browser, token } = await tokenOf();
  expect((await complete(app.browser(), token)).status).toBe(400);
  const made = await complete(browser, token);
  expect([made.status, await made.json()]).toMatchObject([201, { user: { username: 'eva' } }]);
  expect((await complete(browser, token, 'eva2')).status).toBe(400);
});

test('a closed sign-up is said on the page to which a newcomer comes back', async () => {
  const clock = new TestClock();
  const mock = await startMockProvider({ clock });
  onTestFinished(() => mock.close());
  mock.signInAs({ email: EVA });
  for (const [signUp, text] of [
    [{ enabled: false }, 'new accounts cannot be made at the moment'],
    [{ allowedEmailDomains: ['other.example'] }, 'of a domain that cannot sign up here'],
  ] as const) {
    const app = await startMailedApp({ social: { providers: [mock.provider] }, signUp }, { clock });
    const visitor = app.visitor();
    const begun = await visitor.browser.get('/auth/social/mock/login');
    const sent = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' });
    const page = await visitor.open((sent.headers.get('location') ?? '').slice(app.url.length));
    expect(page.html).toContain(text);
  }
});
