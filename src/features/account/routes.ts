import type { User } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { type Call, type Feature, type Route, type RouteGuard, route } from '../../http/route.js';
import type { AccountManager } from './manager.js';
import { type AccountForms, accountPages } from './pages.js';
import { personalDataRoutes } from './personal-data-routes.js';
import { changeBody } from './schemas.js';
import type { WaysIn } from './ways-in.js';

const SIGNED_IN: RouteGuard = {};
const RECENT: RouteGuard = { recent: 'login' };

/** One's own account, at `/account`. */
export function accountFeature<U extends User>(
  account: AccountManager<U>,
  waysIn: WaysIn,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const made = options.pages === false ? null : accountPages(account, waysIn, http);
  const path = http.config.paths.account;
  const context = { account, http, security: `${path}/security`, forms: made?.forms };
  return {
    name: 'account',
    path,
    pages: made?.pages ?? null,
    routes: [
      ...profileRoutes(context),
      ...sessionRoutes(context),
      ...personalDataRoutes(account, http, made?.forms),
    ],
  };
}

interface Context<U extends User> {
  account: AccountManager<U>;
  http: HttpKit;
  /** The path of the page. */
  security: string;
  forms: AccountForms | undefined;
}

function profileRoutes<U extends User>({ account, http, security }: Context<U>): Route[] {
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'The own account; a browser is sent on to its page',
      guard: SIGNED_IN,
      answers: { 200: 'the user' },
      async run({ res, user, wantsPage }) {
        if (wantsPage) return void http.views.redirect(res, security);
        return { json: http.sentUser(await account.get(user.id)) };
      },
    }),
    route({
      method: 'patch',
      path: '/',
      summary: 'Change the own username and fields of `signUp.fields`',
      guard: RECENT,
      limit: 'signUp', // tells as well whether a username is taken
      body: changeBody,
      answers: { 200: 'the user' },
      run: async ({ body, user, actor }) => ({
        json: http.sentUser(await account.change(user.id, body, actor)),
      }),
    }),
  ];
}

function sessionRoutes<U extends User>({ account, http, security, forms }: Context<U>): Route[] {
  const { views } = http;
  const endOthers = async ({ auth: { session }, user, actor }: Call) => {
    if (session === null) throw new AuthTunaError('forbidden'); // the guard lets no other credential through
    return { revoked: await account.endOtherSessions(user.id, session.id, actor) };
  };
  return [
    route({
      method: 'get',
      path: '/sessions',
      summary: 'Where the user is signed in, the last used first',
      guard: SIGNED_IN,
      answers: { 200: '`{ items, nextCursor: null }`' },
      async run({ user, auth }) {
        const items = await account.sessions(user.id, auth.session?.id ?? null);
        return { json: { items, nextCursor: null } };
      },
    }),
    route({
      method: 'delete',
      path: '/sessions',
      summary: 'End all own sessions but this one',
      guard: RECENT,
      answers: { 204: 'no body' },
      async run(call) {
        await endOthers(call);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/sessions/revoke-others',
      summary: 'End all own sessions but this one',
      guard: RECENT,
      form: {},
      isFormOnly: true,
      answers: { 200: '`{ revoked }`, how many ended' },
      forms: forms?.security,
      async run(call) {
        const json = await endOthers(call);
        views.notice(call.res, 'other_sessions_ended');
        return { json, redirectTo: security };
      },
    }),
    route({
      method: 'post',
      path: '/sessions/:id/revoke',
      summary: 'End one of the own sessions',
      guard: RECENT,
      form: {},
      isFormOnly: true,
      answers: { 303: 'to the account page' },
      forms: forms?.security,
      async run({ res, param, user, actor }) {
        const ended = (await account.sessions(user.id, null)).find(({ id }) => id === param('id'));
        await account.endSession(user.id, param('id'), actor);
        views.notice(res, 'session_ended', { device: ended?.device ?? '–' });
        return { redirectTo: security };
      },
    }),
    route({
      method: 'delete',
      path: '/sessions/:id',
      summary: 'End one of the own sessions',
      guard: RECENT,
      answers: { 204: 'no body' },
      async run({ param, user, actor }) {
        await account.endSession(user.id, param('id'), actor);
        return {};
      },
    }),
  ];
}
