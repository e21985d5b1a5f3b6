import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import { enrolTotp, json } from '../../support/factors.js';
import { linkIn, type MailedApp, startMailedApp, tokenIn } from '../../support/mailed-app.js';

const ADA = 'ada@example.com';
const OPEN = '/auth/passwordless/link/open';
const CONSUME = '/auth/passwordless/link/consume';

async function appWithAda(options: Parameters<typeof startMailedApp>[0] = {}, emailVerified = true) {
  const app = await startMailedApp(options);
  const user = await app.authTuna.users.create({ email: ADA, password: PASSWORD, emailVerified });
  return { app, user };
}

async function codeIn(app: MailedApp, address = ADA): Promise<string> {
  return /\b\d{6}\b/.exec((await app.mailTo(address)).text)?.[0] ?? '';
}

/** A six-digit code that is not the right one. */
function otherThan(code: string, index = 1): string {
  return String((Number(code) + index) % 1_000_000).padStart(6, '0');
}

test('a magic link signs in the browser that asked (EM-11)', async () => {
  const { app, user } = await appWithAda();
  const browser = app.browser();
  const asked = await browser.post('/auth/passwordless/link', { email: ADA });
  expect(asked.status).toBe(202);
  const token = tokenIn(await app.mailTo(ADA), OPEN);
  const answer = await browser.post(CONSUME, { token });
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ user: { email: ADA } });
  expect((await browser.get('/me')).status).toBe(200);
  expect((await app.authTuna.sessions.list(user.id))[0]?.amr).toEqual(['email']);
});

test('in another browser the link alone signs nobody in, and the code of the asking one does (EM-11, CS-4)', async () => {
  const { app } = await appWithAda();
  const asking = app.browser();
  await asking.post('/auth/passwordless/link', { email: ADA });
  const { code } = (await (await asking.get('/auth/passwordless/link/sent')).json()) as { code: string };
  expect(code).toMatch(/^[2-9A-HJ-NP-Z]{8}$/);
  const token = tokenIn(await app.mailTo(ADA), OPEN);
  const other = app.browser();
  expect((await other.post(CONSUME, { token })).status).toBe(401);
  expect((await other.post(CONSUME, { token, code: 'AAAAAAAA' })).status).toBe(401);
  expect(other.jar.has('at_sess')).toBe(false);
  const grouped = `${code.slice(0, 4)} ${code.slice(4)}`.toLowerCase();
  expect((await other.post(CONSUME, { token, code: grouped })).status).toBe(200);
});

test('five wrong browser codes end the link (EM-11)', async () => {
  const { app } = await appWithAda();
  const asking = app.browser();
  await asking.post('/auth/passwordless/link', { email: ADA });
  const { code } = (await (await asking.get('/auth/passwordless/link/sent')).json()) as { code: string };
  const token = tokenIn(await app.mailTo(ADA), OPEN);
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => app.browser().post(CONSUME, { token, code: 'AAAAAAAA' })),
  );
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
  expect((await app.browser().post(CONSUME, { token, code })).status).toBe(400);
});

test('the pages of a magic link, here and in another browser (EM-11)', async () => {
  const { app } = await appWithAda();
  const asking = app.visitor();
  const sent = await asking.send(await asking.open('/auth/passwordless/link?returnTo=/public'), {
    email: ADA,
  });
  const code = /class="big-code">([^<]+)</.exec(sent.html)?.[1] ?? '';
  expect(code).toMatch(/^\w{4} \w{4}$/);
  const link = linkIn(await app.mailTo(ADA), OPEN);

  const elsewhere = app.visitor();
  const confirm = await elsewhere.open(link);
  expect(confirm.html).toContain('a***@e***.com');
  expect(confirm.html).not.toContain(ADA);
  const refused = await elsewhere.send(confirm, { code: 'wrong' });
  expect(refused.status).toBe(401);
  expect(refused.html).toContain('This code is not correct');
  const signedIn = await elsewhere.submit(refused, { code });
  expect(signedIn.headers.get('location')).toBe('/public');
  expect(elsewhere.browser.jar.has('at_sess')).toBe(true);

  app.clock.advance({ minutes: 2 });
  const again = await asking.send(await asking.open('/auth/passwordless/link'), { email: ADA });
  expect(again.html).toContain('Check your inbox');
  const here = await asking.open(linkIn(await app.mailTo(ADA), OPEN));
  expect(here.html).not.toContain('name="code"');
  await asking.submit(here);
  expect(asking.browser.jar.has('at_sess')).toBe(true);
});

