import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';

/** A self-signed certificate for a host (or localhost and 127.0.0.1), made here so that no key lies about; it is its own authority. */
export function selfSigned(host = 'localhost'): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: pem(certificate(host, privateKey, publicKey)),
  };
}

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_ID = 0x06;
const UTF8 = 0x0c;
const TIME = 0x18;
const ECDSA_WITH_SHA256 = der(SEQUENCE, der(OBJECT_ID, '2a8648ce3d040302'));
const COMMON_NAME = der(OBJECT_ID, '550403');
const BASIC_CONSTRAINTS = der(OBJECT_ID, '551d13');
const SUBJECT_ALT_NAME = der(OBJECT_ID, '551d11');

/** RFC 5280 section 4.1, as small as Node accepts it. */
function certificate(host: string, privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8, Buffer.from(host)))));
  const validity = der(
    SEQUENCE,
    der(TIME, Buffer.from('20200101000000Z')),
    der(TIME, Buffer.from('20990101000000Z')),
  );
  const loopback = host === 'localhost' ? [der(0x87, '7f000001')] : [];
  const altNames = der(SEQUENCE, der(0x82, Buffer.from(host)), ...loopback);
  const isAuthority = der(SEQUENCE, der(0x01, 'ff'));
  const extensions = der(
    SEQUENCE,
    der(SEQUENCE, SUBJECT_ALT_NAME, der(OCTET_STRING, altNames)),
    der(SEQUENCE, BASIC_CONSTRAINTS, der(OCTET_STRING, isAuthority)),
  );
  const body = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, '02')), // version 3
    der(INTEGER, '01'),
    ECDSA_WITH_SHA256,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = createSign('sha256').update(body).sign(privateKey);
  return der(SEQUENCE, body, ECDSA_WITH_SHA256, der(BIT_STRING, '00', signature));
}

/** Tag, length, contents; a text is hexadecimal. */
function der(tag: number, ...parts: (Buffer | string)[]): Buffer {
  const contents = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : part)),
  );
  const { length } = contents;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), contents]);
}

function pem(bytes: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}
