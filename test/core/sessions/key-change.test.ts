import { expect, onTestFinished, test } from 'vitest';
import { TestClock } from '../../../src/testing/index.js';
import { SECRET, startApp } from '../../support/app.js';
import { Browser } from '../../support/browser.js';
import { freshDatabase } from '../../support/database.js';

const NEWEST = 'b7tY5nR8cJ2hL6pD4sF0gAZk3vQ9xW1m';

test('a new secret that is put behind the old one first, and then in front, signs nobody out in a rolling restart (SM-2)', async () => {
  const database = await freshDatabase();
  onTestFinished(() => database.drop());
  const clock = new TestClock();
  const start = (...secrets: string[]) =>
    startApp({ secrets, baseUrl: 'http://localhost:3000' }, { database, clock });
  const [old, behind, inFront] = [
    await start(SECRET),
    await start(SECRET, NEWEST),
    await start(NEWEST, SECRET),
  ];
  const { browser } = await old.signedIn();
  /** The same browser at another instance, as behind a load balancer. */
  const at = (instance: typeof old) => {
    const there = new Browser(instance.url);
    for (const [name, value] of browser.jar) there.jar.set(name, value);
    return {
      async visit() {
        const { status } = await there.post('/me/x', {}, { headers: { origin: 'http://localhost:3000' } });
        for (const [name, value] of there.jar) browser.jar.set(name, value);
        return status;
      },
    };
  };
  // First restart: some instances know the new secret, and none signs with it.
  for (const instance of [old, behind, old, behind]) {
    clock.advance({ minutes: 11 });
    expect(await at(instance).visit()).toBe(200);
    expect(await at(instance === old ? behind : old).visit()).toBe(200);
  }
  // Second restart: some sign with it, and all know it.
  for (const instance of [inFront, behind, inFront, behind]) {
    clock.advance({ minutes: 11 });
    expect(await at(instance).visit()).toBe(200);
    expect(await at(instance === behind ? inFront : behind).visit()).toBe(200);
  }
});
