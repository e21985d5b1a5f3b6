import {
  browserSupportsWebAuthn,
  browserSupportsWebAuthnAutofill,
  startAuthentication,
  startRegistration,
} from '@simplewebauthn/browser';

type RegistrationOptions = Parameters<typeof startRegistration>[0]['optionsJSON'];
type AuthenticationOptions = Parameters<typeof startAuthentication>[0]['optionsJSON'];

/** A refusal, as the server's problem document tells it. */
export class AuthTunaClientError extends Error {
  override readonly name = 'AuthTunaClientError';
  /** One of the server's error codes; `unknown` for an answer that is none of its. */
  readonly code: string;
  readonly status: number;
  /** The code's own fields: `errors`, `factors`, `stepUp`, `max_age`, … */
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(status: number, problem: Readonly<Record<string, unknown>>) {
    super(typeof problem.detail === 'string' ? problem.detail : `The server answered ${status}.`);
    this.code = typeof problem.code === 'string' ? problem.code : 'unknown';
    this.status = status;
    this.problem = problem;
  }
}

export interface ClientOptions {
  /** Where the auth router is mounted. Default `/auth`. */
  authPath?: string;
  /** Default: the browser's. */
  fetch?: typeof fetch;
}

/** What a sign-in came to: the user, or the ways in which the second factor can be proved. */
export type SignInAnswer<U = Record<string, unknown>> =
  | { user: U }
  | { secondFactor: { factors: ('totp' | 'recovery_code' | 'passkey')[] } };

/** A passkey as `passkeys.list()` shows it. */
export interface ClientPasskey {
  id: string;
  name: string;
  transports: string[];
  isBackedUp: boolean;
  createdAt: string;
  lastUsedAt: string | null;
}

export interface AuthTunaClient {
  /**
   * `fetch`, repeated once after 250 ms when the answer is 401 `superseded`: another tab has received the newer cookie, and the server did
   * nothing with the old one. A body that can be read only once (a stream) is not repeated.
   */
  fetch(input: string | URL, init?: RequestInit): Promise<Response>;
  /** Sends and receives JSON. @throws AuthTunaClientError for every answer that is not 2xx */
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  passkeys: {
    /** Whether this browser knows passkeys at all. */
    isSupported(): boolean;
    /** Adds a passkey to the account of the signed-in user. */
    register(options?: { name?: string }): Promise<{ passkey: ClientPasskey; recoveryCodesLeft: number }>;
    /** Makes an account that has a passkey and no password. */
    signUp(details: {
      email: string;
      username?: string;
      /** Fields of the server's `signUp.fields`. */
      data?: Readonly<Record<string, unknown>>;
      /** What the widget produced, where the server asks whether this is a person. */
      humanCheck?: string;
    }): Promise<{ user: Record<string, unknown> } | { status: 'verification_required' }>;
    signIn(): Promise<SignInAnswer>;
    /**
     * Offers passkeys below an input with `autocomplete="username webauthn"`, until one is chosen; null where the browser cannot. Ends with
     * an `AbortError` when another ceremony begins.
     */
    signInFromField(): Promise<SignInAnswer | null>;
    /** Completes a sign-in that waits for its second factor. */
    secondFactor(): Promise<SignInAnswer>;
    /** Proves anew who is signed in. */
    stepUp(): Promise<void>;
    list(): Promise<ClientPasskey[]>;
    rename(id: string, name: string): Promise<void>;
    remove(id: string): Promise<void>;
  };
  /** Proves anew who is signed in, by password and, where one is enrolled, a code. */
  stepUp(proof: { password?: string; code?: string }): Promise<void>;
}

const SUPERSEDED_MS = 250;

// Long: one object whose methods share the state of one page.
/**
 * The browser's side: requests that survive the renewal of a cookie, and the ceremonies of passkeys.
 *
 *     const client = createAuthTunaClient();
 *     await client.passkeys.signIn();
 *
 * @throws TypeError for an option that there is not
 */
