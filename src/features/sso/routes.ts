import type { HttpKit } from '../../http/kit.js';
import { type Feature, type Route, type RouteGuard, route } from '../../http/route.js';
import type { SsoConnectionManager } from './manager.js';
import { connectionBody, connectionChangeBody, domainBody, domainChangeBody, scopeQuery } from './schemas.js';

const READ: { guard: RouteGuard } = { guard: { fresh: true } };
/** A change makes us ask addresses and names that somebody else chose. */
const CHANGE = {
  guard: { fresh: true, recent: 'login' },
  limit: { name: 'social', like: 'social', by: 'user' },
  asksOthers: true,
} as const;

/** Connections of organizations to their own providers, at `/auth/social/connections`. The manager decides who may. */
export function ssoFeature(connections: SsoConnectionManager, http: HttpKit): Feature {
  return {
    name: 'sso',
    path: `${http.config.paths.auth}/social/connections`,
    pages: null,
    routes: [...connectionRoutes(connections), ...domainRoutes(connections)],
  };
}

function connectionRoutes(connections: SsoConnectionManager): Route[] {
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
      answers: { 201: 'the connection' },
      run: async ({ body, actor }) => ({ json: await connections.create(body, actor), status: 201 }),
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

function domainRoutes(connections: SsoConnectionManager): Route[] {
  return [
    route({
      method: 'post',
      path: '/:id/domains',
      summary: 'Claim an e-mail domain',
      ...CHANGE,
      body: domainBody,
      answers: { 201: 'the domain, with the TXT record to publish' },
      run: async ({ param, body, actor }) => ({
        json: await connections.addDomain(param('id'), body.domain, actor),
        status: 201,
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
      answers: { 200: 'the domain' },
      run: async ({ param, actor }) => ({
        json: await connections.verifyDomain(param('id'), param('domain'), actor),
      }),
    }),
  ];
}
