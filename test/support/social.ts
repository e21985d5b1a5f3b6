import { type AuthTunaOptions, type OidcOptions, oidc } from '../../src/index.js';
import { TestClock } from '../../src/testing/index.js';
import { startApp, type TestInstance } from './app.js';
import type { Browser } from './browser.js';
import {
  CLIENT,
  type LyingProvider,
  type Person,
  startLyingProvider,
  startOpenIdProvider,
  type TestOpenIdProvider,
} from './openid-provider.js';

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

export interface LyingApp extends TestInstance {
  lying: LyingProvider;
  /** Sends a new browser through the provider and back. @param query changes what the browser comes back with */
  attempt(query?: (parameters: URLSearchParams) => void): Promise<{ answer: Response; ada: Browser }>;
  /** The log lines that begin with the id of the provider. */
  faults(): { level: string; message: string; facts?: object }[];
}

/** An app with one provider, `oidc`, that says whatever the test wants. @param neededClaims as a row of the host's own may have them */
export async function startLyingApp(
  provider: Partial<OidcOptions> = {},
  options: Partial<AuthTunaOptions> = {},
  neededClaims?: readonly string[],
): Promise<LyingApp> {
  const lying = await startLyingProvider();
  const made = oidc({ issuer: lying.issuer, ...CLIENT, ...provider });
  const app = await startApp(
    { ...options, social: { providers: [{ ...made, ...(neededClaims !== undefined && { neededClaims }) }] } },
    { clock: new TestClock(new Date()) },
  );
  return {
    ...app,
    lying,
    async attempt(query) {
      const ada = app.browser();
      const start = await ada.get('/auth/social/oidc/login');
      if (start.status !== 303) return { answer: start, ada };
      const back = new URL(lying.answerTo(start.headers.get('location') ?? ''));
      query?.(back.searchParams);
      return { answer: await ada.get(back.pathname + back.search), ada };
    },
    faults: () => app.logger.lines.filter(({ message }) => message.startsWith('oidc ')),
  };
}
