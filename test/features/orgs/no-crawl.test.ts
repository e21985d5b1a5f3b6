// What other organizations have cannot be told from what does not exist, by any route of organizations and their connections.
import { expect, test } from 'vitest';
import { SYSTEM } from '../../../src/index.js';
import { startApp } from '../../support/app.js';
import { as, codeOf } from '../../support/people.js';
import { inDatabase } from '../../support/sessions.js';

const UNKNOWN = 'x0123456789abcdefghijk';
const HTML = { accept: 'text/html' };

/** Bodies that the routes take, by method and the end of the path. */
const BODIES: readonly [RegExp, object][] = [
  [/^PATCH .*\/members\/:userId$/, { role: 'org_member' }],
  [/^POST .*\/members\/:userId\/role$/, { role: 'org_member' }],
  [/^POST .*\/members$/, { userId: UNKNOWN, role: 'org_member' }],
  [/^POST .*\/invitations$/, { email: 'new@example.com', role: 'org_member' }],
  [/^POST .*\/invitation-links$/, { role: 'org_member', maxUses: 1 }],
  [/^POST .*\/transfer$/, { userId: UNKNOWN }],
  [/connections\/:id\/roles$/, { claim: 'groups', value: 'staff', role: 'org_member' }],
  [/^POST .*\/roles$/, { name: 'editor', level: 1 }],
  [/^PATCH .*\/roles\/:name$/, { level: 1 }],
  [/^POST .*\/domains$/, { domain: 'new.example' }],
  [/^PATCH .*\/domains\/:domain$/, { required: true }],
  [/connections\/:id\/roles\/remove$/, { value: 'staff' }],
  [/^(PATCH|POST) .*\/(:orgId|:projectId|:teamId|:id|projects|teams|settings)$/, { name: 'New name' }],
];

/** An organization with something of every kind in it, and its owner. */
async function tenant(app: Awaited<ReturnType<typeof startApp>>, name: string) {
  const { authTuna } = app;
  const owner = await app.signedIn(`${name}@example.com`);
  const actor = as(owner.user.id);
  const org = await authTuna.orgs.create({ name }, actor);
  const scope = `org:${org.id}`;
  const project = await authTuna.projects.create({ orgId: org.id, name: 'Sardine' }, actor);
  const team = await authTuna.teams.create({ parent: scope, name: 'Blue' }, actor);
  const invitation = await authTuna.orgs.invite(
    scope,
    { email: `to-${name}@example.com`, role: 'org_member' },
    actor,
  );
  await authTuna.roles.create({ name: 'own', ownedBy: scope, level: 1 }, actor);
  const ids: Record<string, string> = {
    orgId: org.id,
    projectId: project.id,
    teamId: team.id,
    userId: owner.user.id,
    id: invitation.id,
    name: 'own',
    domain: `${name}.example`,
    connectionId: `connection-of-${name}`,
  };
  const now = app.clock.now();
  await inDatabase(app, (client) =>
    client.ssoConnection.create({
      data: {
        id: ids.connectionId,
        scope,
        name,
        issuer: 'https://idp.example',
        clientId: 'c',
        createdAt: now,
        updatedAt: now,
        domains: { create: { domain: ids.domain, challenge: 'x', createdAt: now } },
      },
    }),
  );
  return { ...owner, org, scope, ids };
}

