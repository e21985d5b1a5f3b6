import { validate } from '../../core/validate.js';
import type { PageInput } from '../../http/pages/views.js';
import { type Call, type Route, type RouteAnswer, route } from '../../http/route.js';
import { type AdminContext, frameOf } from './admin-pages.js';
import { BulkActions, type BulkInput, type LeftOut } from './bulk.js';
import { bulkBody, bulkQuery } from './schemas.js';
import { changes, reads } from './user-routes.js';

type PageCall = Pick<Call, 'auth' | 'req' | 'actor'>;

/** The same act upon up to 50 people: first a preview of who is affected, then the act. */
export function bulkRoutes(context: AdminContext): Route[] {
  const { parts, people, path, http } = context;
  const bulk = new BulkActions(parts, people);
  const preview = async (call: PageCall, input: BulkInput): Promise<PageInput<'admin/bulk'>> => {
    const [admin, found] = await Promise.all([frameOf(context, call), bulk.preview(input, call.actor)]);
    return { admin, action: input.action, ...found, done: null, returnTo: addressOf(path, input) };
  };
  const forms = [
    http.views.form('admin/bulk', (req) => {
      const auth = req.auth as Call['auth'];
      // Whether somebody is affected is what the page asks; what was typed wrongly stands beside it.
      const { action, users } = validate(bulkQuery, { action: req.body?.action, users: req.body?.users });
      return preview({ req, auth, actor: auth.actor }, { action, users });
    }).problem,
  ];
  return [
    route({
      method: 'get',
      path: '/bulk',
      summary: 'Who an act upon several people would affect: `?action=&users=&users=`',
      ...reads('users:read', 'users:manage'),
      query: bulkQuery,
      answers: { 200: '`{ action, affected, refused }`' },
      async run(call) {
        const { action, users } = call.query;
        if (call.wantsPage) return { page: ['admin/bulk', await preview(call, { action, users })] };
        return { json: { action, ...(await bulk.preview({ action, users }, call.actor)) } };
      },
    }),
    route({
      method: 'post',
      path: '/bulk',
      summary:
        'Suspend, delete or erase several people, end their sessions, or make them choose new passwords',
      ...changes('users:manage'),
      body: bulkBody,
      answers: { 200: '`{ action, done, refused }`' },
      forms,
      async run(call): Promise<RouteAnswer> {
        const { done, refused } = await bulk.run(call.body, call.actor);
        const { action } = call.body;
        const json = { action, done, refused };
        if (refused.length === 0) return { json, redirectTo: `${path}/users?done=bulk` };
        return { json, page: ['admin/bulk', await resultPage(context, call, { action, done, refused })] };
      },
    }),
  ];
}

async function resultPage(
  context: AdminContext,
  call: PageCall,
  { action, done, refused }: { action: string; done: string[]; refused: LeftOut[] },
): Promise<PageInput<'admin/bulk'>> {
  return { admin: await frameOf(context, call), action, affected: [], refused, done: done.length };
}

function addressOf(path: string, { action, users }: BulkInput): string {
  const query = new URLSearchParams({ action });
  for (const id of users) query.append('users', id);
  return `${path}/bulk?${query.toString()}`;
}
