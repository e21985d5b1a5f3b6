import { type Route, route } from '../../http/route.js';
import { type AdminContext, frameOf, given, nextUrl } from './admin-pages.js';
import { listKeys, withEnd } from './keys.js';
import { apiKeysQuery } from './schemas.js';
import { changes, reads } from './user-routes.js';

/** The API keys of everybody. */
export function keyRoutes(context: AdminContext): Route[] {
  const { parts, path } = context;
  return [
    route({
      method: 'get',
      path: '/api-keys',
      summary: "Everybody's API keys, the newest first; `?user=` takes an id, an address or a username",
      ...reads('apikeys:manage'),
      query: apiKeysQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        const list = await listKeys(context, query);
        if (!call.wantsPage) return { json: list };
        const now = parts.core.now();
        return {
          page: [
            'admin/api-keys',
            {
              admin: await frameOf(context, call),
              keys: list.items.map((key) => withEnd(key, now)),
              user: query.user ?? '',
              nextUrl: nextUrl(`${path}/api-keys`, query, list.nextCursor),
            },
          ],
        };
      },
    }),
    route({
      method: 'delete',
      path: '/api-keys/:id',
      summary: 'Revoke the API key of a person of lower rank, or of a service account',
      ...changes('apikeys:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await parts.apiKeys.revoke(param('id'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/api-keys/:id/revoke',
      summary: 'Revoke an API key',
      ...changes('apikeys:manage'),
      isFormOnly: true,
      answers: { 303: 'to the API keys' },
      async run({ param, actor }) {
        await parts.apiKeys.revoke(param('id'), actor);
        return { redirectTo: `${path}/api-keys?done=revoked` };
      },
    }),
  ];
}
