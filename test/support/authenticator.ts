import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** What an authenticator can be made to do wrong. */
export interface Forgery {
  type?: string;
  origin?: string;
  challenge?: string;
  crossOrigin?: boolean;
  topOrigin?: string;
  rpId?: string;
  /** Flags to set or clear: `uv`, `up`, `be`, `bs`. */
  flags?: Partial<Record<'up' | 'uv' | 'be' | 'bs', boolean>>;
  userHandle?: string | null;
  counter?: number;
  credentialId?: string;
  signature?: string;
}

interface Credential {
  id: string;
  privateKey: KeyObject;
  userHandle: string;
  counter: number;
}

const FLAG = { up: 0x01, uv: 0x04, be: 0x08, bs: 0x10, at: 0x40 };

/**
 * An authenticator in software, with one ES256 credential at a time: what a browser and a security key do together, and what an attacker can
 * make of it.
 */
export class Authenticator {
  readonly credentials: Credential[] = [];
  readonly #origin: string;
  readonly #rpId: string;
  readonly #aaguid: string;
  /** Set for one that counts; 0 never moves, like most synced passkeys. */
  readonly #counts: boolean;

  constructor(origin: string, options: { counts?: boolean; aaguid?: string } = {}) {
    this.#origin = origin;
    this.#rpId = new URL(origin).hostname;
    this.#counts = options.counts ?? false;
    this.#aaguid = options.aaguid ?? '00000000-0000-0000-0000-000000000000';
  }

  /** `navigator.credentials.create()` */
  create(options: { challenge: string; user: { id: string } }, forgery: Forgery = {}) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const id = forgery.credentialId ?? randomBytes(16).toString('base64url');
    const credential: Credential = { id, privateKey, userHandle: options.user.id, counter: 0 };
    this.credentials.push(credential);
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const coordinate = (value: string) =>
      Buffer.concat([Buffer.from([0x58, 32]), Buffer.from(value, 'base64url')]);
    // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
    const cose = Buffer.concat([
      Buffer.from('a5010203262001', 'hex'),
      Buffer.from('21', 'hex'),
      coordinate(x),
      Buffer.from('22', 'hex'),
      coordinate(y),
    ]);
    const rawId = Buffer.from(id, 'base64url');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(rawId.length);
    const attested = Buffer.concat([
      Buffer.from(this.#aaguid.replaceAll('-', ''), 'hex'),
      length,
      rawId,
      cose,
    ]);
    const authData = Buffer.concat([this.#authenticatorData(credential, forgery, FLAG.at), attested]);
    // {"fmt": "none", "attStmt": {}, "authData": bytes}
    const header = Buffer.alloc(3);
    header[0] = 0x59;
    header.writeUInt16BE(authData.length, 1);
    const attestationObject = Buffer.concat([
      Buffer.from([0xa3, 0x63]),
      Buffer.from('fmt'),
      Buffer.from([0x64]),
      Buffer.from('none'),
      Buffer.from([0x67]),
      Buffer.from('attStmt'),
      Buffer.from([0xa0, 0x68]),
      Buffer.from('authData'),
      header,
      authData,
    ]);
    return {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: this.#clientData('webauthn.create', options.challenge, forgery),
        attestationObject: attestationObject.toString('base64url'),
        transports: ['internal', 'hybrid'],
      },
    };
  }

  /** `navigator.credentials.get()`, with the newest credential unless another is given. */
  get(options: { challenge: string }, forgery: Forgery = {}, credential = this.credentials.at(-1)) {
    if (credential === undefined) throw new Error('this authenticator holds no credential');
    if (this.#counts) credential.counter += 1;
    const clientDataJSON = this.#clientData('webauthn.get', options.challenge, forgery);
    const authenticatorData = this.#authenticatorData(credential, forgery, 0);
    const signed = Buffer.concat([
      authenticatorData,
      createHash('sha256').update(Buffer.from(clientDataJSON, 'base64url')).digest(),
    ]);
    const id = forgery.credentialId ?? credential.id;
    const userHandle = forgery.userHandle === undefined ? credential.userHandle : forgery.userHandle;
    return {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON,
        authenticatorData: authenticatorData.toString('base64url'),
        signature: forgery.signature ?? sign('sha256', signed, credential.privateKey).toString('base64url'),
        ...(userHandle !== null && { userHandle }),
      },
    };
  }

  #clientData(type: string, challenge: string, forgery: Forgery): string {
    return Buffer.from(
      JSON.stringify({
        type: forgery.type ?? type,
        challenge: forgery.challenge ?? challenge,
        origin: forgery.origin ?? this.#origin,
        crossOrigin: forgery.crossOrigin ?? false,
        ...(forgery.topOrigin !== undefined && { topOrigin: forgery.topOrigin }),
      }),
    ).toString('base64url');
  }

  #authenticatorData(credential: Credential, forgery: Forgery, more: number): Buffer {
    const wanted = { up: true, uv: true, be: true, bs: true, ...forgery.flags };
    const flags = (['up', 'uv', 'be', 'bs'] as const).reduce(
      (bits, name) => (wanted[name] ? bits | FLAG[name] : bits),
      more,
    );
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(forgery.counter ?? credential.counter);
    return Buffer.concat([
      createHash('sha256')
        .update(forgery.rpId ?? this.#rpId)
        .digest(),
      Buffer.from([flags]),
      counter,
    ]);
  }
}
