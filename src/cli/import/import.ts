import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SYSTEM } from '../../actor.js';
import type { ImportedUser, ImportReport } from '../../core/users/imported-user.js';
import type { FirebaseParameters } from '../../crypto/recognize-hash.js';
import { optionsFromEnv } from '../../env.js';
import { AuthTunaError } from '../../errors.js';
import { type Command, JSON_OPTION } from '../command.js';
import { APP_OPTION, withInstance } from '../instance.js';
import { hostUsers } from './host-users.js';
import { csvRows, jsonRows, type SourceRow, tableRows } from './sources.js';
import { importedUser, isTarget, type SourceSystem, SYSTEMS, TARGETS } from './systems.js';

export const importUsers: Command = {
  usage: `npx authtuna import --from <system> [file] [--source-url URL] [--table users] [--key id] [--accounts account] [--map hash=password,…] [--dry-run] [--report problems.jsonl] [--json] [--app ./auth.js] [--firebase-parameters file.json]

${Object.entries(SYSTEMS)
  .map(([name, { summary }]) => `    ${name.padEnd(16)} ${summary}`)
  .join('\n')}`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        from: { type: 'string' },
        'source-url': { type: 'string' },
        table: { type: 'string' },
        key: { type: 'string' },
        accounts: { type: 'string' },
        map: { type: 'string', default: '' },
        'dry-run': { type: 'boolean', default: false },
        report: { type: 'string' },
        'firebase-parameters': { type: 'string' },
        ...JSON_OPTION,
        ...APP_OPTION,
      },
    });
    const system = SYSTEMS[values.from ?? ''];
    if (system === undefined) {
      const given = values.from === undefined ? '' : `; ${values.from} is none of these`;
      console.error(`authtuna import: say --from which system${given}\n\n  ${importUsers.usage}`);
      return 2;
    }
    const map = columnsOf(values.map);
    const { table, key, accounts } = values;
    const place = { file: positionals[0], url: values['source-url'], table, key, accounts };
    const firebase = values['firebase-parameters'];
    const given = firebase === undefined ? {} : { firebase: firebaseParameters(firebase) };
    if (system.isModel === true && values.app === undefined)
      throw wrong(
        'reads through your own Prisma client: say --app and the module that exports your AuthTuna',
      );
    const rows =
      system.isModel === true
        ? null
        : converted(rowsOf(system, place), system, { ...system.columns, ...map }, given);
    return withInstance(values.app, async ({ users }, parts) => {
      const report = await users.import(rows ?? hostUsers(parts, place, map), SYSTEM, {
        dryRun: values['dry-run'],
        onProgress: showProgress,
      });
      if (values.report !== undefined)
        writeFileSync(
          values.report,
          report.problems.map((problem) => `${JSON.stringify(problem)}\n`).join(''),
        );
      console.log(values.json === true ? JSON.stringify(report) : described(report, values['dry-run']));
      return report.problems.some(({ isImported }) => !isImported) ? 1 : 0;
    });
  },
};

async function* converted(
  rows: AsyncIterable<SourceRow>,
  system: SourceSystem,
  columns: SourceSystem['columns'],
  given: { firebase?: FirebaseParameters },
): AsyncIterable<ImportedUser> {
  for await (const row of rows) yield importedUser(row, system, columns, given);
}

function rowsOf(
  system: SourceSystem,
  {
    file,
    url,
    table,
    key,
    accounts,
  }: Record<'file' | 'url' | 'table' | 'key' | 'accounts', string | undefined>,
): AsyncIterable<SourceRow> {
  if (system.table === undefined || file !== undefined) {
    if (file === undefined || !existsSync(file))
      throw wrong(`there is no file ${file ?? ''}: name the file to read`);
    return file.endsWith('.csv') ? csvRows(file) : jsonRows(file);
  }
  const source = url ?? optionsFromEnv(process.env).databaseUrl;
  if (source === undefined) throw wrong('say where the table is: --source-url postgresql://…');
  return tableRows(source, {
    table: table ?? system.table,
    key: key ?? system.key ?? 'id',
    accounts: system.accounts && { ...system.accounts, ...(accounts !== undefined && { table: accounts }) },
  });
}

/** `hash=password,created=joined` */
function columnsOf(map: string): Record<string, string> {
  const pairs = map.split(',').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [target = '', column = ''] = pair.split('=', 2);
      if (!isTarget(target) || column === '')
        throw wrong(`--map ${pair}: write ${TARGETS.join(', ')} and the column, such as hash=password`);
      return [target, column];
    }),
  );
}

function firebaseParameters(path: string): FirebaseParameters {
  const given = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  return {
    signerKey: String(given.base64_signer_key ?? given.signerKey),
    saltSeparator: String(given.base64_salt_separator ?? given.saltSeparator ?? ''),
    rounds: Number(given.rounds),
    memCost: Number(given.mem_cost ?? given.memCost),
  };
}

function wrong(message: string): AuthTunaError {
  return new AuthTunaError('invalid_input', { message });
}

function showProgress({ read, imported, existing }: ImportReport): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r${read} read, ${imported} imported, ${existing} there already`);
}

function described(report: ImportReport, isDryRun: boolean): string {
  const kinds = new Map<string, number>();
  for (const { problem } of report.problems) kinds.set(problem, (kinds.get(problem) ?? 0) + 1);
  return [
    `${report.read} read, ${report.imported} ${isDryRun ? 'would be imported' : 'imported'}, ${report.existing} there already, ${report.withoutPassword} without a password that can be taken over.`,
    ...[...kinds].map(([problem, count]) => `  ${count} × ${EXPLAINED[problem] ?? problem}`),
    ...report.problems
      .slice(0, 20)
      .map(
        ({ row, email, problem, isImported }) =>
          `  row ${row}, ${email}: ${problem}${isImported ? '' : ' (not imported)'}`,
      ),
    ...(report.problemCount > 20
      ? [`  … ${report.problemCount} in all; --report FILE writes the first 1000`]
      : []),
  ].join('\n');
}

const EXPLAINED: Readonly<Record<string, string>> = {
  invalid_email: 'no address, or one that is none (not imported)',
  same_address_twice: 'an address that an earlier row has, in another spelling or the same (not imported)',
  unknown_hash: 'a hash of a kind that cannot be compared here; the person chooses a new password',
  invalid_username: 'a username that is not allowed here; imported without it',
  username_taken: 'a username that somebody else has, or one that looks like it; imported without it',
  no_such_user: 'no row of our user model has this id (not imported)',
  has_capitals: 'an address with capitals; imported in lower case',
  conflict: 'taken by somebody else at this moment (not imported)',
};
