import { readFileSync } from 'node:fs';
import { configDefaults, defineConfig } from 'vitest/config';

// Slow and special: run only when their folder is named, as in `vitest run test/race`.
const onDemand = ['test/race', 'test/e2e'].filter(
  (folder) => !process.argv.some((word) => word.includes(folder)),
);
// For the inner loop: without the files that take the most time; see scripts/slow-tests.js.
const slow: string[] = process.env.QUICK ? JSON.parse(readFileSync('test/slow.json', 'utf8')) : [];
const exclude = [
  ...configDefaults.exclude,
  'test/consumers/**',
  ...onDemand.map((folder) => `${folder}/**`),
  ...slow,
];

// On PostgreSQL runs what the database decides: transactions, races, conditional writes, constraints, queries and migrations. What our code
// decides before it asks, or after, is the same on both and runs on SQLite. DATABASES=all runs everything on both.
const onSqliteOnly = [
  'test/client/**',
  'test/cli/main.test.ts',
  'test/contract.test.ts',
  'test/core/access/rank.test.ts',
  'test/core/sessions/cache.test.ts',
  'test/core/sign-in/sign-in-throttle.test.ts',
  'test/core/users/password-policy.test.ts',
  'test/crypto/**',
  'test/db/redis-together.test.ts',
  'test/docs/**',
  'test/features/api-keys/http.test.ts',
  'test/features/auth/sign-up-ways.test.ts',
  'test/features/bearer/tokens.test.ts',
  'test/features/dev-mailbox/**',
  'test/features/mfa/pages.test.ts',
  'test/features/mfa/step-up.test.ts',
  'test/features/mfa/ways-in.test.ts',
  'test/features/passkeys/ceremonies.test.ts',
  'test/features/passwordless/passwordless.test.ts',
  'test/features/social/account.test.ts',
  'test/features/social/sign-in.test.ts',
  'test/features/sso/connections.test.ts',
  'test/http/**',
  'test/layers.test.ts',
  'test/mail/languages.test.ts',
  'test/net/**',
  'test/oauth-client/**',
  'test/remote/**',
  'test/security/rbac.test.ts',
  'test/security/route-matrix.test.ts',
  'test/security/timing.test.ts',
  'test/templates/**',
  'test/types.test.ts',
];

// EXPRESS=4 runs the tests on the oldest Express that is supported; what they start as a process of its own keeps the newest.
const resolve =
  process.env.EXPRESS === '4' ? { alias: [{ find: /^express$/, replacement: 'express-4' }] } : {};

export default defineConfig({
  resolve,
  test: {
    maxWorkers: 3, // on two cores: a test waits for its database a third of the time
    // Nothing in the library lives in a module, so files need not load it again; that alone would take half of the time.
    isolate: false,
    projects: [
      {
        extends: true,
        test: { name: 'sqlite', exclude, provide: { dialect: 'sqlite' } },
      },
      {
        extends: true,
        test: {
          name: 'postgresql',
          exclude: [...exclude, ...(process.env.DATABASES === 'all' ? [] : onSqliteOnly)],
          provide: { dialect: 'postgresql' },
        },
      },
    ],
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // A machine of two cores that runs two suites at once can be late for a limit of time; a wrong answer is wrong twice.
    retry: process.env.CI ? 1 : 0,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
