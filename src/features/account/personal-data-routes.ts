import { z } from 'zod';
import type { User } from '../../auth.js';
import type { HttpKit } from '../../http/kit.js';
import { type Route, type RouteGuard, route } from '../../http/route.js';
import type { AccountManager } from './manager.js';
import type { AccountForms } from './pages.js';

const SIGNED_IN: RouteGuard = {};
const RECENT: RouteGuard = { recent: 'login' };

const listQuery = z.strictObject({
  cursor: z.string().min(1).max(64).optional(),
  limit: z.coerce.number().optional(),
});

const consentBody = z.strictObject({ purpose: z.string().min(1).max(64) });

/** What happened to the account, what is kept of the person and agreed to, and deleting it. */
export function personalDataRoutes<U extends User>(
  account: AccountManager<U>,
  http: HttpKit,
  forms: AccountForms | undefined,
): Route[] {
  const { account: path } = http.config.paths;
  const page = `${path}/data`;
  return [
    ...consentRoutes(account, http, page, forms),
    route({
      method: 'get',
      path: '/history',
      summary: 'What happened to the own account, newest first',
      guard: SIGNED_IN,
      query: listQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run({ user, query }) {
        const { items, nextCursor } = await account.history(user.id, query);
        const nextUrl =
          nextCursor === null ? null : `${path}/history?cursor=${encodeURIComponent(nextCursor)}`;
        return {
          json: { items, nextCursor },
          page: ['account/history', { mounted: http.mounts.pages, entries: items, nextUrl }],
        };
      },
    }),
    route({
      method: 'get',
      path: '/export',
      summary: 'Everything that is kept of the user, as a file of JSON',
      guard: RECENT,
      limit: { name: 'accountExport', like: 'mailRequest', by: 'user' },
      answers: { 200: '`{ version, exportedAt, user, parts }`' },
      async run({ res, user, actor }) {
        const data = await account.exportData(user.id, actor);
        res.setHeader('Content-Disposition', 'attachment; filename="account.json"');
        return { json: data };
      },
    }),
    ...deletionRoutes(account, http, page, forms),
  ];
}

function deletionRoutes<U extends User>(
  account: AccountManager<U>,
  { views }: HttpKit,
  page: string,
  forms: AccountForms | undefined,
): Route[] {
  return [
    route({
      method: 'post',
      path: '/deletion',
      summary: 'Ask for the own account to be deleted',
      guard: RECENT,
      form: {},
      answers: { 202: '`{ effectiveAt }`, when the account is erased' },
      forms: forms?.data,
      async run({ res, user, actor, wantsPage }) {
        const effectiveAt = await account.requestDeletion(user.id, actor);
        if (wantsPage) views.notice(res, 'deletion_requested');
        return { json: { effectiveAt }, status: 202, redirectTo: page };
      },
    }),
    route({
      method: 'delete',
      path: '/deletion',
      summary: 'Keep the own account after all',
      guard: SIGNED_IN,
      answers: { 204: 'no body' },
      async run({ user, actor }) {
        await account.cancelDeletion(user.id, actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/deletion/cancel',
      summary: 'Keep the own account after all',
      guard: SIGNED_IN,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to the page' },
      forms: forms?.data,
      async run({ res, user, actor }) {
        await account.cancelDeletion(user.id, actor);
        views.notice(res, 'deletion_canceled');
        return { redirectTo: page };
      },
    }),
  ];
}

/** As easy to take back as to give: neither needs a fresh proof. */
function consentRoutes<U extends User>(
  account: AccountManager<U>,
  { views }: HttpKit,
  page: string,
  forms: AccountForms | undefined,
): Route[] {
  return [
    route({
      method: 'get',
      path: '/consents',
      summary: 'What the user agreed to, of what this site asks for',
      guard: SIGNED_IN,
      answers: { 200: '`{ items, nextCursor: null }`' },
      run: async ({ user }) => ({ json: { items: await account.consents(user.id), nextCursor: null } }),
    }),
    route({
      method: 'post',
      path: '/consents',
      summary: 'Agree to the present version of something',
      guard: SIGNED_IN,
      form: {},
      body: consentBody,
      answers: { 204: 'no body' },
      forms: forms?.data,
      async run({ res, user, body, actor, wantsPage }) {
        await account.giveConsent(user.id, body.purpose, actor);
        if (wantsPage) views.notice(res, 'consent_given');
        return { redirectTo: page };
      },
    }),
    route({
      method: 'delete',
      path: '/consents/:purpose',
      summary: 'Take back what one agreed to',
      guard: SIGNED_IN,
      answers: { 204: 'no body' },
      async run({ user, param, actor }) {
        await account.withdrawConsent(user.id, param('purpose'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/consents/:purpose/withdraw',
      summary: 'Take back what one agreed to',
      guard: SIGNED_IN,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to the page' },
      forms: forms?.data,
      async run({ res, user, param, actor }) {
        await account.withdrawConsent(user.id, param('purpose'), actor);
        views.notice(res, 'consent_withdrawn');
        return { redirectTo: page };
      },
    }),
  ];
}
