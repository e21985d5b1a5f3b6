import { generateSync } from 'otplib';
import type { TestClock } from '../../src/testing/index.js';
import type { TestInstance } from './app.js';
import { PASSWORD } from './app.js';
import type { Browser } from './browser.js';

/** The code that an authenticator app with this secret shows, some steps from now. */
export function totpCode(secret: string, clock: Pick<TestClock, 'now'>, steps = 0): string {
  return generateSync({ secret, epoch: Math.floor(clock.now().getTime() / 1000) + steps * 30 });
}

export interface Enrolled {
  secret: string;
  recoveryCodes: string[];
  /** The code of the present step; time moves on first, so that it was not used yet. */
  nextCode(): string;
}

/** Enrols an authenticator app over HTTP for whoever the browser is signed in as. */
export async function enrolTotp(app: Pick<TestInstance, 'clock'>, browser: Browser): Promise<Enrolled> {
  const begun = await json(browser.post('/auth/mfa/totp'), 201);
  const confirmed = await json(
    browser.post('/auth/mfa/totp/confirm', { code: totpCode(begun.secret, app.clock) }),
    201,
  );
  return {
    secret: begun.secret,
    recoveryCodes: confirmed.recoveryCodes,
    nextCode() {
      app.clock.advance({ seconds: 30 });
      return totpCode(begun.secret, app.clock);
    },
  };
}

/** A browser whose sign-in waits for the second factor. */
export async function halfSignedIn(app: TestInstance, login: string): Promise<Browser> {
  const browser = app.browser();
  const answer = await browser.post('/auth/login', { login, password: PASSWORD });
  if (answer.status !== 202) throw new Error(`expected 202, got ${answer.status} ${await answer.text()}`);
  return browser;
}

export async function json(
  answer: Response | Promise<Response>,
  status?: number,
): Promise<ReturnType<typeof JSON.parse>> {
  const response = await answer;
  const text = await response.text();
  if (status !== undefined && response.status !== status)
    throw new Error(`expected ${status}, got ${response.status} ${text}`);
  return text === '' ? null : JSON.parse(text);
}
