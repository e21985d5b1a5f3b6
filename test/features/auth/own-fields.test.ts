import { expect, test } from 'vitest';
import { z } from 'zod';
import { PASSWORD } from '../../support/app.js';
import { startMailedApp } from '../../support/mailed-app.js';
import { ownColumns } from '../../support/own-columns.js';

const ADA = 'ada@example.com';

async function start() {
  const { database, prisma } = await ownColumns();
  return startMailedApp(
    {
      prisma,
      signUp: {
        username: 'required',
        fields: {
          displayName: {
            label: { en: 'Display name', de: 'Anzeigename' },
            required: true,
            autocomplete: 'name',
          },
          company: { label: 'Company', schema: z.string().regex(/^[A-Z]/, 'Begin with a capital letter.') },
          seats: { label: 'Seats', schema: z.coerce.number().int().max(50) },
        },
      },
    },
    { database },
  );
}

test("the sign-up page shows the host's own fields in the language of the visitor", async () => {
  const app = await start();
  const visitor = app.visitor();
  const english = (await visitor.open('/auth/signup')).html;
  expect(english).toMatch(/<label for="data\.displayName">Display name<\/label>/);
  expect(english).toMatch(
    /id="data\.displayName" name="data\.displayName" type="text" autocomplete="name" required/,
  );
  expect(english).toMatch(/<label for="data\.company">Company <span class="optional">/);
  const german = (await visitor.open('/auth/signup', { 'accept-language': 'de' })).html;
  expect(german).toMatch(/<label for="data\.displayName">Anzeigename<\/label>/);
});

test('all faults of the form are told at once, beside their fields, and what was typed stays', async () => {
  const app = await start();
  await app.authTuna.users.create({ email: 'eva@example.com', username: 'eva', emailVerified: true });
  const visitor = app.visitor();
  const form = await visitor.open('/auth/signup', { 'accept-language': 'de' });
  const refused = await visitor.postFields(
    form.action,
    {
      csrfToken: form.csrfToken,
      email: 'ada@example',
      username: 'eva',
      password: 'short',
      'data.company': 'acme',
      'data.seats': '51',
    },
    { 'accept-language': 'de' },
  );
  const html = await refused.text();
  expect(refused.status).toBe(422);
  for (const [id, text] of Object.entries({
    email: 'Geben Sie eine E-Mail-Adresse wie',
    username: 'Dieser Benutzername ist vergeben.',
    password: 'Dieses Passwort ist zu kurz.',
    'data.displayName': 'Bitte füllen Sie dies aus.',
    'data.company': 'Begin with a capital letter.',
    'data.seats': 'Das ist zu groß.',
  }))
    expect({ id, html }).toMatchObject({ html: expect.stringContaining(`<a href="#${id}">${text}`) });
  expect(html).toMatch(/name="data\.company"[^>]* value="acme"/);
  expect(html).not.toContain('short');
});

test('an empty form is refused with a text at every field that is required', async () => {
  const app = await start();
  const visitor = app.visitor();
  const { html } = await visitor.send(await visitor.open('/auth/signup'), {});
  for (const id of ['email', 'username', 'password', 'data.displayName'])
    expect(html).toContain(`<a href="#${id}">Please fill this in.`);
  const answer = await app.browser().post('/auth/signup', {});
  expect([answer.status, await answer.json()]).toMatchObject([
    422,
    {
      code: 'invalid_input',
      errors: [
        { field: 'email', rule: 'required' },
        { field: 'username', rule: 'required' },
        { field: 'data.displayName', rule: 'required' },
        { field: 'password', rule: 'required' },
      ],
    },
  ]);
});

test('the fields are stored with the account, converted by their schemas, in one batch', async () => {
  const app = await start();
  const visitor = app.visitor();
  const sent = await visitor.send(await visitor.open('/auth/signup'), {
    email: ADA,
    username: 'ada',
    password: PASSWORD,
    'data.displayName': ' Ada ',
    'data.seats': '7',
  });
  expect(sent.html).toContain('Check your inbox');
  expect(await app.authTuna.users.findByEmail(ADA)).toMatchObject({
    displayName: 'Ada',
    company: null,
    seats: 7,
  });
});

test('no column of the library can be set through the fields, by form or by script', async () => {
  const app = await start();
  const details = { email: ADA, username: 'ada', password: PASSWORD };
  for (const data of [{ emailVerifiedAt: '2026-01-01' }, { id: 'x' }, { constructor: 'x' }]) {
    const answer = await app
      .browser()
      .post('/auth/signup', { ...details, data: { displayName: 'Ada', ...data } });
    expect([answer.status, await answer.json()]).toMatchObject([
      422,
      { errors: [{ field: `data.${Object.keys(data)[0]}`, rule: 'unknown_field' }] },
    ]);
  }
  const visitor = app.visitor();
  const form = await visitor.open('/auth/signup');
  const posted = await visitor.submit(form, {
    ...details,
    'data.displayName': 'Ada',
    'data.emailVerifiedAt': '2026-01-01',
  });
  expect(posted.status).toBe(422);
  expect(await app.authTuna.users.findByEmail(ADA)).toBeNull();
});
