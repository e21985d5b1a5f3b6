import { generateURI, ScureBase32Plugin, verifySync } from 'otplib';
import { renderSVG } from 'uqr';
import type { SealedColumn } from '../../core/changes/reseal.js';
import { typedCode } from '../../core/typed.js';
import type { Random } from '../../crypto/random.js';

const SEED_BYTES = 20; // 160 bits, RFC 4226 section 4 R6
const STEP_SECONDS = 30;

const base32 = new ScureBase32Plugin();

/** A new seed, in the base32 that authenticator apps take. */
export function newSeed(random: Random): string {
  return base32.encode(random.bytes(SEED_BYTES));
}

/**
 * The time step whose code this is: the present one, the one before or the one after, for clocks that differ; null for any other.
 *
 * @see RFC 6238 section 5.2; docs/requirements.md TO-3
 */
export function matchingStep(seed: string, code: string, now: Date): number | null {
  const result = verifySync({
    secret: seed,
    token: code,
    epoch: Math.floor(now.getTime() / 1000),
    epochTolerance: STEP_SECONDS,
  });
  return result.valid && 'timeStep' in result ? result.timeStep : null;
}

/** What an app needs to know, as a link and as an image of it that is drawn here: the seed stands in no address that is requested. */
export function enrollment(
  seed: string,
  issuer: string,
  label: string,
): { secret: string; otpauthUrl: string; qrCode: string } {
  const otpauthUrl = generateURI({ issuer, label, secret: seed });
  const svg = renderSVG(otpauthUrl, { ecc: 'M', border: 2 });
  return {
    secret: seed,
    otpauthUrl,
    qrCode: `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`,
  };
}

/** The time step whose code was typed, or null when it is none of the accepted ones. */
export function stepOf(seed: string, code: string, now: Date): number | null {
  const digits = typedCode(code);
  return /^\d{6}$/.test(digits) ? matchingStep(seed, digits, now) : null;
}

/** The place a confirmed seed is sealed for. */
export function seedPlace(id: string): string[] {
  return ['Totp', 'sealed', id];
}

/** The seeds of authenticator apps. */
export const SEALED_SEEDS: SealedColumn = {
  model: 'totp',
  column: 'sealed',
  name: 'authenticator apps',
  place: seedPlace,
};
