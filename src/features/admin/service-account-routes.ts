import type { ServiceAccount } from '../../core/users/service-account.js';
import type { PageInput } from '../../http/pages/views.js';
import { type Call, type Route, type RouteAnswer, route } from '../../http/route.js';
import { type AdminContext, frameOf, given, nextUrl } from './admin-pages.js';
import { withEnd } from './keys.js';
import type { NewKey } from './parts.js';
import { keyBody, keyForm, nothing, pageQuery, serviceAccountBody, serviceAccountsQuery } from './schemas.js';
import { changes, reads } from './user-routes.js';

type PageCall = Pick<Call, 'auth' | 'req' | 'actor'>;

const callOf = (req: Call['req']): PageCall => {
  const auth = req.auth as Call['auth'];
  return { req, auth, actor: auth.actor };
};

/** Accounts for programs, and the keys they act by. The manager holds every call to the rank of the account. */
export function serviceAccountRoutes(context: AdminContext): Route[] {
  return [...listRoutes(context), ...oneRoutes(context), ...keyRoutes(context), ...formRoutes(context)];
}

const pathOf = ({ path }: AdminContext, id: string) => `${path}/service-accounts/${encodeURIComponent(id)}`;

/** With the names of their organizations, by one query. */
async function withOrgs({ parts }: AdminContext, accounts: readonly ServiceAccount[]) {
  const rows = await parts.core.db.organization.findMany({
    where: { id: { in: [...new Set(accounts.map(({ orgId }) => orgId))] } },
    select: { id: true, name: true },
  });
  const names = new Map(rows.map(({ id, name }) => [id, name]));
  return accounts.map((account) => ({ ...account, orgName: names.get(account.orgId) ?? null }));
}

interface ListQuery {
  org?: string;
  cursor?: string;
  limit?: number;
}

function list({ parts }: AdminContext, { org, ...query }: ListQuery, actor: Call['actor']) {
  return parts.serviceAccounts.list({ ...query, ...(org !== undefined && { orgId: org }) }, actor);
}

async function listPage(
  context: AdminContext,
  call: PageCall,
  query: ListQuery = {},
): Promise<PageInput<'admin/service-accounts'>> {
  const { items, nextCursor } = await list(context, query, call.actor);
  return {
    admin: await frameOf(context, call),
    accounts: await withOrgs(context, items),
    org: query.org ?? '',
    nextUrl: nextUrl(`${context.path}/service-accounts`, query, nextCursor),
  };
}

async function onePage(
  context: AdminContext,
  call: PageCall,
  id: string,
  query: { cursor?: string; limit?: number } = {},
): Promise<PageInput<'admin/service-account'>> {
  const { parts } = context;
  const found = await parts.serviceAccounts.get(id, call.actor);
  const [admin, [account], assignments, keys] = await Promise.all([
    frameOf(context, call),
    withOrgs(context, [found]),
    parts.core.roles.assignmentsOf(found.id),
    parts.apiKeys.list(found.id, query),
  ]);
  const now = parts.core.now();
  return {
    admin,
    account: account ?? { ...found, orgName: null },
    assignments,
    keys: keys.items.map((key) => withEnd(key, now)),
    nextUrl: nextUrl(`${pathOf(context, found.id)}/api-keys`, query, keys.nextCursor),
  };
}

function listRoutes(context: AdminContext): Route[] {
  const { serviceAccounts } = context.parts;
  const forms = [
    context.http.views.form('admin/service-accounts', (req) => listPage(context, callOf(req))).problem,
  ];
  return [
    route({
      method: 'get',
      path: '/service-accounts',
      summary: 'Service accounts, the newest first; `?org=` takes the id of an organization',
      ...reads('apikeys:manage'),
      query: serviceAccountsQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        if (call.wantsPage) {
          const page = await listPage(context, call, query);
          return { page: ['admin/service-accounts', { ...page, values: { orgId: page.org } }] };
        }
        return { json: await list(context, query, call.actor) };
      },
    }),
    route({
      method: 'post',
      path: '/service-accounts',
      summary: 'Create a service account of an organization',
      ...changes('apikeys:manage'),
      body: serviceAccountBody,
      answers: { 201: 'the service account' },
      forms,
      async run({ body, actor }) {
        const account = await serviceAccounts.create(body, actor);
        return { json: account, status: 201, redirectTo: `${pathOf(context, account.id)}?done=created` };
      },
    }),
  ];
}

