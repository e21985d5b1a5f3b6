import type { PageInput } from '../../http/pages/views.js';
import type { Call, Route } from '../../http/route.js';
import { route } from '../../http/route.js';
import { type AdminContext, frameOf, given, nextUrl } from './admin-pages.js';
import type { IssuedWebhook } from './parts.js';
import {
  deliveriesQuery,
  nothing,
  pageQuery,
  rotateBody,
  webhookBody,
  webhookChangeBody,
} from './schemas.js';
import { changes, reads } from './user-routes.js';

type PageCall = Pick<Call, 'auth' | 'req'>;
type DeliveriesQuery = Parameters<AdminContext['parts']['webhooks']['deliveries']>[1];

const guarded = changes('webhooks:manage');

/** Webhooks, what was sent to them, and sending it again. */
export function webhookRoutes(context: AdminContext): Route[] {
  return [...listRoutes(context), ...oneRoutes(context), ...deliveryRoutes(context), ...formRoutes(context)];
}

async function listPage(
  context: AdminContext,
  call: PageCall,
  query: { cursor?: string; limit?: number } = {},
): Promise<PageInput<'admin/webhooks'>> {
  const list = await context.parts.webhooks.list(query);
  return {
    admin: await frameOf(context, call),
    webhooks: list.items,
    nextUrl: nextUrl(`${context.path}/webhooks`, query, list.nextCursor),
  };
}

async function onePage(
  context: AdminContext,
  call: PageCall,
  id: string,
  query: DeliveriesQuery = {},
): Promise<PageInput<'admin/webhook'>> {
  const { webhooks } = context.parts;
  const [webhook, deliveries] = [await webhooks.get(id), await webhooks.deliveries(id, query)];
  return {
    admin: await frameOf(context, call),
    webhook,
    deliveries: deliveries.items,
    status: query?.status ?? null,
    nextUrl: nextUrl(`${pathOf(context, id)}/deliveries`, query ?? {}, deliveries.nextCursor),
  };
}

/** The page as it is opened: its form holds what is stored. A refused form holds what was typed. */
function opened(page: PageInput<'admin/webhook'>): PageInput<'admin/webhook'> {
  const { url, events } = page.webhook;
  return { ...page, values: { url, events: events === '*' ? '*' : events.join(' ') } };
}

const pathOf = ({ path }: AdminContext, id: string) => `${path}/webhooks/${encodeURIComponent(id)}`;

const callOf = (req: Call['req']): PageCall => ({ req, auth: req.auth as Call['auth'] });

/** A secret is shown in the answer itself: no page that could be opened again has it. */
async function issued(
  context: AdminContext,
  call: PageCall,
  { webhook, secret }: IssuedWebhook,
  status: number,
) {
  const page: ['admin/webhook-secret', PageInput<'admin/webhook-secret'>] = [
    'admin/webhook-secret',
    {
      admin: await frameOf(context, call),
      url: webhook.url,
      secret,
      previousUntil: webhook.previousSecretUntil,
      continueUrl: pathOf(context, webhook.id),
    },
  ];
  return { json: { webhook, secret }, status, page };
}

function listRoutes(context: AdminContext): Route[] {
  const { webhooks } = context.parts;
  const forms = [context.http.views.form('admin/webhooks', (req) => listPage(context, callOf(req))).problem];
  return [
    route({
      method: 'get',
      path: '/webhooks',
      summary: 'All webhooks, the newest first',
      ...reads('webhooks:manage'),
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        if (call.wantsPage) return { page: ['admin/webhooks', await listPage(context, call, query)] };
        return { json: await webhooks.list(query) };
      },
    }),
    route({
      method: 'post',
      path: '/webhooks',
      summary: 'Create a webhook',
      ...guarded,
      body: webhookBody,
      answers: { 201: '`{ webhook, secret }`' },
      forms,
      run: async (call) => issued(context, call, await webhooks.create(call.body, call.actor), 201),
    }),
  ];
}

