import { createHash } from 'node:crypto';
import { equalInConstantTime } from '../../crypto/digest.js';
import { AuthTunaError } from '../../errors.js';
import type { AuthenticationResponse, RegistrationResponse } from './schemas.js';
import { loadWebAuthn, type WebAuthn } from './webauthn.js';

/** Why a response was refused; told to the caller as `failure`, since it says nothing about accounts. */
export type CeremonyFailure =
  | 'malformed'
  | 'wrong_type'
  | 'wrong_challenge'
  | 'replayed'
  | 'wrong_origin'
  | 'cross_origin'
  | 'wrong_rp'
  | 'user_not_present'
  | 'user_not_verified'
  | 'wrong_backup_state'
  | 'unknown_credential'
  | 'wrong_user_handle'
  | 'wrong_signature'
  | 'wrong_counter'
  | 'unsupported_algorithm'
  | 'registered_already';

/** EdDSA, ES256, RS256: what all authenticators in use can do one of. */
export const ALGORITHMS = [-8, -7, -257];

export interface RelyingParty {
  rpId: string;
  origins: readonly string[];
}

/** What the browser says it was asked. */
export interface ClientData {
  type: string;
  challenge: string;
  origin: string;
  crossOrigin: unknown;
  topOrigin: unknown;
}

/** A stored credential as far as verification needs it. */
export interface StoredCredential {
  credentialId: string;
  publicKey: string;
  userHandle: string;
  counter: bigint;
  isBackupEligible: boolean;
}

export function refused(
  failure: CeremonyFailure,
  cause?: unknown,
  facts: Readonly<Record<string, unknown>> = {},
): AuthTunaError {
  const details = { message: 'The passkey was not accepted.', reason: failure, failure, ...facts };
  return new AuthTunaError('invalid_credentials', details, cause === undefined ? undefined : { cause });
}

/** Reads the client data and checks all of it but the challenge. @throws AuthTunaError `invalid_credentials` with `failure` */
export function readClientData(
  encoded: string,
  type: 'webauthn.create' | 'webauthn.get',
  rp: RelyingParty,
): ClientData {
  const data = parse(encoded);
  if (data.type !== type) throw refused('wrong_type');
  if (!rp.origins.includes(data.origin)) throw refused('wrong_origin');
  // The library refuses neither a frame on another site nor a contradiction between the two fields.
  if (![undefined, false].includes(data.crossOrigin as undefined) || data.topOrigin !== undefined)
    throw refused('cross_origin');
  return data;
}

function parse(encoded: string): ClientData {
  try {
    const { type, challenge, origin, crossOrigin, topOrigin } = JSON.parse(
      Buffer.from(encoded, 'base64url').toString('utf8'),
    ) as Record<string, unknown>;
    if (typeof type === 'string' && typeof challenge === 'string' && typeof origin === 'string')
      return { type, challenge, origin, crossOrigin, topOrigin };
  } catch {
    // told below like any other nonsense
  }
  throw refused('malformed');
}

/**
 * Verifies a registration whose client data was read and whose challenge was spent.
 *
 * @throws AuthTunaError `invalid_credentials` with `failure`
 * @see W3C WebAuthn Level 3 section 7.1; docs/requirements.md PK-2, PK-3, PK-5, PK-6
 */
export async function verifyRegistration(
  response: RegistrationResponse,
  challenge: string,
  rp: RelyingParty,
) {
  const webAuthn = await loadWebAuthn();
  const { decodeAttestationObject, isoBase64URL } = webAuthn;
  const { flags } = checkAuthenticatorData(
    webAuthn,
    attempt(() =>
      decodeAttestationObject(isoBase64URL.toBuffer(response.response.attestationObject)).get('authData'),
    ),
    rp,
    true,
  );
  const verified = await webAuthn
    .verifyRegistrationResponse({
      response: response as Parameters<WebAuthn['verifyRegistrationResponse']>[0]['response'],
      expectedChallenge: challenge,
      expectedOrigin: [...rp.origins],
      expectedRPID: rp.rpId,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    })
    .catch((error: unknown) => {
      throw refused(/alg/.test(String(error)) ? 'unsupported_algorithm' : 'malformed', error);
    });
  if (verified.verified !== true) throw refused('wrong_signature');
  const { credential, aaguid } = verified.registrationInfo;
  return {
    credentialId: credential.id,
    publicKey: Buffer.from(credential.publicKey).toString('base64url'),
    counter: BigInt(credential.counter),
    aaguid,
    isBackupEligible: flags.be,
    isBackedUp: flags.bs,
  };
}

/**
 * Verifies an assertion whose client data was read and whose challenge was spent.
 *
 * `isCounterBehind` is left to the caller: a copied authenticator is answered differently in each ceremony.
 * @throws AuthTunaError `invalid_credentials` with `failure`
 * @see W3C WebAuthn Level 3 section 7.2; docs/requirements.md PK-2 to PK-5
 */
export async function verifyAuthentication(
  response: AuthenticationResponse,
  challenge: string,
  rp: RelyingParty,
  credential: StoredCredential,
  options: { requireUserVerification: boolean },
) {
  const { userHandle } = response.response;
  if (userHandle == null || !equalInConstantTime(userHandle, credential.userHandle))
    throw refused('wrong_user_handle');
  const webAuthn = await loadWebAuthn();
  const { flags } = checkAuthenticatorData(
    webAuthn,
    attempt(() => webAuthn.isoBase64URL.toBuffer(response.response.authenticatorData)),
    rp,
    options.requireUserVerification,
  );
  // Some vaults begin to sync a passkey that they made for one device. The other way round it is another authenticator.
  if (credential.isBackupEligible && !flags.be) throw refused('wrong_backup_state');
  const verified = await webAuthn
    .verifyAuthenticationResponse({
      response: response as Parameters<WebAuthn['verifyAuthenticationResponse']>[0]['response'],
      expectedChallenge: challenge,
      expectedOrigin: [...rp.origins],
      expectedRPID: rp.rpId,
      // The counter is judged below, after the signature: an unsigned one says nothing.
      credential: {
        id: credential.credentialId,
        publicKey: new Uint8Array(Buffer.from(credential.publicKey, 'base64url')),
        counter: 0,
      },
      requireUserVerification: options.requireUserVerification,
    })
    .catch((error: unknown) => {
      throw refused('malformed', error);
    });
  if (verified.verified !== true) throw refused('wrong_signature');
  const counter = BigInt(verified.authenticationInfo.newCounter);
  return {
    counter,
    isCounterBehind: (counter > 0n || credential.counter > 0n) && counter <= credential.counter,
    userVerified: flags.uv,
    isBackedUp: flags.bs,
    isBackupEligible: flags.be,
  };
}

function checkAuthenticatorData(
  { parseAuthenticatorData }: WebAuthn,
  data: Uint8Array<ArrayBuffer>,
  rp: RelyingParty,
  requireUserVerification: boolean,
) {
  const { rpIdHash, flags } = attempt(() => parseAuthenticatorData(new Uint8Array(data)));
  if (!Buffer.from(rpIdHash).equals(createHash('sha256').update(rp.rpId, 'utf8').digest()))
    throw refused('wrong_rp');
  if (!flags.up) throw refused('user_not_present');
  if (requireUserVerification && !flags.uv) throw refused('user_not_verified');
  if (flags.bs && !flags.be) throw refused('wrong_backup_state');
  return { flags };
}

function attempt<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw refused('malformed', error);
  }
}
