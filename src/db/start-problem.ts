/** The message of a connection that was refused because its server follows another one. */
export const IS_REPLICA = 'the server is a replica';

/** Signs of a fault in the messages and codes of the drivers, and what the operator does about it. The first that fits counts. */
const SIGNS: readonly [sign: RegExp, sentence: string][] = [
  [
    new RegExp(IS_REPLICA),
    'is a replica, which can only be read and is behind. Name the primary in databaseUrl, or an address that leads to it.',
  ],
  [
    /pg_hba\.conf/,
    'does not let this machine in: its pg_hba.conf has no entry for it, or demands TLS (?sslmode=require).',
  ],
  [
    /28P01|28000|AuthenticationFailed|password authentication failed|SASL/,
    'refuses the user or the password. Correct them in databaseUrl; @ : / # ? % in a password are written as %40 %3A %2F %23 %3F %25.',
  ],
  [
    /3D000|DatabaseDoesNotExist|database .* does not exist/,
    'has no database of that name. Create it, or correct databaseUrl.',
  ],
  [
    /self.?signed|SELF_SIGNED|unable to (get|verify)|CERT_|ERR_TLS|TlsConnectionError|does not support SSL|certificate/,
    'fails at TLS. Check sslmode in databaseUrl, and that the authority of its certificate is trusted here (NODE_EXTRA_CA_CERTS).',
  ],
  [/unsupported startup parameter/, 'is behind PgBouncer. Add ?pgbouncer=true to databaseUrl.'],
  [
    /53300|too many (connections|clients)|TooManyConnections|max_client_conn/,
    'has no free connection. Lower connection_limit in databaseUrl, or raise its own limit.',
  ],
  [/ENOSPC|SQLITE_FULL|53100|disk is full|No space left/i, 'has no space left on its disk.'],
  [
    /42501|permission denied/i,
    'does not let this user create or change tables. Give it the rights, for example: GRANT CREATE ON SCHEMA public TO <user>.',
  ],
  [
    /read.?only|25006|SQLITE_READONLY|EROFS/i,
    'can only be read. Give the app the right to write, or name the primary server.',
  ],
  [
    /EACCES|EPERM|ENOTDIR|EEXIST|SQLITE_CANTOPEN|unable to open|ConnectionFailed|: 14\b/,
    'cannot be opened. Create its folder, and let the user of this process write there.',
  ],
  [/SQLITE_NOTADB|not a database/, 'is a file of another kind. Name another file in databaseUrl.'],
  [
    /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNRESET|timeout|took longer|terminated|Can't reach/i,
    'cannot be reached. Is it running, are host and port in databaseUrl right, and may this machine connect?',
  ],
];

/** Why a start failed at the database, and what to do, in a sentence for the operator. The password of the URL is never in it. */
export function startProblem(error: unknown, databaseUrl: string | undefined): string {
  const signs = [...signsOf(error, new Set())];
  const text = signs.join('\n');
  const [, sentence] = SIGNS.find(([sign]) => sign.test(text)) ?? [];
  const first = signs.find((sign) => sign !== '' && !sign.startsWith('The service cannot answer'));
  return `The database ${databaseName(databaseUrl)} ${sentence ?? `cannot be used: ${first ?? 'no reason is known'}`}`;
}

/** Where a database is, for a person to recognize it: without user, password and parameters. */
export function databaseName(databaseUrl: string | undefined): string {
  if (databaseUrl === undefined) return 'of your Prisma client';
  if (databaseUrl.startsWith('file:') || !URL.canParse(databaseUrl))
    return databaseUrl.split('?', 1)[0] ?? '';
  const { protocol, host, pathname } = new URL(databaseUrl);
  return `${protocol}//${host}${pathname}`;
}

/** Messages and codes of an error and of all that it was caused by. Adapters keep the server's own code in plain objects. */
function* signsOf(error: unknown, seen: Set<unknown>): Generator<string> {
  if (typeof error !== 'object' || error === null || seen.has(error)) return;
  seen.add(error);
  const { message, code, kind, originalCode, originalMessage, cause, errors } = error as Record<
    string,
    unknown
  >;
  for (const sign of [message, code, kind, originalCode, originalMessage])
    if (typeof sign === 'string') yield sign;
  yield* signsOf(cause, seen);
  for (const each of Array.isArray(errors) ? errors : []) yield* signsOf(each, seen);
}
