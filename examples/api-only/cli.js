// A command-line tool that signs in by a code: node examples/api-only/cli.js [address of the API]
const base = process.argv[2] ?? 'http://localhost:3000';
const CLIENT = 'notes-cli';

const asked = await send('/auth/device', { client_id: CLIENT, scope: 'note:read' });
console.log(`Open ${asked.verification_uri} and type ${asked.user_code}`);
const tokens = await approval(asked);
const answer = await fetch(`${base}/notes`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
console.log(await answer.text());

/** Asks until the person has decided. */
async function approval({ device_code, interval }) {
  let seconds = interval;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const found = await send('/auth/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code,
      client_id: CLIENT,
    });
    if (found.error === undefined) return found;
    if (found.error === 'slow_down') seconds += 5;
    else if (found.error !== 'authorization_pending') throw new Error(found.error_description);
  }
}

async function send(path, fields) {
  const response = await fetch(base + path, { method: 'POST', body: new URLSearchParams(fields) });
  return response.json();
}
