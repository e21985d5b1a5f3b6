// Asks the program of scripts/matrix.js, from beside it or from within a test.
import { setTimeout } from 'node:timers/promises';

const LIMIT_MS = 40_000;

/** The statuses for a stranger at `/me`, for a new user at a project without a role there, and for that user at `/me`. */
export async function answers(port) {
  const url = `http://localhost:${port}`;
  await listening(url);
  const signUp = await fetch(`${url}/auth/signup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'ada@example.com', password: 'tuna swims in the morning' }),
  });
  if (signUp.status !== 201) throw new Error(`sign-up answered ${signUp.status}: ${await signUp.text()}`);
  const cookie = signUp.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  const statusOf = async (path, headers) => (await fetch(url + path, { headers })).status;
  return [
    await statusOf('/me', {}),
    await statusOf('/projects/42', { cookie }),
    await statusOf('/me', { cookie }),
  ];
}

async function listening(url) {
  const until = performance.now() + LIMIT_MS;
  for (;;) {
    try {
      await fetch(url);
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await setTimeout(100);
    }
  }
}
