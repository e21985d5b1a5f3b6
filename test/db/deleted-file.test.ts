import { renameSync } from 'node:fs';
import { expect, inject, test } from 'vitest';
import { PASSWORD, startApp } from '../support/app.js';

test.runIf(inject('dialect') === 'sqlite')(
  'a database file that is deleted while in use is noticed, and put back it goes on (DB-1)',
  async () => {
    const app = await startApp({ session: { recheckSeconds: 0 } });
    const { browser, user } = await app.signedIn();
    expect((await app.authTuna.health()).database).toBe('up');
    const file = app.database.url.slice('file:'.length);
    renameSync(file, `${file}.away`);
    await new Promise((resolve) => setTimeout(resolve, 120));

    expect((await app.authTuna.health()).database).toBe('down');
    expect((await browser.get('/me')).status).toBe(503);
    const answer = await app.browser().post('/auth/login', { login: user.email, password: PASSWORD });
    expect(answer.status).toBe(503);
    const page = await app.browser().get('/auth/login', { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200); // the form needs no database
    expect(await page.text()).toContain('name="password"');

    renameSync(`${file}.away`, file);
    expect((await browser.get('/me')).status).toBe(200);
    expect((await app.authTuna.health()).database).toBe('up');
  },
);
