import type { Core } from '../../core/core.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { type Feature, type Route, type RouteGuard, route } from '../../http/route.js';
import type { SsoConnectionManager } from './manager.js';
import { listUrl, type SsoForms, type SsoPlace, ssoPages } from './pages.js';
import {
  connectionBody,
  connectionChangeBody,
  connectionForm,
  domainBody,
  domainChangeBody,
  mappedRoleForm,
  mappedValueForm,
  scopeQuery,
} from './schemas.js';

const READ: { guard: RouteGuard } = { guard: { fresh: true } };
/** A change makes us ask addresses and names that somebody else chose. */
const CHANGE = {
  guard: { fresh: true, recent: 'login' },
  limit: { name: 'social', like: 'social', by: 'user' },
  asksOthers: true,
} as const;

/** Connections of organizations to their own providers, at `/auth/social/connections`. The manager decides who may. */
export function ssoFeature(
  connections: SsoConnectionManager,
  core: Core,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const path = `${http.config.paths.auth}/social/connections`;
  const place = { connections, core, http, path, read: READ };
  const made = options.pages === false ? null : ssoPages(place);
  return {
    name: 'sso',
    path,
    pages: made?.pages ?? null,
    routes: [
      ...connectionRoutes(place, made?.forms),
      ...domainRoutes(place, made?.forms),
      ...formRoutes(place, made?.forms),
      ...mappingForms(place, made?.forms),
    ],
  };
}

function connectionRoutes({ connections, path }: SsoPlace, forms: SsoForms | undefined): Route[] {
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'The connections of a scope',
      ...READ,
      query: scopeQuery,
      answers: { 200: '`{ items, nextCursor: null }`' },
      run: async ({ query, actor }) => ({
        json: { items: await connections.list(query.scope, actor), nextCursor: null },
      }),
    }),
    route({
      method: 'post',
      path: '/',
      summary: 'Connect an organization to its provider',
      ...CHANGE,
      body: connectionBody,
      form: { checkboxes: ['linkVerifiedEmails'] },
      forms: forms?.list,
      answers: { 201: 'the connection' },
      async run({ body, actor }) {
        const created = await connections.create(body, actor);
        return { json: created, status: 201, redirectTo: `${path}/${created.id}` };
      },
    }),
    route({
      method: 'get',
      path: '/:id',
      summary: 'One connection',
      ...READ,
      answers: { 200: 'the connection' },
      run: async ({ param, actor }) => ({ json: await connections.get(param('id'), actor) }),
    }),
    route({
      method: 'patch',
      path: '/:id',
      summary: 'Change a connection',
      ...CHANGE,
      body: connectionChangeBody,
      answers: { 200: 'the connection' },
      run: async ({ param, body, actor }) => ({ json: await connections.update(param('id'), body, actor) }),
    }),
    route({
      method: 'delete',
      path: '/:id',
      summary: 'Remove a connection, its domains, and the identities and roles that came by it',
      ...CHANGE,
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await connections.delete(param('id'), actor);
        return {};
      },
    }),
  ];
}

