import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import type { MissingDetail } from '../../core/sign-in/sign-up-rules.js';
import type { LiveToken } from '../../core/tokens/one-time-tokens.js';
import { newId } from '../../crypto/random.js';
import { AuthTunaError } from '../../errors.js';
import type { ProviderAnswer } from './journey.js';

/** A newcomer whom a provider has proved, and whose account still needs details that the options require. */
export interface PendingSignUp {
  status: 'details_required';
  /** For `completeSignUp`, in the browser that came back from the provider. */
  token: string;
  missing: MissingDetail[];
}

/** What waits for the details. */
export interface WaitingAnswer {
  provider: string;
  answer: ProviderAnswer;
  rememberMe: boolean;
  returnTo: string;
}

const PURPOSE = 'provider_sign_up';
const PENDING_SECONDS = 1800; // as long as the browser keeps the token

/** Keeps what a provider said, sealed, while a newcomer fills in the rest. Nothing of an account exists until then. */
export class PendingSignUps {
  readonly #core: SignInCore;

  constructor(core: SignInCore) {
    this.#core = core;
  }

  /** @param browser a value that only this browser has */
  async keep(waiting: WaitingAnswer, browser: string, missing: MissingDetail[]): Promise<PendingSignUp> {
    const { tokens, vault, ledger, config } = this.#core;
    const subject = newId(config.random); // a second tab does not end the first
    const { token, writes } = tokens.issue({
      purpose: PURPOSE,
      subject,
      lifetimeSeconds: PENDING_SECONDS,
      browser,
      data: { sealed: vault.seal(JSON.stringify(waiting), placeOf(subject)) },
    });
    await ledger.commit({ writes, facts: [] });
    return { status: 'details_required', token, missing };
  }

  /** @throws AuthTunaError `invalid_token` for one that is unknown, spent, too old or of another browser */
  async peek(token: string, browser: string | null): Promise<WaitingAnswer & { live: LiveToken }> {
    const live = await this.#core.tokens.peek(token, PURPOSE, browser === null ? {} : { browser });
    const opened = this.#core.vault.open(String(live.data.sealed), placeOf(live.subject));
    if (opened === null)
      throw new AuthTunaError('invalid_token', { reason: 'sealed with an unknown secret' });
    const waiting = JSON.parse(opened) as WaitingAnswer;
    const { tokens } = waiting.answer;
    const expiresAt = tokens.expiresAt === null ? null : new Date(tokens.expiresAt);
    return { ...waiting, answer: { ...waiting.answer, tokens: { ...tokens, expiresAt } }, live };
  }
}

function placeOf(subject: string): string[] {
  return ['OneTimeToken', PURPOSE, subject];
}