test('with bindToBrowser off a link works anywhere (EM-11)', async () => {
  const { app } = await appWithAda({ passwordless: { magicLink: { bindToBrowser: false } } });
  const asked = await app.browser().post('/auth/passwordless/link', { email: ADA });
  expect(await asked.json()).toEqual({ status: 'requested' });
  const token = tokenIn(await app.mailTo(ADA), OPEN);
  expect((await app.browser().post(CONSUME, { token })).status).toBe(200);
});

test('what an impostor put on an unconfirmed account ends when its owner signs in by mail (EM-11)', async () => {
  for (const way of ['link', 'code'] as const) {
    const app = await startMailedApp({ signUp: { requireVerifiedEmail: false } });
    const impostor = app.browser();
    expect((await impostor.post('/auth/signup', { email: ADA, password: PASSWORD })).status).toBe(201);
    const authenticator = new Authenticator(app.url);
    const options = await json(impostor.post('/auth/passkeys/register/options', {}), 200);
    await json(impostor.post('/auth/passkeys/register', authenticator.create(options)), 201);
    await enrolTotp(app, impostor);
    // On its way to the impostor's own mailbox: a change of the address.
    await impostor.post('/auth/change-email', { newEmail: 'impostor@evil.test' });
    const change = tokenIn(await app.mailTo('impostor@evil.test'), '/auth/change-email/confirm');

    app.clock.advance({ minutes: 2 });
    const owner = app.browser();
    await owner.post(`/auth/passwordless/${way}`, { email: ADA });
    const proof =
      way === 'link'
        ? { token: tokenIn(await app.mailTo(ADA), OPEN) }
        : { email: ADA, code: await codeIn(app) };
    expect((await owner.post(`/auth/passwordless/${way}/consume`, proof)).status).toBe(200);

    expect(await (await owner.get('/me')).json()).toMatchObject({ emailVerifiedAt: expect.any(String) });
    expect((await impostor.post('/me/x', {})).status).toBe(401);
    const challenge = await json(app.browser().post('/auth/passkeys/sign-in/options', {}), 200);
    const withPasskey = await app.browser().post('/auth/passkeys/sign-in', authenticator.get(challenge));
    expect(withPasskey.status).toBe(401);
    expect((await app.browser().post('/auth/login', { login: ADA, password: PASSWORD })).status).toBe(401);
    expect((await app.browser().post('/auth/change-email/confirm', { token: change })).status).toBe(400);
  }
});

test('a confirmed account keeps its password and sessions (EM-11)', async () => {
  const { app } = await appWithAda();
  const browser = app.browser();
  await browser.post('/auth/login', { login: ADA, password: PASSWORD });
  const other = app.browser();
  await other.post('/auth/passwordless/link', { email: ADA });
  await other.post(CONSUME, { token: tokenIn(await app.mailTo(ADA), OPEN) });
  expect((await browser.post('/me/x', {})).status).toBe(200);
});

test('a six-digit code signs in once', async () => {
  const { app } = await appWithAda();
  const browser = app.browser();
  expect((await browser.post('/auth/passwordless/code', { email: ADA })).status).toBe(202);
  const code = await codeIn(app);
  const consume = (given: string) =>
    app.browser().post('/auth/passwordless/code/consume', { email: 'Ada@Example.com', code: given });
  expect((await consume(otherThan(code))).status).toBe(401);
  expect((await consume(`${code.slice(0, 3)} ${code.slice(3)}`)).status).toBe(200);
  expect((await consume(code)).status).toBe(401);
});

test('of twenty parallel uses of a code at most five are tried and one wins (EM-3)', async () => {
  const { app } = await appWithAda();
  await app.browser().post('/auth/passwordless/code', { email: ADA });
  const code = await codeIn(app);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      app.browser().post('/auth/passwordless/code/consume', { email: ADA, code }),
    ),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
});

