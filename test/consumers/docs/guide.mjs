// What guides have in common: an old database, and an old user who signs in to the app at the end.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { createClient } from '@libsql/client';

export const EMAIL = 'ada@example.com';
export const OLD_PASSWORD = 'correct horse battery staple';

/** Makes the database of the old app. */
export async function oldDatabase(statements) {
  const client = createClient({ url: process.env.OLD_DATABASE_URL });
  await client.executeMultiple(statements);
  client.close();
}

/** Starts `app.mjs` with the settings of `.env`, and signs the old user in with the old password. Every path answers 401 before and 200 after. */
export async function signsIn(paths) {
  const url = `http://localhost:${process.env.PORT}`;
  const app = spawn(process.execPath, ['--env-file=.env', 'app.mjs'], { stdio: 'inherit' });
  try {
    await started(url, app);
    const statusOf = async (path, headers = {}) => (await fetch(url + path, { headers })).status;
    for (const path of paths) assert.equal(await statusOf(path), 401, path);
    const answer = await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ login: EMAIL, password: OLD_PASSWORD }),
    });
    assert.equal(answer.status, 200, await answer.text());
    const cookie = answer.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ');
    for (const path of paths) assert.equal(await statusOf(path, { cookie }), 200, path);
  } finally {
    app.kill();
  }
}

async function started(url, app) {
  for (let tries = 0; tries < 300; tries += 1) {
    if (app.exitCode !== null) throw new Error(`the app ended with ${app.exitCode}`);
    try {
      await fetch(url);
      return;
    } catch {
      await setTimeout(100);
    }
  }
  throw new Error('the app does not listen');
}
