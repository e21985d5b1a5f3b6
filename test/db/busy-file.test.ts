import { fork } from 'node:child_process';
import { once } from 'node:events';
import { expect, inject, onTestFinished, test } from 'vitest';
import { startApp } from '../support/app.js';

test.runIf(inject('dialect') === 'sqlite')(
  'while another process holds the write lock of the file, what needs no database is answered at once (DB-1)',
  async () => {
    const app = await startApp();
    const { browser } = await app.signedIn();
    expect((await browser.get('/me')).status).toBe(200);
    const other = (await app.signedIn()).browser;
    expect((await other.get('/me')).status).toBe(200);
    app.clock.advance({ seconds: 601 }); // the next request rotates, which has to be written
    const holder = fork(new URL('../race/lock-process.js', import.meta.url), [app.database.url], {
      execArgv: [],
    });
    onTestFinished(() => void holder.kill());
    await once(holder, 'message');
    const writing = browser.get('/me');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await app.browser().get('/public')).status).toBe(200); // answered before the other process lets go
    holder.send('let go');
    await writing;
  },
  60_000,
);
