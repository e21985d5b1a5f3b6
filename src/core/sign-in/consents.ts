import type { Config } from '../../config/config.js';
import type { FieldError } from '../../errors.js';
import type { Write } from '../changes/ledger.js';
import type { Runtime } from '../runtime.js';

export type ConsentPurposes = Config['privacy']['consents'];

/** What a sign-up says of the declared purposes, and the rest of its `data`, which is for the columns of the host. */
export interface CheckedConsents {
  /** The purposes that the person agrees to. */
  given: string[];
  rest: Record<string, unknown>;
  errors: FieldError[];
}

/** Whether a box was ticked, in JSON or by a form. */
function isTicked(value: unknown): boolean {
  return value === true || value === 'on';
}

/** The purposes that an account needs and this `data` does not give. */
export function missingConsents(
  purposes: ConsentPurposes,
  data: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(purposes)
    .filter(([name, { required }]) => required && !isTicked(data[name]))
    .map(([name]) => name);
}

/** Separates consents from fields of the host. Silence and a box that is not ticked are no consent. */
export function checkConsents(
  purposes: ConsentPurposes,
  data: Readonly<Record<string, unknown>>,
): CheckedConsents {
  const entries = Object.entries(data);
  const ofPurposes = entries.filter(([name]) => Object.hasOwn(purposes, name));
  return {
    given: ofPurposes.filter(([, value]) => isTicked(value)).map(([name]) => name),
    rest: Object.fromEntries(entries.filter(([name]) => !Object.hasOwn(purposes, name))),
    errors: [
      ...ofPurposes
        .filter(([, value]) => !isTicked(value) && value !== false)
        .map(([name]) => ({
          field: `data.${name}`,
          rule: 'invalid_format' as const,
          message: 'must be true or false',
        })),
      ...missingConsents(purposes, data).map((name) => ({
        field: `data.${name}`,
        rule: 'required' as const,
        message: 'is required',
      })),
    ],
  };
}

/** Stores what a new account agrees to, each in the version of today. */
export function consentWrites(runtime: Runtime, userId: string, given: readonly string[]): Write[] {
  const { db, config } = runtime;
  const givenAt = runtime.now();
  return given.map((purpose) =>
    db.consent.create({ data: { userId, purpose, version: versionOf(config, purpose), givenAt } }),
  );
}

/** By purpose, the version that was agreed to; for the audit log. */
export function versionsOf(config: Config, given: readonly string[]): Record<string, string> {
  return Object.fromEntries(given.map((purpose) => [purpose, versionOf(config, purpose)]));
}

function versionOf({ privacy }: Config, purpose: string): string {
  return privacy.consents[purpose]?.version ?? '';
}
