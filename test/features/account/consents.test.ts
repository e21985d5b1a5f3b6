// Shows that consents are asked for wherever people sign up, recorded by version and taken back, and how addresses stand in the audit log.
import { expect, onTestFinished, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { PASSWORD, startApp, type TestInstance } from '../../support/app.js';
import { openDatabase } from '../../support/database.js';
import { linkIn, startMailedApp } from '../../support/mailed-app.js';
import { PageVisitor, toldBy } from '../../support/page-visitor.js';
import { as, codeOf, person } from '../../support/people.js';

const CONSENTS = {
  terms: { version: '2026-11', label: 'I accept the <terms>', url: '/terms', required: true },
  news: { version: '1', label: { en: 'Send me news' } },
};
const input = { email: 'ada@example.com', password: PASSWORD };

async function rowsOf({ database }: TestInstance) {
  const connection = await openDatabase(database);
  onTestFinished(() => connection.close());
  const { consent } = connection.client as unknown as {
    consent: { findMany(args: object): Promise<{ userId: string; purpose: string }[]> };
  };
  return consent.findMany({ orderBy: { purpose: 'asc' } });
}

test('sign-up refuses without a required consent, and records those that are given, with version and time', async () => {
  const app = await startApp({ privacy: { consents: CONSENTS } });
  const browser = app.browser();
  for (const [data, field] of [
    [undefined, 'data.terms'],
    [{ news: true }, 'data.terms'],
    [{ terms: false }, 'data.terms'],
    [{ terms: 'yes' }, 'data.terms'],
    [{ terms: true, other: true }, 'data.other'],
  ] as const) {
    const answer = await browser.post('/auth/signup', { ...input, ...(data !== undefined && { data }) });
    const { errors } = (await answer.json()) as { errors: { field: string }[] };
    expect([data, answer.status, errors.map((error) => error.field)]).toEqual([
      data,
      422,
      expect.arrayContaining([field]),
    ]);
  }
  expect(await rowsOf(app)).toEqual([]);
  expect((await browser.post('/auth/signup', { ...input, data: { terms: true, news: false } })).status).toBe(
    201,
  );
  const user = await app.authTuna.users.findByEmail(input.email);
  expect(await rowsOf(app)).toEqual([
    {
      userId: user?.id,
      purpose: 'terms',
      version: '2026-11',
      givenAt: app.clock.now(),
      withdrawnAt: null,
    },
  ]);
  const [created] = (await app.authTuna.audit.list({ type: 'user.created' })).items;
  expect(created?.data).toMatchObject({ consents: { terms: '2026-11' } });
  expect(() =>
    startApp({ privacy: { consents: { Terms: CONSENTS.terms } } }).then(() => 'started'),
  ).rejects.toThrow(/privacy\.consents/);
});

test('the form shows the boxes unticked, says which one is missing, and works without a script', async () => {
  const app = await startMailedApp({ privacy: { consents: CONSENTS } });
  const visitor = app.visitor();
  const page = await visitor.open('/auth/signup');
  expect(page.html).toContain('I accept the &lt;terms&gt;');
  expect(page.html).toContain('href="/terms"');
  expect(page.html).toContain('Send me news');
  expect(page.html).not.toContain(' checked');
  const refused = await visitor.send(page, { ...input, 'data.news': 'on' });
  expect([refused.status, refused.html.includes('Please fill this in.')]).toEqual([422, true]);
  expect(refused.html).toMatch(/name="data\.news" value="on" checked/);
  const sent = await visitor.submit(await visitor.open('/auth/signup'), { ...input, 'data.terms': 'on' });
  expect(sent.status).toBe(303);
  expect((await rowsOf(app)).map(({ purpose }) => purpose)).toEqual(['terms']);
  // An address that has an account already gets the same answer, and no consent in its name.
  const again = app.visitor();
  const twice = await again.submit(await again.open('/auth/signup'), {
    ...input,
    'data.terms': 'on',
    'data.news': 'on',
  });
  expect([twice.status, twice.headers.get('location')]).toEqual([303, sent.headers.get('location')]);
  expect(await rowsOf(app)).toHaveLength(1);
});

test('a person who is invited gives the same consents', async () => {
  const app = await startMailedApp({ privacy: { consents: CONSENTS } });
  const owner = await person(app, 'owner');
  const org = await app.authTuna.orgs.create({ name: 'Acme' }, as(owner));
  await app.authTuna.orgs.invite(`org:${org.id}`, { email: input.email, role: 'org_member' }, as(owner));
  const link = linkIn(await app.mailTo(input.email), '/orgs/invitations/accept');
  const token = new URL(link, app.url).searchParams.get('token') ?? '';
  const signUp = (data: object) =>
    app.authTuna.orgs.signUp({ token, password: PASSWORD, data: { ...data } }, SYSTEM);
  expect(await codeOf(signUp({}))).toBe('invalid_input');
  expect(await codeOf(signUp({ terms: true }))).toBe('done');
  expect((await rowsOf(app)).map(({ purpose }) => purpose)).toEqual(['terms']);
});

test('consents are given and taken back by their owner alone, version by version, and are in the export', async () => {
  const app = await startApp({ privacy: { consents: CONSENTS } });
  const { browser, user } = await app.signedIn();
  const other = await person(app, 'other', 'superadmin');
  const { account, audit } = app.authTuna;
  const state = async () => (await (await browser.get('/account/consents')).json()) as { items: object[] };
  expect((await state()).items).toEqual([
    { purpose: 'terms', version: '2026-11', required: true, givenAt: null, givenVersion: null },
    { purpose: 'news', version: '1', required: false, givenAt: null, givenVersion: null },
  ]);
  for (const purpose of ['terms', 'news', 'news'])
    expect((await browser.post('/account/consents', { purpose })).status).toBe(204);
  expect((await audit.list({ type: 'consent.given' })).items).toHaveLength(2);
  expect((await browser.post('/account/consents', { purpose: 'toString' })).status).toBe(404);
  expect((await browser.post('/account/consents', { purpose: 'news', userId: other })).status).toBe(422);
  expect(await codeOf(account.giveConsent(user.id, 'news', as(other)))).toBe('forbidden');
  expect(await codeOf(account.withdrawConsent(user.id, 'news', as(other)))).toBe('forbidden');
  expect(
    await codeOf(account.withdrawConsent(user.id, 'news', { ...as(user.id), impersonatorId: other })),
  ).toBe('forbidden');
  expect((await browser.delete('/account/consents/terms')).status).toBe(409);
  expect((await browser.delete('/account/consents/news')).status).toBe(204);
  expect((await audit.list({ type: 'consent.withdrawn' })).items).toMatchObject([
    { actorId: user.id, data: { purpose: 'news', versions: ['1'] } },
  ]);

  const newer = await startApp(
    {
      baseUrl: app.url,
      privacy: { consents: { ...CONSENTS, terms: { ...CONSENTS.terms, version: '2027-01' } } },
    },
    { database: app.database, clock: app.clock },
  );
  expect(await newer.authTuna.account.consents(user.id)).toMatchObject([
    { purpose: 'terms', version: '2027-01', givenVersion: '2026-11' },
    { purpose: 'news', givenAt: null },
  ]);
  await newer.authTuna.account.giveConsent(user.id, 'terms', as(user.id));
  const { parts } = await account.exportData(user.id, as(user.id));
  expect(parts.consents).toHaveLength(3);

  const visitor = new PageVisitor(browser);
  const page = await visitor.open('/account/data');
  const given = await visitor.postFields('/account/consents', { csrfToken: page.csrfToken, purpose: 'news' });
  expect([given.status, given.headers.get('location')]).toEqual([303, '/account/data']);
  const agreed = await visitor.open('/account/data');
  expect(toldBy(agreed)).toEqual(['Your data', 'Your agreement is saved.']);
  const withdrawn = await visitor.postFields('/account/consents/news/withdraw', {
    csrfToken: page.csrfToken,
  });
  expect(withdrawn.status).toBe(303);
  await account.erase(user.id, SYSTEM);
  expect(await rowsOf(app)).toEqual([]);
});

test('privacy.auditIp keeps addresses whole, as their network, or not at all, and a search finds what was kept', async () => {
  for (const [auditIp, v4, v6] of [
    ['clear', '198.51.100.77', '2001:db8:1:2::3'],
    ['truncated', '198.51.100.0', '2001:db8:1::'],
    ['off', null, null],
  ] as const) {
    const { authTuna } = await startApp({ privacy: { auditIp } });
    for (const ip of ['198.51.100.77', '2001:db8:1:2::3'])
      await authTuna.audit.record({ type: 'x.y', actor: { ...SYSTEM, ip } });
    const { items } = await authTuna.audit.list({ type: 'x.y' });
    expect(new Set(items.map(({ ip }) => ip))).toEqual(new Set([v4, v6]));
    const found = await authTuna.audit.list({ q: '198.51.100.77' });
    expect([auditIp, found.items.length]).toEqual([auditIp, auditIp === 'off' ? 0 : 1]);
    expect(await authTuna.audit.verify()).toMatchObject({ ok: true });
  }
});
