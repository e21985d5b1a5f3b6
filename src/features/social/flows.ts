import type { Core } from '../../core/core.js';
import { sha256 } from '../../crypto/digest.js';
import { newId } from '../../crypto/random.js';
import { isMissing } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';

/** What a person set out to do when they were sent to a provider. */
export interface Flow {
  provider: string;
  /** For linking: who, and in which session. */
  link: { userId: string; sessionId: string } | null;
  /** A path of this site. */
  returnTo: string;
  rememberMe: boolean;
}

export interface StartedFlow extends Flow {
  codeVerifier: string;
  nonce: string;
}

const FLOW_SECONDS = 600;
const PURPOSE = 'social_flow';
const VERIFIER_BYTES = 32; // 43 characters, the least that RFC 7636 4.1 allows and all the chance it needs

/**
 * The state of a journey to a provider and back: a one-time token that names a row with provider, verifier, nonce and destination, and works
 * in the browser that began it only.
 *
 * @see RFC 9700 4.7; docs/requirements.md OA-1, OA-4
 */
export class Flows {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async begin(flow: Flow, browser: string): Promise<{ state: string; codeVerifier: string; nonce: string }> {
    const { random } = this.#core.config;
    const codeVerifier = random.bytes(VERIFIER_BYTES).toString('base64url');
    const nonce = random.bytes(VERIFIER_BYTES).toString('base64url');
    // A subject of its own: a second tab does not end the journey of the first.
    const subject = newId(random);
    const { token, writes } = this.#core.tokens.issue({
      purpose: PURPOSE,
      subject,
      lifetimeSeconds: FLOW_SECONDS,
      browser,
      data: {
        ...flow,
        sealed: this.#core.vault.seal(JSON.stringify({ codeVerifier, nonce }), placeOf(subject)),
      },
    });
    await this.#core.ledger.commit({ writes, facts: [] });
    return { state: token, codeVerifier, nonce };
  }

  /**
   * Ends a journey: the state is spent here, before the provider is asked anything, whatever comes of it.
   *
   * @throws AuthTunaError `invalid_token` for a state that is unknown, spent, too old, of another browser or of another provider
   */
  async end(state: string | undefined, provider: string, browser: string | null): Promise<StartedFlow> {
    if (state === undefined || browser === null) throw refused('no state');
    const live = await this.#core.tokens.peek(state, PURPOSE, { browser }).catch(async (error: unknown) => {
      if (!(error instanceof AuthTunaError) || error.code !== 'invalid_token') throw error;
      throw refused(error.details.reason ?? 'state', await this.#former(state, browser));
    });
    const { sealed, ...flow } = live.data as unknown as Flow & { sealed: string };
    try {
      await this.#core.ledger.commit({ writes: [live.spend], facts: [] });
    } catch (error) {
      throw isMissing(error) ? refused('state was spent') : error;
    }
    if (flow.provider !== provider) throw refused('other provider');
    const opened = this.#core.vault.open(sealed, placeOf(live.subject));
    if (opened === null) throw refused('sealed with an unknown secret');
    return { ...flow, ...(JSON.parse(opened) as { codeVerifier: string; nonce: string }) };
  }

  /** The journey of a state that is over, for the browser that began it: where the person wanted to go is still worth knowing. */
  async #former(state: string, browser: string): Promise<Flow | null> {
    const row = await this.#core.tokens.recall(state, PURPOSE);
    return row?.browserHash === sha256(browser) ? (row.data as unknown as Flow) : null;
  }
}

function placeOf(subject: string): string[] {
  return ['OneTimeToken', 'social_flow', subject];
}

function refused(reason: string, former: Partial<Flow> | null = null): AuthTunaError {
  return new AuthTunaError('invalid_token', {
    message: 'This sign-in was begun elsewhere or too long ago. Please start again.',
    reason: `state: ${reason}`,
    ...(former?.returnTo !== undefined && { returnTo: former.returnTo }),
  });
}
