import type { Config } from '../../config/config.js';
import type { OwnField } from '../../templates/template-data.js';

/** The fields of `signUp.fields`, and after them the boxes of `privacy.consents`, as a form shows them. */
export function ownFields({ signUp, privacy }: Pick<Config, 'signUp' | 'privacy'>): OwnField[] {
  return [
    ...formFields(signUp.fields),
    ...Object.entries(privacy.consents).map(([name, { label, required, url = null }]) => ({
      id: `data.${name}`,
      label,
      required,
      autocomplete: 'off',
      consent: { url },
    })),
  ];
}

/** Declared fields as a form shows them. @param row what is stored and may be seen, where the form changes it: what is left empty there stays */
export function formFields(fields: Config['signUp']['fields'], row?: object): OwnField[] {
  return Object.entries(fields).map(([name, { label, required, autocomplete = 'off' }]) => ({
    id: `data.${name}`,
    label,
    required: required && row === undefined,
    autocomplete,
    ...(row !== undefined && { value: String((row as Record<string, unknown>)[name] ?? '') }),
  }));
}