function domainRoutes({ connections, path }: SsoPlace, forms: SsoForms | undefined): Route[] {
  return [
    route({
      method: 'post',
      path: '/:id/domains',
      summary: 'Claim an e-mail domain',
      ...CHANGE,
      body: domainBody,
      form: {},
      forms: forms?.connection,
      answers: { 201: 'the domain, with the TXT record to publish' },
      run: async ({ param, body, actor }) => ({
        json: await connections.addDomain(param('id'), body.domain, actor),
        status: 201,
        redirectTo: `${path}/${param('id')}`,
      }),
    }),
    route({
      method: 'patch',
      path: '/:id/domains/:domain',
      summary: "Make the domain's people sign in here and nowhere else, or let them sign in as they like",
      ...CHANGE,
      body: domainChangeBody,
      answers: { 200: 'the domain' },
      run: async ({ param, body, actor }) => ({
        json: await connections.requireSso(param('id'), param('domain'), body.required, actor),
      }),
    }),
    route({
      method: 'delete',
      path: '/:id/domains/:domain',
      summary: 'Give a domain up',
      ...CHANGE,
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await connections.removeDomain(param('id'), param('domain'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/:id/domains/:domain/verify',
      summary: 'Look for the TXT record, which proves the domain',
      ...CHANGE,
      form: {},
      forms: forms?.connection,
      answers: { 200: 'the domain' },
      run: async ({ param, actor }) => ({
        json: await connections.verifyDomain(param('id'), param('domain'), actor),
        redirectTo: `${path}/${param('id')}`,
      }),
    }),
  ];
}

/** The forms of the pages for what scripts do with PATCH and DELETE. */
function formRoutes({ connections, path }: SsoPlace, forms: SsoForms | undefined): Route[] {
  const common = { method: 'post', ...CHANGE, isFormOnly: true, forms: forms?.connection } as const;
  const demanding = (required: boolean) =>
    route({
      ...common,
      path: `/:id/domains/:domain/${required ? 'demand' : 'release'}`,
      summary: required
        ? "Make the domain's people sign in here and nowhere else"
        : "Let the domain's people sign in as they like",
      form: {},
      answers: { 303: 'to the page of the connection' },
      async run({ param, actor }) {
        await connections.requireSso(param('id'), param('domain'), required, actor);
        return { redirectTo: `${path}/${param('id')}` };
      },
    });
  return [
    route({
      ...common,
      path: '/:id/settings',
      summary: 'Change a connection',
      body: connectionForm,
      form: { checkboxes: ['linkVerifiedEmails'] },
      answers: { 303: 'to the page of the connection' },
      async run({ param, body, actor }) {
        const { name, clientSecret, linkVerifiedEmails } = body;
        const change = { name, linkVerifiedEmails, ...(clientSecret !== undefined && { clientSecret }) };
        await connections.update(param('id'), change, actor);
        return { redirectTo: `${path}/${param('id')}` };
      },
    }),
    route({
      ...common,
      path: '/:id/remove',
      summary: 'Remove a connection, its domains, and the identities and roles that came by it',
      form: {},
      answers: { 303: 'to the connections of the scope' },
      async run({ param, actor }) {
        const { scope } = await connections.get(param('id'), actor);
        await connections.delete(param('id'), actor);
        return { redirectTo: listUrl(path, scope) };
      },
    }),
    demanding(true),
    demanding(false),
    route({
      ...common,
      path: '/:id/domains/:domain/remove',
      summary: 'Give a domain up',
      form: {},
      answers: { 303: 'to the page of the connection' },
      async run({ param, actor }) {
        await connections.removeDomain(param('id'), param('domain'), actor);
        return { redirectTo: `${path}/${param('id')}` };
      },
    }),
  ];
}

/** The forms that map groups to roles one by one; scripts send the whole mapping with PATCH. */
function mappingForms({ connections, path }: SsoPlace, forms: SsoForms | undefined): Route[] {
  const common = {
    method: 'post',
    ...CHANGE,
    isFormOnly: true,
    forms: forms?.connection,
    form: {},
    answers: { 303: 'to the page of the connection' },
  } as const;
  return [
    route({
      ...common,
      path: '/:id/roles',
      summary: 'Map a value of the claim to a role',
      body: mappedRoleForm,
      async run({ param, body, actor }) {
        await connections.mapRole(param('id'), body, actor);
        return { redirectTo: `${path}/${param('id')}` };
      },
    }),
    route({
      ...common,
      path: '/:id/roles/remove',
      summary: 'Map a value of the claim to no role any more',
      body: mappedValueForm,
      async run({ param, body, actor }) {
        await connections.mapRole(param('id'), body, actor);
        return { redirectTo: `${path}/${param('id')}` };
      },
    }),
  ];
}