test('five wrong codes end the code, whoever sent them, and answer alike', async () => {
  const { app } = await appWithAda();
  await app.browser().post('/auth/passwordless/code', { email: ADA });
  const code = await codeIn(app);
  const consume = (email: string, given: string) =>
    app.browser().post('/auth/passwordless/code/consume', { email, code: given });
  const wrong = await Promise.all(
    Array.from({ length: 20 }, (_, index) => consume(ADA, otherThan(code, index + 1))),
  );
  const bodies = new Set(await Promise.all(wrong.map((answer) => answer.text())));
  expect(bodies.size).toBeLessThanOrEqual(2); // "not correct" while it lives, "has expired" afterwards
  const exhausted = await consume(ADA, code);
  const unknown = await consume('nobody@example.com', code);
  expect([exhausted.status, await exhausted.text()]).toEqual([unknown.status, await unknown.text()]);
  expect(exhausted.status).toBe(401);
});

/** A hundred wrong codes of twenty mails, and one mail more whose code is right and not taken. */
async function closedByGuesses(options: Parameters<typeof startMailedApp>[0] = {}) {
  const { app, user } = await appWithAda(options);
  const home = app.browser();
  await home.post('/auth/login', { login: ADA, password: PASSWORD });
  const consume = (code: string, browser = app.browser()) =>
    browser.post('/auth/passwordless/code/consume', { email: ADA, code });
  const newCode = async () => {
    app.clock.advance({ days: 1 });
    await app.browser().post('/auth/passwordless/code', { email: ADA });
    return codeIn(app);
  };
  for (let mail = 0; mail < 20; mail += 1) {
    const code = await newCode();
    for (let guess = 1; guess <= 5; guess += 1)
      expect((await consume(otherThan(code, guess))).status).toBe(401);
  }
  const refused = await consume(await newCode());
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '900']);
  return { app, user, home, consume, newCode };
}

test('after a hundred wrong codes of mails the code is closed to unknown browsers, and the mailed link opens it (LG-5)', async () => {
  const { app, consume, newCode } = await closedByGuesses();
  const unlocking = (await app.mailsTo(ADA)).filter(({ text }) => text.includes('/auth/unlock?token='));
  expect(unlocking).toHaveLength(1);
  const token = tokenIn(unlocking[0] as (typeof unlocking)[0], '/auth/unlock');
  expect((await app.browser().post('/auth/unlock', { token })).status).toBe(200);
  expect((await consume(await newCode())).status).toBe(200);
}, 60_000);

test('a browser that has signed in before takes a code all the same, and opens it for all (LG-5, LG-6)', async () => {
  const { home, consume, newCode } = await closedByGuesses();
  expect((await consume(await newCode())).status).toBe(429);
  expect((await consume(await newCode(), home)).status).toBe(200);
  expect((await consume(await newCode())).status).toBe(200);
}, 60_000);

test('strangers who are shut out do not use up the code of the owner (LG-5, LG-6)', async () => {
  const { home, consume, newCode } = await closedByGuesses();
  const code = await newCode();
  for (let guess = 1; guess <= 6; guess += 1)
    expect((await consume(otherThan(code, guess))).status).toBe(429);
  expect((await consume(code, home)).status).toBe(200);
}, 60_000);

test('a magic link opens the code again, a right password does not (LG-5)', async () => {
  const { app, consume, newCode } = await closedByGuesses();
  const login = await app.browser().post('/auth/login', { login: ADA, password: PASSWORD });
  expect(login.status).toBe(200); // another authenticator, and open
  expect((await consume(await newCode())).status).toBe(429);
  app.clock.advance({ minutes: 2 });
  const browser = app.browser();
  await browser.post('/auth/passwordless/link', { email: ADA });
  const { status } = await browser.post(CONSUME, { token: tokenIn(await app.mailTo(ADA), OPEN) });
  expect(status).toBe(200);
  expect((await consume(await newCode())).status).toBe(200);
}, 60_000);

test('a right code begins the hundred anew, and guesses at no live code count for nothing (LG-5)', async () => {
  const { app } = await appWithAda();
  const consume = (code: string) =>
    app.browser().post('/auth/passwordless/code/consume', { email: ADA, code });
  for (let guess = 0; guess < 120; guess += 1) expect((await consume('000000')).status).toBe(401);
  for (let round = 0; round < 2; round += 1) {
    for (let mail = 0; mail < 19; mail += 1) {
      app.clock.advance({ days: 1 });
      await app.browser().post('/auth/passwordless/code', { email: ADA });
      const code = await codeIn(app);
      for (let guess = 1; guess <= 8; guess += 1) await consume(otherThan(code, guess));
    }
    app.clock.advance({ days: 1 });
    await app.browser().post('/auth/passwordless/code', { email: ADA });
    expect((await consume(await codeIn(app))).status).toBe(200);
  }
}, 60_000);