test('a stranger, a member of another organization and a removed member get the answer for an unknown id, by every route (RB-9, RB-4)', async () => {
  const app = await startApp({ rateLimits: { social: { limit: 10_000, windowSeconds: 60 } } });
  const { authTuna } = app;
  const acme = await tenant(app, 'acme');
  const other = await tenant(app, 'other');
  const stranger = await app.signedIn();
  const removed = await app.signedIn();
  await authTuna.orgs.addMember(acme.scope, { userId: removed.user.id, role: 'org_admin' }, SYSTEM);
  expect((await removed.browser.get(`/orgs/${acme.org.id}`)).status).toBe(200);
  await authTuna.orgs.removeMember(acme.scope, removed.user.id, as(acme.user.id));
  app.clock.advance({ seconds: 11 });
  const before = await everything(acme);

  const routes = authTuna
    .routes()
    .filter(({ path }) => /^\/(orgs|auth\/social\/connections)\b.*:/.test(path));
  expect(routes.length).toBeGreaterThan(50);
  const differing: unknown[] = [];
  const open: unknown[] = [];
  const ask = async (
    browser: typeof stranger.browser,
    route: (typeof routes)[number],
    ids: typeof acme.ids,
  ) => {
    const path = route.path.replace(/:(\w+)/g, (_, name: string) =>
      name === 'id' && route.path.includes('/connections/')
        ? (ids.connectionId as string)
        : (ids[name] as string),
    );
    const key = `${route.method} ${route.path}`;
    const body = route.method === 'GET' ? undefined : BODIES.find(([match]) => match.test(key))?.[1];
    const answer = await browser.request(route.method, path, body, route.isPage ? { headers: HTML } : {});
    const headers = [...answer.headers].filter(
      ([name]) => !/^(date|etag|keep-alive|ratelimit.*|set-cookie|content-security-policy)$/.test(name),
    );
    const text = (await answer.text()).replaceAll(path, '').replace(/nonce="[^"]*"/g, '');
    return { status: answer.status, headers, text };
  };
  const unknown = Object.fromEntries(Object.keys(acme.ids).map((name) => [name, UNKNOWN]));
  for (const route of routes) {
    const named = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name as string);
    // With the organization that is foreign; and, in one's own, with things that are.
    const trials = [
      ...[stranger, other, removed].map((who) => ({
        who,
        foreign: acme.ids,
        none: { ...acme.ids, orgId: UNKNOWN },
      })),
      {
        who: stranger,
        foreign: { ...acme.ids, orgId: acme.org.slug },
        none: { ...acme.ids, orgId: 'no-such-slug' },
      },
      ...named
        .filter((name) => ['projectId', 'teamId', 'id'].includes(name))
        .map((name) => ({
          who: other,
          foreign: {
            ...other.ids,
            [name]: acme.ids[name] as string,
            connectionId: acme.ids.connectionId as string,
          },
          none: { ...other.ids, [name]: UNKNOWN, connectionId: UNKNOWN },
        })),
    ];
    for (const { who, foreign, none } of trials) {
      const seen = await ask(who.browser, route, foreign);
      const hidden = await ask(who.browser, route, { ...none, ...(named.includes('orgId') ? {} : unknown) });
      if (JSON.stringify(seen) !== JSON.stringify(hidden))
        differing.push([route.method, route.path, seen, hidden]);
      if (seen.status !== 404) open.push([route.method, route.path, who.user.email, seen.status]);
    }
  }
  expect(differing).toEqual([]);
  expect(open).toEqual([]);
  for (const parent of [`project:${acme.ids.projectId}`, acme.scope])
    expect((await other.browser.get(`/orgs/${other.org.id}/teams?parent=${parent}`)).status).toBe(404);
  expect(await everything(acme)).toEqual(before);
  expect(await inDatabase(app, (client) => client.ssoDomain.count({}))).toBe(2);
  // The owner reaches what the others were asked about: it was there to be found.
  for (const path of [`/auth/social/connections/${acme.ids.connectionId}`, `/orgs/${acme.org.slug}`])
    expect((await acme.browser.get(path)).status, path).toBe(200);
}, 300_000);

/** What the owner sees of an organization. */
async function everything({ browser, org }: Awaited<ReturnType<typeof tenant>>) {
  const paths = ['', '/members', '/invitations', '/projects', '/teams', '/roles'];
  return Promise.all(
    paths.map(async (path) => {
      const answer = await browser.get(`/orgs/${org.id}${path}`);
      expect(answer.status).toBe(200);
      return answer.json();
    }),
  );
}

test('lists of an unknown scope are not_found and not empty', async () => {
  const { authTuna } = await startApp();
  const { orgs, projects, teams, resources, serviceAccounts, sso } = authTuna;
  const answers = [
    orgs.members(`org:${UNKNOWN}`),
    orgs.members(`project:${UNKNOWN}`),
    orgs.listInvitations(`org:${UNKNOWN}`),
    projects.list({ orgId: UNKNOWN }),
    teams.list({ parent: `org:${UNKNOWN}` }),
    resources.list({ parent: `project:${UNKNOWN}` }),
    serviceAccounts.list({ orgId: UNKNOWN }, SYSTEM),
    sso.list(`org:${UNKNOWN}`, SYSTEM),
  ].map(codeOf);
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['not_found']));
  const { id } = await orgs.create({ name: 'Empty' }, SYSTEM);
  expect((await orgs.members(`org:${id}`)).items).toEqual([]);
});
