// Shows that sign-ins that wait for their turn cost nothing meanwhile, and that a known browser has no more turns than a person needs.
import { availableParallelism } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { PASSWORD, startApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { countingClient } from '../../support/counting-client.js';
import { freshDatabase } from '../../support/database.js';

const AT_ONCE = availableParallelism() + 2;
const MANY = { timeout: 120_000 };
const PASSWORDS = { bcryptCost: 8 }; // slow enough that many wait

/** The cookies with which a flood may come: what each browser of it holds, after one sign-in of its own. */
const FLOODS: Record<string, (known: string) => string | undefined> = {
  'no cookie': () => undefined,
  'an invented cookie': (known) => known.replace(/\.[\w-]{22}\./, `.${'A'.repeat(22)}.`),
  'the cookie of a known browser': (known) => known,
};

test.each(Object.entries(FLOODS))(
  'of 150 sign-ins at once with %s no more than can be checked have asked the database anything (DO-1, LG-6)',
  MANY,
  async (_name, cookieFrom) => {
    const database = await freshDatabase();
    onTestFinished(() => database.drop());
    const { client, statements } = countingClient(database);
    onTestFinished(() => client.$disconnect());
    const app = await startApp({ prisma: client, password: PASSWORDS }, { database });
    await app.authTuna.jobs.stop();
    const { user, browser } = await app.signedIn();
    const cookie = cookieFrom(browser.jar.get('at_device') as string);
    statements.length = 0;
    let askedAtFirstAnswer = 0;
    await Promise.all(
      Array.from({ length: 150 }, async () => {
        const sender = app.browser();
        if (cookie !== undefined) sender.jar.set('at_device', cookie);
        await sender.post('/auth/login', { login: user.email, password: 'not the password at all' });
        askedAtFirstAnswer ||= statements.filter((sql) => /^SELECT .*User.* WHERE .*email/.test(sql)).length;
      }),
    );
    expect(askedAtFirstAnswer).toBeGreaterThan(0);
    // Beside those that are under way, the few that ended before their sender heard of it.
    expect(askedAtFirstAnswer).toBeLessThanOrEqual(AT_ONCE + 6);
  },
);

test(
  'a known browser that signs in 200 times at once keeps nobody waiting who is known in another (LG-6, DO-1)',
  MANY,
  async () => {
    const app = await startApp({ password: PASSWORDS });
    const eve = await app.signedIn();
    const ada = await app.signedIn();
    let answered = 0;
    const signIn = ({ user, browser }: { user: { email: string }; browser: Browser }) =>
      browser.post('/auth/login', { login: user.email, password: PASSWORD });
    const flood = Promise.all(
      Array.from({ length: 200 }, async () => {
        const browser = app.browser();
        browser.jar.set('at_device', eve.browser.jar.get('at_device') as string);
        await signIn({ user: eve.user, browser });
        answered += 1;
      }),
    );
    while (answered === 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await signIn(ada)).status).toBe(200);
    expect(answered).toBeLessThan(60);
    await flood;
  },
);