test('the code of an address that nobody has closes after a hundred failures too (LG-5, LG-8)', async () => {
  const app = await startMailedApp();
  const nobody = 'nobody@example.com';
  const statuses: number[] = [];
  for (let mail = 0; mail < 21; mail += 1) {
    app.clock.advance({ days: 1 });
    await app.browser().post('/auth/passwordless/code', { email: nobody });
    for (let guess = 0; guess < 5; guess += 1)
      statuses.push(
        (await app.browser().post('/auth/passwordless/code/consume', { email: nobody, code: '000000' }))
          .status,
      );
  }
  expect(statuses).toEqual([...Array(100).fill(401), ...Array(5).fill(429)]);
  expect(await app.mailsTo(nobody)).toHaveLength(0);
}, 60_000);

test('a code works for ten minutes, and a newer one ends it (EM-6)', async () => {
  const { app } = await appWithAda();
  const ask = () => app.browser().post('/auth/passwordless/code', { email: ADA });
  const consume = async (code: string) =>
    (await app.browser().post('/auth/passwordless/code/consume', { email: ADA, code })).status;
  await ask();
  const first = await codeIn(app);
  app.clock.advance({ minutes: 2 });
  await ask();
  const second = await codeIn(app);
  if (first !== second) expect(await consume(first)).toBe(401);
  expect(await consume(second)).toBe(200);
  app.clock.advance({ minutes: 2 });
  await ask();
  const third = await codeIn(app);
  app.clock.advance({ minutes: 10 });
  expect(await consume(third)).toBe(401);
});

test('the pages of a code, without a script', async () => {
  const { app } = await appWithAda();
  const visitor = app.visitor();
  const login = await visitor.open('/auth/login?returnTo=%2Fme');
  expect(login.html).toContain('Sign in by email');
  const enter = await visitor.send(await visitor.open('/auth/passwordless/code?returnTo=%2Fme'), {
    email: ADA,
  });
  expect(enter.html).toContain(ADA);
  const code = await codeIn(app);
  const wrong = await visitor.send(enter, { code: otherThan(code) });
  expect(wrong.html).toContain('This code is not correct');
  const right = await visitor.submit(wrong, { code });
  expect(right.headers.get('location')).toBe('/me');
  expect((await visitor.browser.get('/me')).status).toBe(200);
});

test('links and codes answer alike for known, unknown and suspended addresses (LG-3)', async () => {
  const { app, user } = await appWithAda();
  await app.authTuna.users.create({ email: 'gone@example.com', password: PASSWORD, emailVerified: true });
  const gone = await app.authTuna.users.findByEmail('gone@example.com');
  await app.authTuna.users.suspend(gone?.id ?? '', 'test', SYSTEM);
  const ask = async (path: string, email: string) => {
    const answer = await app.browser().post(path, { email });
    const headers = [...answer.headers].filter(([name]) => !/^(date|set-cookie|ratelimit)$/.test(name));
    return JSON.stringify([answer.status, headers, await answer.text()]);
  };
  for (const path of ['/auth/passwordless/link', '/auth/passwordless/code']) {
    const known = await ask(path, ADA);
    expect(await ask(path, 'nobody@example.com')).toBe(known);
    expect(await ask(path, 'gone@example.com')).toBe(known);
  }
  // A link offers to make an account; a code does not.
  expect((await app.mailsTo('nobody@example.com')).map(({ subject }) => subject)).toEqual([
    'Create your Harbour account',
  ]);
  expect(await app.mailsTo('gone@example.com')).toHaveLength(0);
  expect(user.email).toBe(ADA);
});

test('what is switched off is not there', async () => {
  const { app } = await appWithAda({ passwordless: { magicLink: false, emailCode: false } });
  expect((await app.browser().post('/auth/passwordless/link', { email: ADA })).status).toBe(404);
  expect((await app.browser().post('/auth/passwordless/code', { email: ADA })).status).toBe(404);
  const login = await app.visitor().open('/auth/login');
  expect(login.html).not.toContain('passwordless');
});
