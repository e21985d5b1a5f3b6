/** A field as a generated client knows it. */
export interface ClientField {
  name: string;
  /** `scalar`, `enum`, or `object` for a relation. */
  kind: string;
  /** `String`, `Int`, … or the name of a model or enum. */
  type: string;
}

interface Generated {
  _engineConfig?: { inlineSchema?: unknown };
  _runtimeDataModel?: { models?: Record<string, { fields?: ClientField[] }> };
}

/** The text of the schema that a client was generated from; null where the client does not carry it. */
export function schemaOfClient(client: object): string | null {
  const text = (client as Generated)._engineConfig?.inlineSchema;
  return typeof text === 'string' && text !== '' ? text : null;
}

/** The models of a client, each with its fields; empty where the client does not carry them. */
export function modelsOfClient(client: object): ReadonlyMap<string, readonly ClientField[]> {
  const models = (client as Generated)._runtimeDataModel?.models ?? {};
  return new Map(Object.entries(models).map(([name, { fields }]) => [name, fields ?? []]));
}

/** The fields of one model of a client; none for a model that it does not have. */
export function describeFields(client: object, model: string): readonly ClientField[] {
  return modelsOfClient(client).get(model) ?? [];
}
