import type { Core } from '../../core/core.js';
import { createErrorHandler } from '../../http/errors.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import {
  type Call,
  type Feature,
  type Route,
  type RouteAnswer,
  type RouteGuard,
  route,
} from '../../http/route.js';
import { noKey } from './api-key.js';
import type { ApiKeyManager, IssuedKey } from './manager.js';
import { type ApiKeyForms, apiKeyPages } from './pages.js';
import { createBody, createForm, leakedBody, pageQuery, rotateBody } from './schemas.js';

/** A key is a credential that outlives the session. */
const RECENT: RouteGuard = { recent: 'login' };

/** The API keys of the caller, at `/auth/api-keys`. No key opens these routes. */
export function apiKeysFeature(
  apiKeys: ApiKeyManager,
  core: Core,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const made = options.pages === false ? null : apiKeyPages(apiKeys, core, http);
  const path = `${http.config.paths.auth}/api-keys`;
  const context = { apiKeys, core, views: http.views, path, forms: made?.forms };
  return {
    name: 'apiKeys',
    path,
    pages: made?.pages ?? null,
    // Before `/:id`, which would take its path for the id of a key.
    routes: [leakedRoute(context), ...ownRoutes(context), ...formRoutes(context)],
  };
}

interface Context {
  apiKeys: ApiKeyManager;
  core: Core;
  views: HttpKit['views'];
  /** `/auth/api-keys`. */
  path: string;
  forms: ApiKeyForms | undefined;
}

function ownRoutes({ apiKeys }: Context): Route[] {
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'The API keys of the caller, newest first',
      guard: {},
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      run: async ({ user, query }) => ({ json: await apiKeys.list(user.id, query) }),
    }),
    route({
      method: 'post',
      path: '/',
      summary: 'Create an API key for the caller',
      guard: RECENT,
      body: createBody,
      answers: { 201: '`{ apiKey, key }`; the key is shown here and never again' },
      run: async ({ body, user, actor }) => ({
        json: await apiKeys.create({ ...body, userId: user.id }, actor),
        status: 201,
      }),
    }),
    route({
      method: 'post',
      path: '/:id/rotate',
      summary: 'Replace an API key; the one before works on for `overlapSeconds`',
      guard: RECENT,
      body: rotateBody,
      answers: { 200: '`{ apiKey, key }`' },
      run: async (call) => ({
        json: await apiKeys.rotate(await ownId(apiKeys, call), call.body, call.actor),
      }),
    }),
    route({
      method: 'delete',
      path: '/:id',
      summary: 'Revoke an API key of the caller',
      guard: RECENT,
      answers: { 204: 'no body' },
      async run(call) {
        await revokeOwn(apiKeys, call);
        return {};
      },
    }),
  ];
}

/** The forms of the page. A key is shown in the answer itself: no page that could be opened again has it. */
function formRoutes({ apiKeys, core, views, path, forms }: Context): Route[] {
  const issued = ({ apiKey, key }: IssuedKey, previousUntil: Date | null): RouteAnswer => ({
    json: { apiKey, key },
    page: [
      'api-keys/issued',
      {
        name: apiKey.name,
        key,
        expiresAt: apiKey.expiresAt ?? core.now(),
        previousUntil,
        continueUrl: `${path}/manage`,
      },
    ],
  });
  const common = { method: 'post', guard: RECENT, form: {}, isFormOnly: true, forms: forms?.list } as const;
  return [
    route({
      ...common,
      path: '/manage',
      summary: 'Create an API key for the caller',
      body: createForm,
      answers: { 200: 'a page with the key' },
      run: async ({ body, user, actor }) =>
        issued(await apiKeys.create({ ...body, userId: user.id }, actor), null),
    }),
    route({
      ...common,
      path: '/:id/replace',
      summary: 'Replace an API key',
      answers: { 200: 'a page with the key' },
      async run(call) {
        const id = await ownId(apiKeys, call);
        const replaced = await apiKeys.rotate(id, {}, call.actor);
        const row = await core.db.apiKey.findUnique({ where: { id }, select: { previousUntil: true } });
        return issued(replaced, row?.previousUntil ?? null);
      },
    }),
    route({
      ...common,
      path: '/:id/revoke',
      summary: 'Revoke an API key of the caller',
      answers: { 303: 'to the page of API keys' },
      async run(call) {
        await revokeOwn(apiKeys, call);
        views.notice(call.res, 'api_key_revoked');
        return { redirectTo: `${path}/manage` };
      },
    }),
  ];
}

/** Secret scanners find keys in public places and report them. Having a key proves that it leaked, so nothing else is asked for. */
function leakedRoute({ apiKeys, core }: Context): Route {
  return route({
    method: 'post',
    path: '/revoke-leaked',
    summary: 'Revoke a key that was found where others can read it',
    limit: { name: 'leakedKey', like: 'mailToken' },
    takesForms: true,
    onError: [createErrorHandler(core.config)],
    body: leakedBody,
    answers: { 200: '`{ revoked }`, whether it was a key in force' },
    async run({ res, body, actor }) {
      res.json({ revoked: await apiKeys.revokeLeaked(body.key, actor) }); // to a form as well: scanners are programs
      return undefined;
    },
  });
}

async function revokeOwn(apiKeys: ApiKeyManager, call: Call): Promise<void> {
  await apiKeys.revoke(await ownId(apiKeys, call), call.actor);
}

/** Administrators have routes of their own for the keys of others. @throws AuthTunaError `not_found` */
async function ownId(apiKeys: ApiKeyManager, { param, user }: Call<unknown>): Promise<string> {
  const id = param('id');
  if (!(await apiKeys.isOwn(id, user.id))) throw noKey();
  return id;
}
