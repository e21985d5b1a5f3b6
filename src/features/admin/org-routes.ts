import { AuthTunaError } from '../../errors.js';
import type { PageInput } from '../../http/pages/views.js';
import { type Call, type Route, route } from '../../http/route.js';
import { type AdminContext, frameOf, given, nextUrl } from './admin-pages.js';
import type { AdminMember, AdminOrg } from './parts.js';
import {
  newOrgBody,
  nothing,
  orgBody,
  orgChangeBody,
  orgPolicyForm,
  orgsQuery,
  pageQuery,
  transferBody,
} from './schemas.js';
import { changes, reads } from './user-routes.js';

type PageCall = Pick<Call, 'auth' | 'req'>;

const callOf = (req: Call['req']): PageCall => ({ req, auth: req.auth as Call['auth'] });

/** Organizations: every one of them, by the rights that are held at `global`. */
export function orgRoutes(context: AdminContext): Route[] {
  return [...listRoutes(context), ...oneRoutes(context), ...formRoutes(context)];
}

// What goes out, field by field: columns that a host added to its tables are its own business (RB-9).
function shown({ id, slug, name, metadata, policy, createdAt, updatedAt }: AdminOrg): AdminOrg {
  return { id, slug, name, metadata, policy, createdAt, updatedAt };
}

function shownMember({ user: { id, email, username }, roles, since }: AdminMember): AdminMember {
  return { user: { id, email, username }, roles, since };
}

/** By id or slug. @throws AuthTunaError `not_found` */
async function orgOf({ parts }: AdminContext, idOrSlug: string): Promise<AdminOrg> {
  const org = await parts.orgs.findByName(idOrSlug);
  if (org === null) throw new AuthTunaError('not_found', { message: 'There is no such organization.' });
  return shown(org);
}

const pathOf = ({ path }: AdminContext, id: string) => `${path}/orgs/${encodeURIComponent(id)}`;

async function listPage(
  context: AdminContext,
  call: PageCall,
  query: { search?: string; cursor?: string; limit?: number } = {},
): Promise<PageInput<'admin/orgs'>> {
  const list = await context.parts.orgs.list(query);
  return {
    admin: await frameOf(context, call),
    orgs: list.items,
    search: query.search ?? '',
    nextUrl: nextUrl(`${context.path}/orgs`, query, list.nextCursor),
  };
}

async function onePage(
  context: AdminContext,
  call: PageCall,
  idOrSlug: string,
  query: { cursor?: string; limit?: number } = {},
): Promise<PageInput<'admin/org'>> {
  const org = await orgOf(context, idOrSlug);
  const [admin, members] = await Promise.all([
    frameOf(context, call),
    context.parts.orgs.members(`org:${org.id}`, query),
  ]);
  return {
    admin,
    org,
    members: members.items.map(shownMember),
    nextUrl: nextUrl(`${pathOf(context, org.id)}/members`, query, members.nextCursor),
  };
}

/** The page as it is opened: its form holds what is stored. A refused form holds what was typed. */
function opened(page: PageInput<'admin/org'>): PageInput<'admin/org'> {
  const { name, slug, policy } = page.org;
  return {
    ...page,
    values: {
      name,
      slug,
      requireSecondFactor: policy.requireSecondFactor,
      joinByDomain: policy.joinByDomain,
      allowedEmailDomains: policy.allowedEmailDomains.join(' '),
    },
  };
}

function listRoutes(context: AdminContext): Route[] {
  const { orgs } = context.parts;
  const forms = [
    context.http.views.form('admin/orgs', (req) => listPage(context, callOf(req)), {
      cures: ['not_found'],
      texts: { not_found: 'no_such_person' },
    }).problem,
  ];
  return [
    route({
      method: 'get',
      path: '/orgs',
      summary: 'All organizations, by id; `?search=` finds a part of a name or slug',
      ...reads('org:read'),
      query: orgsQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, owner, ...query } = given(call.query);
        if (call.wantsPage) {
          const page = await listPage(context, call, query);
          return {
            page: ['admin/orgs', owner === undefined ? page : { ...page, values: { ownerId: owner } }],
          };
        }
        const { items, nextCursor } = await orgs.list(query);
        return { json: { items: items.map(shown), nextCursor } };
      },
    }),
    route({
      method: 'post',
      path: '/orgs',
      summary: 'Found an organization for oneself, or for the person of `ownerId`',
      ...changes('org:create'),
      body: newOrgBody,
      answers: { 201: 'the organization' },
      forms,
      async run({ body, actor }) {
        const org = await orgs.create(given(body) as { name: string }, actor);
        return { json: shown(org), status: 201, redirectTo: `${pathOf(context, org.id)}?done=created` };
      },
    }),
  ];
}