export function createAuthTunaClient(options: ClientOptions = {}): AuthTunaClient {
  const odd = Object.keys(options).find((option) => option !== 'authPath' && option !== 'fetch');
  if (odd !== undefined) throw new TypeError(`createAuthTunaClient: ${odd} is not an option`);
  const { authPath = '/auth', fetch: send = globalThis.fetch.bind(globalThis) } = options;

  const client: AuthTunaClient = {
    async fetch(input, init) {
      const response = await send(input, init);
      if (response.status !== 401 || init?.body instanceof ReadableStream) return response;
      const problem = (await response
        .clone()
        .json()
        .catch(() => null)) as { code?: unknown } | null;
      if (problem?.code !== 'superseded') return response;
      await new Promise((resolve) => setTimeout(resolve, SUPERSEDED_MS));
      return send(input, init);
    },

    async request<T>(method: string, path: string, body?: unknown): Promise<T> {
      const response = await client.fetch(authPath + path, {
        method,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const answer: unknown = text === '' ? null : parse(text);
      if (!response.ok)
        throw new AuthTunaClientError(response.status, (answer ?? {}) as Record<string, unknown>);
      return answer as T;
    },

    passkeys: {
      isSupported: browserSupportsWebAuthn,

      async register({ name } = {}) {
        const optionsJSON = await client.request<RegistrationOptions>(
          'POST',
          '/passkeys/register/options',
          {},
        );
        const response = await startRegistration({ optionsJSON });
        return client.request('POST', '/passkeys/register', {
          ...response,
          ...(name !== undefined && { name }),
        });
      },

      async signUp(details) {
        const path = '/passkeys/register/options';
        const optionsJSON = await client.request<RegistrationOptions>('POST', path, details);
        return client.request('POST', '/passkeys/register', await startRegistration({ optionsJSON }));
      },

      signIn: () => ceremony('sign_in'),

      async signInFromField() {
        return (await browserSupportsWebAuthnAutofill()) ? ceremony('sign_in', true) : null;
      },

      secondFactor: () => ceremony('second_factor'),

      async stepUp() {
        await ceremony('step_up');
      },

      async list() {
        return (await client.request<{ items: ClientPasskey[] }>('GET', '/passkeys')).items;
      },

      async rename(id, name) {
        await client.request('PATCH', `/passkeys/${encodeURIComponent(id)}`, { name });
      },

      async remove(id) {
        await client.request('DELETE', `/passkeys/${encodeURIComponent(id)}`);
      },
    },

    async stepUp(proof) {
      await client.request('POST', '/step-up', proof);
    },
  };
  return client;

  async function ceremony(
    purpose: 'sign_in' | 'second_factor' | 'step_up',
    useBrowserAutofill = false,
  ): Promise<SignInAnswer> {
    const path = '/passkeys/sign-in';
    const optionsJSON = await client.request<AuthenticationOptions>('POST', `${path}/options`, { purpose });
    const response = await startAuthentication({ optionsJSON, useBrowserAutofill });
    try {
      return await client.request('POST', path, { ...response, purpose });
    } catch (error) {
      const isGone = error instanceof AuthTunaClientError && error.problem.isGone === true;
      if (isGone) await forgetPasskey(optionsJSON.rpId, response.id);
      throw error;
    }
  }
}

/** Tells the browser that a passkey was removed here, where it can be told; it then stops offering it. @see WebAuthn Level 3, section 5.1.10 */
async function forgetPasskey(rpId: string | undefined, credentialId: string): Promise<void> {
  const { PublicKeyCredential: known } = globalThis as {
    PublicKeyCredential?: { signalUnknownCredential?(options: object): Promise<void> };
  };
  await known?.signalUnknownCredential?.({ rpId, credentialId }).catch(() => undefined);
}

/** JSON, or nothing where a proxy answered with a page of its own. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
