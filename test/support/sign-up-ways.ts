import { onTestFinished } from 'vitest';
import type { AuthTunaOptions } from '../../src/index.js';
import { type MockProvider, startMockProvider, TestClock } from '../../src/testing/index.js';
import { PASSWORD } from './app.js';
import { Authenticator } from './authenticator.js';
import { Browser } from './browser.js';
import { type MailedApp, startMailedApp, tokenIn } from './mailed-app.js';
import { ownColumns } from './own-columns.js';

const BASE_URL = 'http://localhost:3999';

export interface SignUpDetails {
  email: string;
  username?: string;
  data?: Record<string, unknown>;
}

/** One way in which strangers make accounts, up to the answer that says how it went. */
export type SignUpWayDriver = (apps: SignUpApps, details: SignUpDetails) => Promise<Response>;

/** Two instances on one database: what begins at one can end at the other, which has changed options. */
export interface SignUpApps {
  first: MailedApp;
  last: MailedApp;
  mock: MockProvider;
  /** A browser that talks to the first instance and goes on, with its cookies, at the last. */
  browsers(): { atFirst: Browser; atLast(): Browser };
}

/** @param options of the last instance; the first one lets everybody in and asks for the same details */
export async function startSignUpApps(options: Partial<AuthTunaOptions>): Promise<SignUpApps> {
  const clock = new TestClock();
  const mock = await startMockProvider({ clock });
  onTestFinished(() => mock.close());
  const { database, prisma } = await ownColumns();
  const common: Partial<AuthTunaOptions> = {
    baseUrl: BASE_URL,
    prisma,
    passwordless: { magicLink: { bindToBrowser: false } },
    social: { providers: [mock.provider] },
  };
  const { username, fields } = options.signUp ?? {};
  const asked = { ...(username !== undefined && { username }), ...(fields !== undefined && { fields }) };
  const first = await startMailedApp({ ...common, signUp: asked }, { database, clock });
  const last = await startMailedApp({ ...common, ...options }, { database, clock });
  return {
    first,
    last,
    mock,
    browsers() {
      const atFirst = new Browser(first.url);
      return {
        atFirst,
        atLast() {
          const copy = new Browser(last.url);
          for (const [name, value] of atFirst.jar) copy.jar.set(name, value);
          return copy;
        },
      };
    },
  };
}

export const SIGN_UP_WAYS: Readonly<Record<string, SignUpWayDriver>> = {
  password: ({ last }, details) => last.browser().post('/auth/signup', { ...details, password: PASSWORD }),

  async passkey(apps, { email, ...details }) {
    const { atFirst, atLast } = apps.browsers();
    const begun = await atFirst.post('/auth/passkeys/register/options', { email, ...details });
    if (begun.status !== 200) return begun;
    const options = (await begun.json()) as { challenge: string; user: { id: string } };
    return atLast().post('/auth/passkeys/register', new Authenticator(BASE_URL).create(options));
  },

  async magicLink(apps, { email, ...details }) {
    await apps.first.browser().post('/auth/passwordless/link', { email });
    const token = tokenIn(await apps.first.mailTo(email), '/auth/passwordless/link/open');
    return apps.last.browser().post('/auth/passwordless/link/consume', { token, ...details });
  },

  async provider(apps, { email, ...details }) {
    const { atFirst, atLast } = apps.browsers();
    apps.mock.signInAs({ email });
    const start = await atFirst.get('/auth/social/mock/login');
    const sent = await fetch(start.headers.get('location') ?? '', { redirect: 'manual' });
    const back = (sent.headers.get('location') ?? '').slice(BASE_URL.length);
    const browser = atLast();
    const answer = await browser.get(back);
    if (answer.status !== 202) return answer;
    const { token } = (await answer.json()) as { token: string };
    return browser.post('/auth/social/sign-up', { token, ...details });
  },
};
