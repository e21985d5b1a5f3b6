import type { ImportedUser } from '../../core/users/imported-user.js';
import { describeFields, schemaOfClient } from '../../db/schema/client-schema.js';
import { delegateName, hostModelName } from '../../db/schema/model-names.js';
import { parseModels } from '../../db/schema/schema-text.js';
import { AuthTunaError } from '../../errors.js';
import type { Parts } from '../../parts.js';
import type { SourceRow } from './sources.js';
import { importedUser, type SourceSystem } from './systems.js';

const PAGE = 1000;

/** Names that apps give to the column of a hash, the commonest first. */
export const HASH_COLUMNS = [
  'passwordHash',
  'hashedPassword',
  'password_hash',
  'hashed_password',
  'encryptedPassword',
  'password',
] as const;

/**
 * The users in a model of the host's own client. Where the model is ours as well, its rows are completed; otherwise each gets one of our
 * users beside it.
 *
 * @throws AuthTunaError `invalid_input` for a model that is not there or leads to no user of ours
 */
export async function* hostUsers(
  { client, core }: Parts,
  { table = 'User', key }: { table?: string | undefined; key?: string | undefined },
  map: SourceSystem['columns'],
): AsyncIterable<ImportedUser> {
  const fields = describeFields(client, table).map(({ name }) => name);
  if (fields.length === 0) throw refused(`your client has no model ${table}: say --table`);
  const ours = hostModelName(core.config.models, 'User');
  const id = key ?? 'id';
  const foreignKey = table === ours ? null : foreignKeyTo(client, ours, table);
  const columns = { ...columnsIn(fields), ...map };
  const system: SourceSystem = { summary: '', columns };
  for await (const row of modelRows(client, table, id)) {
    const user = importedUser(row, system, columns, {});
    yield foreignKey === null
      ? { ...user, id: String(row[id]) }
      : { ...user, data: { [foreignKey]: row[id] } };
  }
}

/** The column of our user model that refers to the host's. */
function foreignKeyTo(client: object, ours: string, table: string): string {
  const model = parseModels(schemaOfClient(client) ?? '').find(({ name }) => name === ours);
  const relation = [...(model?.fields.values() ?? [])].find(
    ({ type, relationFields }) => type === table && (relationFields?.length ?? 0) > 0,
  );
  const column = relation?.relationFields?.[0];
  if (column === undefined)
    throw refused(`the model ${ours} has no relation to ${table}; npx authtuna init writes one`);
  return column;
}

function columnsIn(fields: readonly string[]): SourceSystem['columns'] {
  const first = (...names: readonly string[]) => names.find((name) => fields.includes(name));
  const entries = {
    email: first('email'),
    username: first('username'),
    hash: first(...HASH_COLUMNS),
    verified: first('emailVerified'),
    created: first('createdAt', 'created_at'),
  };
  return Object.fromEntries(Object.entries(entries).filter(([, column]) => column !== undefined));
}

interface Model {
  findMany(args: object): Promise<SourceRow[]>;
}

async function* modelRows(client: object, table: string, key: string): AsyncIterable<SourceRow> {
  const model = (client as Record<string, Model | undefined>)[delegateName(table)] as Model;
  let last: unknown;
  for (;;) {
    const rows = await model.findMany({
      ...(last !== undefined && { where: { [key]: { gt: last } } }),
      orderBy: { [key]: 'asc' },
      take: PAGE,
    });
    yield* rows;
    if (rows.length < PAGE) return;
    last = rows.at(-1)?.[key];
  }
}

function refused(message: string): AuthTunaError {
  return new AuthTunaError('invalid_input', { message });
}
