// Who takes part. Every row is in `throughput` unless it says `isOnly`; `also` names the other measurements it is in, `brief`
// those of the short form. `subjects` are the requests it is measured with.

const OTHERS = ['steady-rate', 'logins', 'login-flood'];
const ALL = ['throughput', ...OTHERS];
const SPREAD = { also: ['spread'], isOnly: true };

const peers = [
  {
    name: 'Express alone',
    server: 'bare',
    subjects: ['me', 'guarded'],
    also: ['spread', ...OTHERS],
    brief: ALL,
  },
  { name: 'Express + jose cookie', server: 'jose', subjects: ['me'], also: ['steady-rate', 'login-flood'] },
  { name: 'express-session, memory', server: 'express-session', subjects: ['me'] },
  {
    name: 'express-session, PostgreSQL',
    server: 'express-session',
    settings: { database: 'postgresql' },
    subjects: ['me'],
    also: ['steady-rate'],
    brief: ['throughput'],
  },
  { name: 'passport-jwt', server: 'passport-jwt', subjects: ['me'] },
  {
    name: 'passport session and user, PostgreSQL',
    server: 'express-session',
    settings: { database: 'postgresql', passport: true },
    subjects: ['me'],
  },
  betterAuth('SQLite', { database: 'sqlite' }),
  betterAuth('SQLite, cookie cache', { database: 'sqlite', cookieCache: true }),
  {
    ...betterAuth('PostgreSQL', { database: 'postgresql' }),
    also: OTHERS,
    brief: ['throughput', 'steady-rate', 'login-flood'],
  },
  betterAuth('PostgreSQL, cookie cache', { database: 'postgresql', cookieCache: true }),
];

const ours = [
  { ...authTuna('SQLite', { database: 'sqlite' }), also: OTHERS, brief: ALL },
  { ...authTuna('SQLite, API key', { database: 'sqlite', credential: 'api_key' }), brief: ['throughput'] },
  {
    ...authTuna('SQLite, access token', { database: 'sqlite', credential: 'access_token' }),
    brief: ['throughput'],
  },
  {
    ...authTuna('SQLite, remote over HTTP', { database: 'sqlite' }),
    server: 'remote',
    brief: ['throughput'],
  },
  authTuna('SQLite, cold (V = 0)', { database: 'sqlite', recheckSeconds: 0 }),
  { ...authTuna('SQLite, 10,000 sessions', { database: 'sqlite', sessions: 10_000 }), ...SPREAD },
  { ...authTuna('PostgreSQL', { database: 'postgresql' }), also: OTHERS, brief: ['throughput'] },
  {
    ...authTuna('PostgreSQL, cold (V = 0)', { database: 'postgresql', recheckSeconds: 0 }),
    brief: ['throughput'],
  },
  { ...authTuna('PostgreSQL, 10,000 sessions', { database: 'postgresql', sessions: 10_000 }), ...SPREAD },
];

function betterAuth(variant, settings) {
  return { name: `Better Auth, ${variant}`, server: 'better-auth', settings, subjects: ['me', 'guarded'] };
}

function authTuna(variant, settings) {
  return { name: `AuthTuna, ${variant}`, server: 'authtuna', settings, subjects: ['me', 'guarded'] };
}

/** The same rows of an earlier version of this library. `library` is the address of its entry. */
function earlier(library) {
  return ['SQLite', 'PostgreSQL'].map((variant) => ({
    ...authTuna(variant, { database: variant.toLowerCase(), library }),
    name: `AuthTuna before, ${variant}`,
    also: OTHERS,
    brief: ['throughput'],
  }));
}

/**
 * The rows of a measurement, `Express alone` first; `peersOnly` leaves this library out, `names` what begins with none of them. `before` is the
 * entry of an earlier version to measure as well.
 */
export function rowsOf(measurement, { short, peersOnly, names, before }) {
  return [...peers, ...(peersOnly ? [] : ours), ...(before ? earlier(before) : [])].filter(
    ({ name, server, also = [], brief = [], isOnly = false }) =>
      (server === 'bare' || names.some((start) => name.startsWith(start))) &&
      (short
        ? brief.includes(measurement)
        : (measurement === 'throughput' && !isOnly) || also.includes(measurement)),
  );
}