function oneRoutes(context: AdminContext): Route[] {
  const { orgs } = context.parts;
  return [
    route({
      method: 'get',
      path: '/orgs/:id',
      summary: 'One organization, by id or slug',
      ...reads('org:read'),
      query: nothing,
      answers: { 200: 'the organization' },
      async run(call) {
        const id = call.param('id');
        if (call.wantsPage) return { page: ['admin/org', opened(await onePage(context, call, id))] };
        return { json: await orgOf(context, id) };
      },
    }),
    route({
      method: 'get',
      path: '/orgs/:id/members',
      summary: 'The people who hold roles at an organization, by id',
      ...reads('org:read'),
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        const id = call.param('id');
        if (call.wantsPage) return { page: ['admin/org', opened(await onePage(context, call, id, query))] };
        const org = await orgOf(context, id);
        const { items, nextCursor } = await orgs.members(`org:${org.id}`, query);
        return { json: { items: items.map(shownMember), nextCursor } };
      },
    }),
    route({
      method: 'patch',
      path: '/orgs/:id',
      summary: 'Change name, slug, metadata or policy of an organization',
      ...changes('org:manage'),
      body: orgChangeBody,
      answers: { 200: 'the organization' },
      async run({ param, body, actor }) {
        const { id } = await orgOf(context, param('id'));
        return { json: shown(await orgs.update(id, body as Parameters<typeof orgs.update>[1], actor)) };
      },
    }),
    route({
      method: 'delete',
      path: '/orgs/:id',
      summary: 'Delete an organization with everything below it; people stay',
      ...changes('org:delete'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        const { id } = await orgOf(context, param('id'));
        await orgs.delete(id, actor);
        return {};
      },
    }),
  ];
}

/** What scripts do with PATCH and DELETE, and the transfer. */
function formRoutes(context: AdminContext): Route[] {
  const { parts, path, http } = context;
  const { orgs } = parts;
  const view = http.views.form('admin/org', (req) => onePage(context, callOf(req), String(req.params.id)), {
    texts: { conflict: 'not_possible' },
  });
  const forms = [view.problem];
  const common = { method: 'post', isFormOnly: true, forms } as const;
  const back = (id: string, done: string) => `${pathOf(context, id)}?done=${done}`;
  return [
    route({
      method: 'post',
      path: '/orgs/:id/transfer',
      summary: 'Make a member the owner, instead of all owners of today',
      ...changes('org:delete'),
      body: transferBody,
      answers: { 204: 'no body' },
      forms,
      async run({ param, body, actor }) {
        const { id } = await orgOf(context, param('id'));
        await orgs.transfer(id, { toUserId: body.userId }, actor);
        return { redirectTo: back(id, 'transferred') };
      },
    }),
    route({
      ...common,
      path: '/orgs/:id/update',
      summary: 'Change name and slug of an organization',
      ...changes('org:manage'),
      body: orgBody,
      answers: { 303: 'to the organization' },
      async run({ param, body, actor }) {
        const { id } = await orgOf(context, param('id'));
        await orgs.update(id, given(body), actor);
        return { redirectTo: back(id, 'updated') };
      },
    }),
    route({
      ...common,
      path: '/orgs/:id/policy',
      summary: 'Change what an organization demands of its members',
      ...changes('org:manage'),
      form: { checkboxes: ['requireSecondFactor', 'joinByDomain'] },
      body: orgPolicyForm,
      answers: { 303: 'to the organization' },
      async run({ param, body, actor }) {
        const { id } = await orgOf(context, param('id'));
        await orgs.update(id, { policy: body }, actor);
        return { redirectTo: back(id, 'updated') };
      },
    }),
    route({
      ...common,
      path: '/orgs/:id/delete',
      summary: 'Delete an organization with everything below it; people stay',
      ...changes('org:delete'),
      answers: { 303: 'to the organizations' },
      async run({ param, actor }) {
        const { id } = await orgOf(context, param('id'));
        await orgs.delete(id, actor);
        return { redirectTo: `${path}/orgs?done=deleted` };
      },
    }),
  ];
}
