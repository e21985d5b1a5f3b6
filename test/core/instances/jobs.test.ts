import { afterEach, expect, test, vi } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { inDatabase, startSibling } from '../../support/sessions.js';

afterEach(() => void vi.useRealTimers());

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

test('of many instances one runs a job, and the others are told so', async () => {
  const app = await startApp();
  const siblings = await Promise.all(Array.from({ length: 3 }, () => startSibling(app)));
  let { open, opened } = gate();
  let runs = 0;
  const all = [app, ...siblings];
  for (const { authTuna } of all)
    authTuna.jobs.add({
      name: 'count',
      everySeconds: 3600,
      async run() {
        runs += 1;
        await opened;
        return `run ${runs}`;
      },
    });
  const answers = all.map(({ authTuna }) =>
    authTuna.jobs.run('count').catch((error: { code: string }) => error.code),
  );
  expect(await Promise.race(answers)).toBe('conflict');
  const running = await app.authTuna.jobs.status();
  expect(running.find(({ name }) => name === 'count')).toMatchObject({ isRunning: true, lastRunAt: null });
  open();
  expect((await Promise.all(answers)).sort()).toEqual(['conflict', 'conflict', 'conflict', 'run 1']);
  const seen = await siblings[2]?.authTuna.jobs.status();
  expect(seen?.find(({ name }) => name === 'count')).toEqual({
    name: 'count',
    everySeconds: 3600,
    isRunning: false,
    lastRunAt: app.clock.now(),
    lastNote: 'run 1',
  });
  // Once more, now that the job has a row that all of them have read.
  ({ open, opened } = gate());
  const again = all.map(({ authTuna }) =>
    authTuna.jobs.run('count').catch((error: { code: string }) => error.code),
  );
  expect(await Promise.race(again)).toBe('conflict');
  open();
  expect((await Promise.all(again)).sort()).toEqual(['conflict', 'conflict', 'conflict', 'run 2']);
});

test('a holder that crashed is replaced when its lease has expired, not before', async () => {
  const app = await startApp();
  app.authTuna.jobs.add({ name: 'count', everySeconds: 60, run: async () => 'done' });
  const expiresAt = new Date(app.clock.now().getTime() + 60_000);
  await inDatabase(app, (client) =>
    client.lease.create({ data: { name: 'count', holder: 'an instance that was killed', expiresAt } }),
  );
  await expect(app.authTuna.jobs.run('count')).rejects.toMatchObject({ code: 'conflict' });
  app.clock.advance({ seconds: 61 });
  expect(await app.authTuna.jobs.run('count')).toBe('done');
});

test('whoever finds its lease taken over is told to stop', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const app = await startApp();
  const started = gate();
  app.authTuna.jobs.add({
    name: 'long',
    everySeconds: 60,
    run: (signal) =>
      new Promise((resolve) => {
        started.open();
        signal.addEventListener('abort', () => resolve('stopped'));
      }),
  });
  const answer = app.authTuna.jobs.run('long');
  await started.opened;
  await inDatabase(app, (client) =>
    client.lease.update({ where: { name: 'long' }, data: { holder: 'another' } }),
  );
  vi.advanceTimersByTime(15_000);
  expect(await answer).toBe('stopped');
  expect(
    await inDatabase(app, (client) => client.lease.findUnique({ where: { name: 'long' } })),
  ).toMatchObject({
    holder: 'another',
    lastRunAt: null,
  });
});

test('a job that fails says so, and runs again', async () => {
  const app = await startApp();
  let fails = true;
  app.authTuna.jobs.add({
    name: 'shaky',
    everySeconds: 60,
    async run() {
      if (fails) throw new Error('secret detail');
      return 'fine';
    },
  });
  await expect(app.authTuna.jobs.run('shaky')).rejects.toThrow('secret detail');
  const failed = (await app.authTuna.jobs.status()).find(({ name }) => name === 'shaky');
  expect(failed?.lastNote).toBe('failed; the log says why');
  fails = false;
  expect(await app.authTuna.jobs.run('shaky')).toBe('fine');
  await expect(app.authTuna.jobs.run('unknown')).rejects.toMatchObject({ code: 'not_found' });
});

test('jobs run by themselves when they are due, on one of two instances', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const app = await startApp();
  const sibling = await startSibling(app);
  let runs = 0;
  const { open, opened } = gate();
  for (const { authTuna } of [app, sibling])
    authTuna.jobs.add({
      name: 'tick',
      everySeconds: 10,
      async run() {
        runs += 1;
        open();
        return 'ticked';
      },
    });
  vi.advanceTimersByTime(10_000);
  await opened;
  await app.authTuna.jobs.stop();
  await sibling.authTuna.jobs.stop();
  expect(runs).toBe(1);
  vi.advanceTimersByTime(60_000);
  expect(runs).toBe(1);
});

