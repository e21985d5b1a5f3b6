import type { Config } from '../../config/config.js';
import type { OwnField } from '../../templates/template-data.js';

/** The fields of `signUp.fields`, and after them the boxes of `privacy.consents`, as a form shows them. */
export function ownFields({ signUp, privacy }: Pick<Config, 'signUp' | 'privacy'>): OwnField[] {
  return [
    ...Object.entries(signUp.fields).map(([name, { label, required, autocomplete = 'off' }]) => ({
      id: `data.${name}`,
      label,
      required,
      autocomplete,
    })),
    ...Object.entries(privacy.consents).map(([name, { label, required, url = null }]) => ({
      id: `data.${name}`,
      label,
      required,
      autocomplete: 'off',
      consent: { url },
    })),
  ];
}
