const OWN_FIELD = /^data\.([A-Za-z]\w{0,63})$/;

/**
 * The fields of a posted form as a body: `data.displayName` becomes `data: { displayName }`, and fields left empty count as not sent.
 *
 * @param checkboxes fields that are true when they are present
 */
export function fieldsOfForm(
  fields: Readonly<Record<string, unknown>>,
  checkboxes: readonly string[],
): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  const data: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === '') continue;
    const own = OWN_FIELD.exec(name)?.[1];
    if (own !== undefined) data[own] = value;
    else body[name] = checkboxes.includes(name) ? true : value;
  }
  return Object.keys(data).length === 0 ? body : { ...body, data };
}

/** What may stand in a form again after it was refused, under the names of its fields: no password, no code, no secret. */
export function shownAgain(body: unknown): Record<string, unknown> {
  const secret = /password|code|token|secret/i;
  const { data, ...rest } = (body ?? {}) as Record<string, unknown>;
  const own = Object.entries((data ?? {}) as Record<string, unknown>).map(([name, value]) => [
    `data.${name}`,
    value,
  ]);
  return Object.fromEntries(
    [...Object.entries(rest).filter(([name]) => !secret.test(name)), ...own].filter(
      ([, value]) => typeof value === 'string' || value === true,
    ),
  );
}
