import { expect, test } from 'vitest';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { claimsOf, inDatabase, sessionCookieOf } from '../../support/sessions.js';

// Two holders of one cookie that keep up with each other are never told apart by the cookie.

// Another version of the same browser: it scores nothing.
const THIEF = 'Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0';

async function stolen() {
  const app = await startApp();
  const { browser: owner, user } = await app.signedIn('ada@example.com');
  await owner.get('/me');
  return { app, owner, user, thief: owner.stolen(THIEF), sessionId: claimsOf(owner).sid };
}

const ask = async (browser: Browser) => {
  const answer = await browser.post('/me/x');
  return { status: answer.status, isRenewed: sessionCookieOf(answer) !== undefined };
};

/** One generation in which the thief has the session rotated, and the owner fetches the same successor. */
async function takeTurns(app: TestInstance, first: Browser, second: Browser, gapSeconds = 20) {
  app.clock.advance({ seconds: 601 });
  expect(await ask(first)).toEqual({ status: 200, isRenewed: true });
  app.clock.advance({ seconds: gapSeconds });
  const answer = await ask(second);
  if (answer.status === 200) expect((await ask(second)).status).toBe(200); // acknowledges
  return answer;
}

const audited = async (app: TestInstance, type: string) =>
  (await app.authTuna.audit.list({ type: type as never })).items.map(({ reason }) => reason);

test('a copy that keeps up with its owner locks the session in the third generation, and a step-up leaves it behind (SS-15)', async () => {
  const { app, owner, thief, sessionId } = await stolen();
  for (const generation of [1, 2])
    expect(await takeTurns(app, thief, owner), String(generation)).toEqual({ status: 200, isRenewed: true });
  expect((await takeTurns(app, thief, owner)).status).toBe(401);
  for (const browser of [owner, thief])
    expect(await (await browser.get('/me')).json()).toMatchObject({ code: 'recent_login_required' });
  expect(await audited(app, 'session.locked')).toEqual(['two_holders']);

  expect((await owner.post('/auth/step-up', { password: PASSWORD })).status).toBe(200);
  expect((await ask(owner)).status).toBe(200);
  expect((await ask(thief)).status).toBe(401);
  expect(claimsOf(owner).sid).toBe(sessionId);
});

test('a copy that asks for the successor again and again while its owner is away locks it in one generation', async () => {
  const { app, owner, thief } = await stolen();
  app.clock.advance({ seconds: 601 });
  const late = owner.stolen(); // the owner's answers are lost
  expect((await ask(late)).status).toBe(200);
  const codes: number[] = [];
  for (const browser of [thief.stolen(), owner.stolen(), thief.stolen()]) {
    app.clock.advance({ seconds: 20 });
    codes.push((await ask(browser)).status);
  }
  expect(codes).toEqual([200, 200, 401]);
});

test('lost answers, bursts over two networks and one quiet generation ask for nothing', async () => {
  const { app, owner, thief } = await stolen();
  for (let generation = 0; generation < 6; generation += 1) {
    app.clock.advance({ seconds: 601 });
    expect((await ask(owner.stolen())).status).toBe(200); // lost
    app.clock.advance({ seconds: 60 });
    expect(await ask(owner)).toEqual({ status: 200, isRenewed: true });
    expect((await ask(owner)).status).toBe(200);
  }
  for (let generation = 0; generation < 6; generation += 1)
    expect((await takeTurns(app, thiefOf(owner), owner, 4)).status).toBe(200); // the requests of one page
  for (let generation = 0; generation < 6; generation += 1) {
    const gap = generation % 3 === 2 ? 4 : 20;
    expect((await takeTurns(app, thiefOf(owner), owner, gap)).status).toBe(200);
  }
  expect(await audited(app, 'session.locked')).toEqual([]);
  expect(thief.userAgent).not.toBe(owner.userAgent);
});

test('such a lock comes once a day, and the next one is recorded only', async () => {
  const { app, owner, sessionId } = await stolen();
  const unlock = () =>
    inDatabase(app, (client) =>
      client.session.update({ where: { id: sessionId }, data: { lockedAt: null } }),
    );
  for (let generation = 0; generation < 3; generation += 1) await takeTurns(app, thiefOf(owner), owner);
  expect(await audited(app, 'session.locked')).toEqual(['two_holders']);
  await unlock();
  await inDatabase(app, (client) =>
    client.session.update({ where: { id: sessionId }, data: { contests: 0, contestedAt: null } }),
  );
  await ask(owner);
  await ask(owner);
  for (let generation = 0; generation < 4; generation += 1)
    expect((await takeTurns(app, thiefOf(owner), owner)).status).toBe(200);
  expect(await audited(app, 'session.suspicious')).toEqual(['two_holders']);
  expect(await audited(app, 'session.locked')).toHaveLength(1);
});

/** A copy that shows what its owner has now. */
function thiefOf(owner: Browser): Browser {
  return owner.stolen(THIEF);
}
