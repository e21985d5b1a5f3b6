// Shows that columns that a host added to organizations and projects are written by managers and by declared fields, and leave when listed.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { type AuthTunaOptions, SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { ownColumns } from '../../support/own-columns.js';
import { PageVisitor } from '../../support/page-visitor.js';
import { as } from '../../support/people.js';

const OPTIONS: Partial<AuthTunaOptions> = {
  organization: {
    publicColumns: ['tier'],
    fields: {
      tier: { label: { en: 'Tier', de: 'Stufe' }, required: true, schema: z.enum(['free', 'gold']) },
    },
  },
  project: { publicColumns: ['color'], fields: { color: { label: 'Color' } } },
};

test('columns of the host are written by managers and by declared fields, and only listed ones leave the server (RB-9)', async () => {
  const { database, prisma } = await ownColumns();
  const app = await startApp({ ...OPTIONS, prisma }, { database });
  const { orgs, projects, audit } = app.authTuna;
  const { user, browser } = await app.signedIn('olive@example.com');
  const json = async (answer: Promise<Response>, status: number) => {
    const response = await answer;
    const text = await response.text();
    expect([response.status, text]).toEqual([status, expect.any(String)]);
    return JSON.parse(text);
  };

  // Managers write every column of the host, and none of ours.
  const data = { tier: 'free', budget: 7 } as object;
  const acme = await orgs.create({ name: 'Acme', data }, as(user.id));
  expect(acme).toMatchObject(data);
  expect(await orgs.update(acme.id, { data: { budget: 9 } as object }, SYSTEM)).toMatchObject({
    tier: 'free',
    budget: 9,
  });
  const { items } = await audit.list({ type: 'org.updated' });
  expect(items[0]?.data).toEqual({ fields: ['data.budget'] });
  const project = await projects.create(
    { orgId: acme.id, name: 'Sardine', data: { color: 'red' } as object },
    as(user.id),
  );
  expect(project).toMatchObject({ color: 'red' });
  for (const [column, value] of [
    ['ownerCount', 5],
    ['id', 'x'],
    ['slugs', { create: { slug: 'x' } }],
  ] as const) {
    const forbidden = { [column]: value } as object;
    await expect(orgs.create({ name: 'Evil', data: forbidden }, SYSTEM)).rejects.toThrow();
    await expect(orgs.update(acme.id, { data: forbidden }, SYSTEM)).rejects.toThrow();
  }
  for (const forbidden of [{ orgId: 'x' }, { id: 'x' }])
    await expect(projects.update(project.id, { data: forbidden as object }, SYSTEM)).rejects.toThrow();

  // Requests write declared fields, each by its schema.
  const founded = await json(browser.post('/orgs', { name: 'Beta', data: { tier: 'gold' } }), 201);
  expect(founded).toMatchObject({ tier: 'gold' });
  const made = await json(browser.post('/orgs/beta/projects', { name: 'P', data: { color: 'blue' } }), 201);
  expect(made).toMatchObject({ color: 'blue' });
  expect(
    await json(browser.patch(`/orgs/beta/projects/${made.id}`, { data: { color: 'teal' } }), 200),
  ).toMatchObject({ color: 'teal' });
  for (const [method, path, body] of [
    ['POST', '/orgs', { name: 'No tier' }],
    ['POST', '/orgs', { name: 'X', data: { tier: 'gold', budget: 1 } }],
    ['PATCH', '/orgs/beta', { data: { tier: 'silver' } }],
    ['PATCH', '/orgs/beta', { data: { budget: 1 } }],
    ['PATCH', '/orgs/beta', { data: { ownerCount: 9 } }],
    ['PATCH', `/orgs/beta/projects/${made.id}`, { data: { orgId: acme.id } }],
  ] as const)
    expect([path, body, (await browser.request(method, path, body)).status]).toEqual([path, body, 422]);
  expect(await json(browser.patch('/orgs/beta', { name: 'Beta Two' }), 200)).toMatchObject({ tier: 'gold' });

  // What is not listed stays on the server.
  for (const path of ['/orgs', '/orgs/acme', '/orgs/acme/projects', `/orgs/acme/projects/${project.id}`]) {
    const text = await (await browser.get(path)).text();
    expect([path, text.includes('budget'), /"(tier|color)"/.test(text)]).toEqual([path, false, true]);
  }

  // The pages ask for the fields, in the language of the visitor.
  const visitor = new PageVisitor(browser);
  expect((await visitor.open('/orgs', { 'accept-language': 'de' })).html).toContain('Stufe');
  const page = await visitor.open('/orgs/beta');
  expect(page.html).toMatch(/name="data.tier"[^>]* value="gold"/);
  const fields = { csrfToken: page.csrfToken, name: 'Beta', 'data.tier': 'free' };
  expect((await visitor.postFields('/orgs/beta/settings', fields)).status).toBe(303);
  const at = `/orgs/beta/projects/${made.id}`;
  expect((await visitor.open(at)).html).toMatch(/name="data.color"[^>]* value="teal"/);
  const { csrfToken } = page;
  expect(
    (await visitor.postFields(`${at}/settings`, { csrfToken, name: 'P', 'data.color': 'pink' })).status,
  ).toBe(303);
  expect(await orgs.findBySlug('beta')).toMatchObject({ tier: 'free' });
  expect(await projects.get(made.id)).toMatchObject({ color: 'pink' });
  const refused = await visitor.postFields('/orgs/beta/settings', { ...fields, 'data.tier': 'silver' });
  expect(refused.status).toBe(422);
});

test('columns that are ours, or that no client has, are refused when the instance is made', async () => {
  const { database, prisma } = await ownColumns();
  const start = (options: Partial<AuthTunaOptions>) => startApp(options, { database });
  for (const [options, said] of [
    [{ organization: { publicColumns: ['tier'] } }, 'organization.publicColumns: are columns of your own'],
    [{ prisma, organization: { publicColumns: ['ownerCount'] } }, 'is a column of ours'],
    [{ prisma, project: { fields: { slug: { label: 'Slug' } } } }, 'is a column of ours'],
    [{ prisma, project: { publicColumns: ['colour'] } }, 'project.publicColumns: colour is no column'],
  ] as [Partial<AuthTunaOptions>, string][])
    await expect(start(options)).rejects.toThrow(said);
});