function oneRoutes(context: AdminContext): Route[] {
  const { serviceAccounts } = context.parts;
  return [
    route({
      method: 'get',
      path: '/service-accounts/:id',
      summary: 'One service account',
      ...reads('apikeys:manage'),
      query: nothing,
      answers: { 200: 'the service account' },
      async run(call) {
        const id = call.param('id');
        if (call.wantsPage) return { page: ['admin/service-account', await onePage(context, call, id)] };
        return { json: await serviceAccounts.get(id, call.actor) };
      },
    }),
    route({
      method: 'delete',
      path: '/service-accounts/:id',
      summary: 'Delete a service account; its keys stop working',
      ...changes('apikeys:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await serviceAccounts.delete(param('id'), actor);
        return {};
      },
    }),
  ];
}

function keyRoutes(context: AdminContext): Route[] {
  const { apiKeys, serviceAccounts } = context.parts;
  return [
    route({
      method: 'get',
      path: '/service-accounts/:id/api-keys',
      summary: 'The API keys of a service account, the newest first',
      ...reads('apikeys:manage'),
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        const id = call.param('id');
        if (call.wantsPage)
          return { page: ['admin/service-account', await onePage(context, call, id, query)] };
        const account = await serviceAccounts.get(id, call.actor);
        return { json: await apiKeys.list(account.id, query) };
      },
    }),
    route({
      method: 'post',
      path: '/service-accounts/:id/api-keys',
      summary: 'Create an API key of a service account',
      ...changes('apikeys:manage'),
      body: keyBody,
      answers: { 201: '`{ apiKey, key }`; the key is shown here and never again' },
      run: async (call) => ({ json: await create(context, call, given(call.body) as NewKey), status: 201 }),
    }),
  ];
}

/** Of service accounts alone: a person who saw the key of another could act as them. */
async function create({ parts }: AdminContext, { param, actor }: Call<unknown>, input: NewKey) {
  const account = await parts.serviceAccounts.get(param('id'), actor);
  return parts.apiKeys.create({ ...input, userId: account.id }, actor);
}

function formRoutes(context: AdminContext): Route[] {
  const { parts, path, http } = context;
  const forms = [
    http.views.form('admin/service-account', (req) => onePage(context, callOf(req), String(req.params.id)), {
      texts: { conflict: 'not_possible' },
    }).problem,
  ];
  const common = { method: 'post', ...changes('apikeys:manage'), isFormOnly: true, forms } as const;
  return [
    route({
      ...common,
      path: '/service-accounts/:id/new-key',
      summary: 'Create an API key of a service account',
      body: keyForm,
      answers: { 200: 'a page with the key' },
      async run(call): Promise<RouteAnswer> {
        const { apiKey, key } = await create(context, call, call.body);
        const { name } = await parts.serviceAccounts.get(apiKey.userId, call.actor);
        return {
          json: { apiKey, key },
          page: [
            'admin/api-key',
            {
              admin: await frameOf(context, call),
              account: name,
              name: apiKey.name,
              key,
              expiresAt: apiKey.expiresAt,
              continueUrl: pathOf(context, apiKey.userId),
            },
          ],
        };
      },
    }),
    route({
      ...common,
      path: '/service-accounts/:id/delete',
      summary: 'Delete a service account; its keys stop working',
      answers: { 303: 'to the service accounts' },
      async run({ param, actor }) {
        await parts.serviceAccounts.delete(param('id'), actor);
        return { redirectTo: `${path}/service-accounts?done=deleted` };
      },
    }),
  ];
}
