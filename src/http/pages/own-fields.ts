import type { Config } from '../../config/config.js';
import type { OwnField } from '../../templates/template-data.js';

/** The fields of `signUp.fields`, as a form shows them. */
export function ownFields({ signUp }: Pick<Config, 'signUp'>): OwnField[] {
  return Object.entries(signUp.fields).map(([name, { label, required, autocomplete = 'off' }]) => ({
    id: `data.${name}`,
    label,
    required,
    autocomplete,
  }));
}
