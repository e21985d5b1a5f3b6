import { configDefaults, defineConfig } from 'vitest/config';

// Slow and special: run only when their folder is named, as in `vitest run test/race`.
const onDemand = ['test/race', 'test/e2e'].filter(
  (folder) => !process.argv.some((word) => word.includes(folder)),
);
const exclude = [...configDefaults.exclude, 'test/consumers/**', ...onDemand.map((folder) => `${folder}/**`)];

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
          // What never meets a database, and what does the same on every one, is tested once.
          exclude: [
            ...exclude,
            'test/crypto/**',
            'test/net/**',
            'test/oauth-client/**',
            'test/http/pages/**',
            'test/http/host-habits.test.ts',
            'test/http/caller/slow-body.test.ts',
            'test/http/caller/upgrade.test.ts',
            'test/http/guards/csrf.test.ts',
            'test/http/guards/mistakes.test.ts',
            'test/features/dev-mailbox/**',
            'test/features/mfa/pages.test.ts',
            'test/mail/languages.test.ts',
            'test/security/route-matrix.test.ts',
            'test/security/timing.test.ts',
            'test/cli/main.test.ts',
            'test/core/users/password-policy.test.ts',
            'test/templates/**',
            'test/layers.test.ts',
            'test/docs/**',
            'test/types.test.ts',
          ],
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
