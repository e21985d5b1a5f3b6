// Shows that codes and names are read as they are meant, however a person, a keyboard or a copy wrote them.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD } from '../../support/app.js';
import { enrolTotp, json } from '../../support/factors.js';
import { startMailedApp } from '../../support/mailed-app.js';

const ADA = 'ada@example.com';
const grouped = (code: string, sign: string) => `${code.slice(0, 3)}${sign}${code.slice(3)}`;
/** The digits as another script writes them. @param zero its digit zero */
const inScript = (code: string, zero: number) =>
  code.replace(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)));

test('a code of an app is read with separators, in digits of any script, and nothing but its digits', async () => {
  const app = await startMailedApp({ appName: 'Acme: Portal' });
  const { browser, user } = await app.signedIn(ADA);
  const begun = await json(browser.post('/auth/mfa/totp'), 201);
  // Apps take the text before a colon for the issuer.
  expect(decodeURIComponent(new URL(String(begun.otpauthUrl)).pathname).split(':')).toEqual([
    expect.stringContaining('Acme Portal'),
    ADA,
  ]);
  const totp = await enrolTotp(app, browser);
  const { mfa } = app.authTuna;
  for (const write of [
    (code: string) => grouped(code, '-'),
    (code: string) => grouped(code, '\u2009\u2013\u2009'),
    (code: string) => `\u200e ${code}\u00a0`,
    (code: string) => inScript(code, 0xff10),
    (code: string) => inScript(code, 0x0660),
    (code: string) => inScript(code, 0x0966),
  ]) {
    app.clock.advance({ seconds: 30 });
    const code = totp.nextCode();
    expect(await mfa.verify(user.id, `${write(code)}1`, SYSTEM)).toBe(false);
    expect(await mfa.verify(user.id, write(code), SYSTEM), write(code)).toBe(true);
  }
  const [first = '', second = ''] = totp.recoveryCodes;
  expect(await mfa.verify(user.id, first.toLowerCase().replaceAll('-', ' \u2014 '), SYSTEM)).toBe(true);
  expect(await mfa.verify(user.id, `\u2066${second.replaceAll('-', '\u2011')}\u2069`, SYSTEM)).toBe(true);
});

test('a mailed code and a username are read so too, and what is too long is told as such', async () => {
  const app = await startMailedApp({ signUp: { requireVerifiedEmail: false } });
  const signUp = (input: object) => app.browser().post('/auth/signup', { password: PASSWORD, ...input });
  expect(await json(signUp({ email: ADA, username: 'Ada\u00a0' }), 201)).toMatchObject({
    user: { username: 'ada' },
  });
  for (const login of ['ada ', '\u200eADA', ' ada@example.com\u00a0'])
    expect((await app.browser().post('/auth/login', { login, password: PASSWORD })).status).toBe(200);
  const long = await json(signUp({ email: `${'a'.repeat(250)}@example.com` }), 422);
  expect(long.errors).toEqual([expect.objectContaining({ field: 'email', rule: 'too_long' })]);

  await app.browser().post('/auth/passwordless/code', { email: ADA });
  const code = /\b\d{6}\b/.exec((await app.mailTo(ADA)).text)?.[0] ?? '';
  const consume = (typed: string) =>
    app.browser().post('/auth/passwordless/code/consume', { email: ADA, code: typed });
  expect((await consume(`${code}7`)).status).toBe(401);
  expect((await consume(inScript(grouped(code, '\u2012'), 0x06f0))).status).toBe(200);
});