function oneRoutes(context: AdminContext): Route[] {
  const { webhooks } = context.parts;
  return [
    route({
      method: 'get',
      path: '/webhooks/:id',
      summary: 'One webhook',
      ...reads('webhooks:manage'),
      query: nothing,
      answers: { 200: 'the webhook' },
      async run(call) {
        const id = call.param('id');
        if (call.wantsPage) return { page: ['admin/webhook', opened(await onePage(context, call, id))] };
        return { json: await webhooks.get(id) };
      },
    }),
    route({
      method: 'patch',
      path: '/webhooks/:id',
      summary: 'Change where a webhook leads, what it is told of, or whether it is told at all',
      ...guarded,
      body: webhookChangeBody,
      answers: { 200: 'the webhook' },
      run: async ({ param, body, actor }) => ({
        json: await webhooks.update(param('id'), given(body), actor),
      }),
    }),
    route({
      method: 'delete',
      path: '/webhooks/:id',
      summary: 'Delete a webhook and its deliveries',
      ...guarded,
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await webhooks.delete(param('id'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/webhooks/:id/rotate-secret',
      summary: 'Replace the secret; the one before signs as well for a day, or for `overlapSeconds`',
      ...guarded,
      body: rotateBody,
      answers: { 200: '`{ webhook, secret }`' },
      run: async (call) =>
        issued(
          context,
          call,
          await webhooks.rotateSecret(call.param('id'), given(call.body), call.actor),
          200,
        ),
    }),
  ];
}

function deliveryRoutes(context: AdminContext): Route[] {
  const { webhooks } = context.parts;
  return [
    route({
      method: 'get',
      path: '/webhooks/:id/deliveries',
      summary: 'What was sent to a webhook, or waits, with its body; `?status=waiting|delivered|dead`',
      ...reads('webhooks:manage'),
      query: deliveriesQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        const id = call.param('id');
        if (call.wantsPage)
          return { page: ['admin/webhook', opened(await onePage(context, call, id, query))] };
        return { json: await webhooks.deliveries(id, query) };
      },
    }),
    route({
      method: 'post',
      path: '/webhooks/:id/deliveries/:deliveryId/replay',
      summary: 'Send a delivery again that arrived or was given up',
      ...guarded,
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await webhooks.replay(param('deliveryId'), actor);
        return { redirectTo: `${pathOf(context, param('id'))}?done=replayed` };
      },
    }),
  ];
}

/** What scripts do with PATCH and DELETE. */
function formRoutes(context: AdminContext): Route[] {
  const { parts, path, http } = context;
  const { webhooks } = parts;
  const view = http.views.form('admin/webhook', (req) =>
    onePage(context, callOf(req), String(req.params.id)),
  );
  const common = { method: 'post', ...guarded, isFormOnly: true } as const;
  return [
    route({
      ...common,
      path: '/webhooks/:id/update',
      summary: 'Change where a webhook leads and what it is told of',
      body: webhookChangeBody,
      answers: { 303: 'to the webhook' },
      forms: [view.problem],
      async run({ param, body, actor }) {
        await webhooks.update(param('id'), given(body), actor);
        return { redirectTo: `${pathOf(context, param('id'))}?done=updated` };
      },
    }),
    ...(['enable', 'disable'] as const).map((verb) =>
      route({
        ...common,
        path: `/webhooks/:id/${verb}`,
        summary: verb === 'enable' ? 'Tell a webhook of events again' : 'Tell a webhook of no more events',
        answers: { 303: 'to the webhook' },
        async run({ param, actor }) {
          await webhooks.update(param('id'), { enabled: verb === 'enable' }, actor);
          return { redirectTo: `${pathOf(context, param('id'))}?done=updated` };
        },
      }),
    ),
    route({
      ...common,
      path: '/webhooks/:id/delete',
      summary: 'Delete a webhook and its deliveries',
      answers: { 303: 'to the webhooks' },
      async run({ param, actor }) {
        await webhooks.delete(param('id'), actor);
        return { redirectTo: `${path}/webhooks?done=deleted` };
      },
    }),
  ];
}