test('the clean-up removes what has ended, and nothing that lives (D20)', async () => {
  const app = await startApp({
    permissions: { project: ['read'] },
    roles: { reader: { permissions: ['project:read'] } },
  });
  const { authTuna, clock } = app;
  const { browser, user } = await app.signedIn();
  const remembered = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM, { rememberMe: true });
  const revoked = await authTuna.sessions.create(user.id, ['pwd'], SYSTEM, { rememberMe: true });
  await authTuna.sessions.revoke(revoked.session.id, SYSTEM);
  const role = { userId: user.id, role: 'reader' };
  await authTuna.roles.assign(
    { ...role, scope: 'global', expiresAt: new Date(clock.now().getTime() + 60_000) },
    SYSTEM,
  );
  await authTuna.roles.assign({ ...role, scope: 'project:7' }, SYSTEM);
  const now = clock.now();
  const token = { purpose: 'test', secretHash: 'x', createdAt: now };
  const inADay = new Date(now.getTime() + 90_000_000);
  await inDatabase(app, async (client) => {
    const old = Array.from({ length: 1100 }, (_, i) => ({
      ...token,
      id: `old${i}`,
      subject: `s${i}`,
      expiresAt: now,
    }));
    await client.oneTimeToken.createMany({ data: old });
    await client.oneTimeToken.create({
      data: { ...token, id: 'spent', subject: 'a', expiresAt: inADay, usedAt: now },
    });
    await client.oneTimeToken.create({
      data: { ...token, id: 'live', subject: 'b', expiresAt: new Date(now.getTime() + 1e9) },
    });
    const throttle = { failures: 3, blockedUntil: now, seenAt: now };
    await client.throttle.create({ data: { ...throttle, key: 'forgotten' } });
    await client.throttle.create({ data: { ...throttle, key: 'counting', consecutive: 50 } });
  });
  expect(await authTuna.jobs.run('clean-up')).toBe('removed nothing');
  expect((await browser.get('/me')).status).toBe(200);
  clock.advance({ days: 2 });
  // The sign-in above left counters of its own.
  expect(await authTuna.jobs.run('clean-up')).toMatch(
    /^removed 2 sessions, 1101 one-time tokens, (\d+ throttle counters, )?(\d+ rate windows, )?1 assignments$/,
  );
  clock.advance({ days: 7 });
  await authTuna.jobs.run('clean-up');
  await inDatabase(app, async (client) => {
    expect((await client.session.findMany({})).map(({ id }: { id: string }) => id)).toEqual([]);
    expect((await client.oneTimeToken.findMany({})).map(({ id }: { id: string }) => id)).toEqual(['live']);
    expect((await client.throttle.findMany({})).map(({ key }: { key: string }) => key)).toEqual(['counting']);
    // What everybody holds, and what has no end.
    expect(
      (await client.roleAssignment.findMany({})).map(({ scope }: { scope: string }) => scope).sort(),
    ).toEqual(['global', 'project:7']);
  });
  expect(remembered.session.persistent).toBe(true);
});

test('the clean-up keeps a remembered session for as long as it can be used', async () => {
  const app = await startApp();
  const { user } = await app.signedIn();
  const { session } = await app.authTuna.sessions.create(user.id, ['pwd'], SYSTEM, { rememberMe: true });
  app.clock.advance({ days: 6, hours: 23 });
  await app.authTuna.jobs.run('clean-up');
  expect((await app.authTuna.sessions.list(user.id)).map(({ id }) => id)).toEqual([session.id]);
});

test('health says how the database, the broadcast and the jobs are', async () => {
  const app = await startApp();
  await app.authTuna.jobs.run('clean-up');
  const health = await app.authTuna.health();
  expect(health.database).toBe('up');
  expect(health.jobs.find(({ name }) => name === 'clean-up')?.lastNote).toMatch(/^removed/);
  expect(health.broadcast.isUp).toBe(app.database.dialect === 'postgresql');
});

test('an instance whose clock is a year ahead does not keep the others from their jobs', async () => {
  const app = await startApp();
  const ahead = await startSibling(app);
  const job = { name: 'count', everySeconds: 3600, run: async () => 'done' };
  for (const { authTuna } of [app, ahead]) authTuna.jobs.add(job);
  app.clock.advance({ days: 365 });
  await ahead.authTuna.jobs.run('count');
  await inDatabase(app, (client) =>
    client.lease.updateMany({ where: { name: 'count' }, data: { expiresAt: app.clock.now() } }),
  );
  app.clock.advance({ days: -365 });
  expect((await app.authTuna.jobs.status()).find(({ name }) => name === 'count')?.isRunning).toBe(false);
  expect(await app.authTuna.jobs.run('count')).toBe('done');
});
