import { type AuthTunaOptions, oidc } from '../../src/index.js';
import { TestClock } from '../../src/testing/index.js';
import { startApp, type TestInstance } from './app.js';
import type { Browser } from './browser.js';
import { CLIENT, type Person, startOpenIdProvider, type TestOpenIdProvider } from './openid-provider.js';

export interface SocialApp extends TestInstance {
  idp: TestOpenIdProvider;
  /** Sends a browser through the provider and back; the answer is that of the callback. */
  signIn(browser: Browser, person?: Person, query?: string): Promise<Response>;
  /** As `signIn`, but stops before the callback. */
  toCallback(browser: Browser, person?: Person, query?: string): Promise<string>;
}

/** An app with one OpenID provider, `oidc`. The provider lives in real time, so the clock starts now. */
export async function startSocialApp(
  options: Partial<AuthTunaOptions> = {},
  provider: { keepTokens?: boolean } = {},
): Promise<SocialApp> {
  const idp = await startOpenIdProvider();
  const app = await startApp(
    {
      ...options,
      social: { providers: [oidc({ issuer: idp.issuer, ...CLIENT, ...provider })], ...options.social },
    },
    { clock: new TestClock(new Date()) },
  );
  await idp.allow(`${app.url}/auth/social/oidc/callback`);
  const toCallback = async (browser: Browser, person: Person = idp.person, query = '') => {
    idp.person = person;
    const start = await browser.get(`/auth/social/oidc/login${query}`);
    if (start.status !== 303) throw new Error(`start: ${start.status} ${await start.text()}`);
    const back = await idp.visit(start.headers.get('location') ?? '');
    return back.slice(app.url.length);
  };
  return {
    ...app,
    idp,
    toCallback,
    signIn: async (browser, person, query) => browser.get(await toCallback(browser, person, query)),
  };
}
