import type { UserQuery } from '../../core/users/user-list.js';
import type { PageInput } from '../../http/pages/views.js';
import type { Call, Route, RouteGuard } from '../../http/route.js';
import { route } from '../../http/route.js';
import { type AdminContext, frameOf, given, nextUrl } from './admin-pages.js';
import {
  assignmentBody,
  assignmentQuery,
  nothing,
  optionalReasonBody,
  reasonBody,
  suspendBody,
  userBody,
  userChangeBody,
  usersQuery,
} from './schemas.js';

/** What reads. */
export const reads = (...permissions: string[]): { guard: RouteGuard } => ({
  guard: { permission: ['admin:access', ...permissions], fresh: true },
});
/** What changes something: with a fresh proof. The manager decides by rank. */
export const changes = (...permissions: string[]): { guard: RouteGuard; form: object } => ({
  guard: { permission: ['admin:access', ...permissions], fresh: true, recent: 'login' },
  form: {},
});

export function userRoutes(context: AdminContext): Route[] {
  return [
    ...listRoutes(context),
    ...personRoutes(context),
    ...statusRoutes(context),
    ...holdingRoutes(context),
  ];
}

function listRoutes(context: AdminContext): Route[] {
  const { parts, people, path, http } = context;
  const form = async (call: Pick<Call, 'auth' | 'req'>): Promise<PageInput<'admin/user-new'>> => ({
    admin: await frameOf(context, call),
    values: {},
  });
  const forms = [
    http.views.form('admin/user-new', (req) => form({ req, auth: req.auth as Call['auth'] }), {
      texts: { conflict: 'taken' },
    }).problem,
  ];
  return [
    route({
      method: 'get',
      path: '/users',
      summary: 'People, the newest first',
      ...reads('users:read'),
      query: usersQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...filter } = given(call.query);
        const list = await people.list(filter as UserQuery);
        return {
          json: list,
          page: [
            'admin/users',
            {
              admin: await frameOf(context, call),
              users: list.items,
              query: { search: '', role: '', scope: '', status: '', ...given(call.query) },
              columns: context.options.userColumns ?? [],
              nextUrl: nextUrl(`${path}/users`, call.query, list.nextCursor),
            },
          ],
        };
      },
    }),
    route({
      method: 'post',
      path: '/users',
      summary: 'Create a user',
      ...changes('users:manage'),
      form: { checkboxes: ['emailVerified'] },
      body: userBody,
      answers: { 201: 'the user' },
      forms,
      async run({ body, actor }) {
        const { id } = await parts.core.users.create(body, actor);
        return { json: await people.get(id), status: 201, redirectTo: `${path}/users/${id}?done=created` };
      },
    }),
  ];
}

/** What the page of a person shows. */
async function personPage(
  context: AdminContext,
  call: Pick<Call, 'auth' | 'req' | 'actor'>,
  id: string,
): Promise<PageInput<'admin/user'>> {
  const { parts, people } = context;
  const { core, mfa } = parts;
  const [admin, user, assignments, assignable, factors, sessions, audit] = await Promise.all([
    frameOf(context, call),
    people.get(id),
    core.roles.assignmentsOf(id),
    core.roles.assignableBy(call.actor, 'global'),
    mfa.status(id),
    core.sessions.list(id),
    core.audit.list({ userId: id, limit: 20 }),
  ]);
  return {
    admin,
    user,
    isSelf: call.actor.userId === id,
    mayManage: await people.isAbove(call.actor, id, 'users:manage'),
    columns: context.options.userColumns ?? [],
    assignments,
    assignable,
    factors: factors.factors,
    resetAt: factors.resetAt,
    sessions: admin.can.sessions ? sessions : [],
    entries: admin.can.audit ? audit.items : [],
  };
}

function personRoutes(context: AdminContext): Route[] {
  const { parts, people, path } = context;
  const { users } = parts.core;
  const at = (id: string, done: string) => `${path}/users/${encodeURIComponent(id)}?done=${done}`;
  const forms = personForms(context);
  return [
    route({
      method: 'get',
      path: '/users/:id',
      summary: 'A person, a deleted one too',
      ...reads('users:read'),
      query: nothing,
      answers: { 200: 'the user' },
      async run(call) {
        const id = call.param('id');
        const json = await people.get(id);
        return call.wantsPage ? { page: ['admin/user', await personPage(context, call, id)] } : { json };
      },
    }),
    ...(['patch', 'post'] as const).map((method) =>
      route({
        method,
        path: '/users/:id',
        summary: 'Change a person',
        ...changes('users:manage'),
        ...(method === 'post' && { isFormOnly: true as const }),
        form: {},
        body: userChangeBody,
        answers: { 200: 'the user' },
        forms,
        async run({ param, body, actor }) {
          await users.update(param('id'), body, actor);
          return { json: await people.get(param('id')), redirectTo: at(param('id'), 'updated') };
        },
      }),
    ),
    route({
      method: 'delete',
      path: '/users/:id',
      summary: 'Delete a person; `restore` brings them back',
      ...changes('users:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await users.delete(param('id'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/users/:id/delete',
      summary: 'Delete a person; `restore` brings them back',
      ...changes('users:manage'),
      isFormOnly: true,
      answers: { 303: 'to their page' },
      forms,
      async run({ param, actor }) {
        await users.delete(param('id'), actor);
        return { redirectTo: at(param('id'), 'deleted') };
      },
    }),
  ];
}

/** The forms on the page of a person: shown again with what went wrong. */
function personForms(context: AdminContext) {
  const view = context.http.views.form(
    'admin/user',
    (req) => {
      const auth = req.auth as Call['auth'];
      return personPage(context, { req, auth, actor: auth.actor }, String(req.params.id));
    },
    { texts: { conflict: 'not_possible' } },
  );
  return [view.problem];
}

// Long: a table of routes, one value for each.
function statusRoutes(context: AdminContext): Route[] {
  const { parts, people, impersonation, path } = context;
  const { core, mfa } = parts;
  const at = (id: string, done: string) => `${path}/users/${encodeURIComponent(id)}?done=${done}`;
  const forms = personForms(context);
  const act = (
    name: string,
    summary: string,
    done: string,
    run: (id: string, actor: Call['actor']) => Promise<unknown>,
  ): Route =>
    route({
      method: 'post',
      path: `/users/:id/${name}`,
      summary,
      ...changes('users:manage'),
      answers: { 200: 'the user' },
      forms,
      async run({ param, actor }) {
        const more = await run(param('id'), actor);
        return { json: more ?? (await people.get(param('id'))), redirectTo: at(param('id'), done) };
      },
    });
  return [
    route({
      method: 'post',
      path: '/users/:id/suspend',
      summary: 'Block a person and end their sessions',
      ...changes('users:manage'),
      body: suspendBody,
      answers: { 200: 'the user' },
      forms,
      async run({ param, body, actor }) {
        const { reason, until } = body;
        await core.users.suspend(param('id'), reason, actor, until === undefined ? {} : { until });
        return { json: await people.get(param('id')), redirectTo: at(param('id'), 'suspended') };
      },
    }),
    route({
      method: 'post',
      path: '/users/:id/unsuspend',
      summary: 'Lift a suspension',
      ...changes('users:manage'),
      body: optionalReasonBody,
      answers: { 200: 'the user' },
      forms,
      async run({ param, body, actor }) {
        await core.users.unsuspend(param('id'), body.reason ?? 'lifted', actor);
        return { json: await people.get(param('id')), redirectTo: at(param('id'), 'unsuspended') };
      },
    }),
    act('verify', 'Say that the address is theirs', 'verified', (id, actor) =>
      core.users.update(id, { emailVerified: true }, actor).then(() => null),
    ),
    act(
      'password-reset',
      'End their sessions and make them choose a new password, by mail',
      'password_reset',
      (id, actor) => people.resetPassword(id, actor).then(() => null),
    ),
    act(
      'factors-reset',
      'Remove their second factors in 72 hours, unless they stop it',
      'factors_reset',
      async (id, actor) => ({
        effectiveAt: await mfa.reset(id, actor),
      }),
    ),
    act('restore', 'Bring a deleted person back', 'restored', (id, actor) =>
      core.users.restore(id, actor).then(() => null),
    ),
    route({
      method: 'post',
      path: '/users/:id/erase',
      summary: 'Remove a person for good',
      ...changes('users:manage'),
      answers: { 204: 'no body' },
      forms,
      async run({ param, actor }) {
        await core.users.erase(param('id'), actor);
        return { redirectTo: `${path}/users?done=erased` };
      },
    }),
    route({
      method: 'post',
      path: '/users/:id/impersonate',
      summary: 'Act as a person for half an hour',
      ...changes('users:impersonate'),
      body: reasonBody,
      answers: { 200: '`{ user, session }`, with the cookie of that session' },
      forms,
      async run({ req, res, param, body, actor }) {
        const { session, token } = await impersonation.begin(param('id'), body.reason, actor);
        context.http.ownSession.keep(req, res);
        context.http.sessionCookie.write(req, res, token, null);
        return { json: { user: await people.get(param('id')), session }, redirectTo: '/' };
      },
    }),
    route({
      method: 'post',
      path: '/impersonation/end',
      summary: 'Stop acting as somebody else',
      // The borrowed session may have ended by itself; the cookie of the own session still leads back.
      guard: { impersonated: 'allowed', allow: 'must_enroll', optional: true },
      form: {},
      answers: { 204: 'no body' },
      async run({ req, res, actor, auth }) {
        const { ownSession } = context.http;
        if (auth.user === null) {
          await ownSession.resume(req, res);
          return { redirectTo: path };
        }
        await impersonation.end(auth.session?.id, actor);
        await ownSession.restore(req, res, actor.impersonatorId);
        return { redirectTo: actor.userId === null ? path : `${path}/users/${actor.userId}` };
      },
    }),
  ];
}

// Long: a table of routes, one value for each.
function holdingRoutes(context: AdminContext): Route[] {
  const { parts, path } = context;
  const { roles, sessions, users } = parts.core;
  const at = (id: string, done: string) => `${path}/users/${encodeURIComponent(id)}?done=${done}`;
  const forms = personForms(context);
  return [
    route({
      method: 'get',
      path: '/users/:id/sessions',
      summary: 'Where a person is signed in',
      ...reads('sessions:manage'),
      answers: { 200: '`{ items, nextCursor: null }`' },
      async run({ param }) {
        await users.get(param('id'));
        return { json: { items: await sessions.list(param('id')), nextCursor: null } };
      },
    }),
    route({
      method: 'delete',
      path: '/users/:id/sessions',
      summary: 'End all sessions of a person',
      ...changes('sessions:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await sessions.revokeAll(param('id'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/users/:id/sessions/end',
      summary: 'End all sessions of a person',
      ...changes('sessions:manage'),
      isFormOnly: true,
      answers: { 303: 'to their page' },
      forms,
      async run({ param, actor }) {
        await sessions.revokeAll(param('id'), actor);
        return { redirectTo: at(param('id'), 'sessions_ended') };
      },
    }),
    route({
      method: 'get',
      path: '/users/:id/assignments',
      summary: 'The roles of a person, with their scopes',
      ...reads('roles:read'),
      answers: { 200: '`{ items, nextCursor: null }`' },
      async run({ param }) {
        await users.get(param('id'));
        return { json: { items: await roles.assignmentsOf(param('id')), nextCursor: null } };
      },
    }),
    route({
      method: 'post',
      path: '/users/:id/assignments',
      summary: 'Give a person a role at a scope',
      ...changes(),
      body: assignmentBody,
      answers: { 201: '`{ items, nextCursor: null }`, the roles of the person' },
      forms,
      async run({ param, body, actor }) {
        const { role, scope, expiresAt = null } = body;
        await roles.assign({ userId: param('id'), role, scope, expiresAt }, actor);
        const items = await roles.assignmentsOf(param('id'));
        return { json: { items, nextCursor: null }, status: 201, redirectTo: at(param('id'), 'assigned') };
      },
    }),
    route({
      method: 'delete',
      path: '/users/:id/assignments',
      summary: 'Take a role at a scope away: `?role=&scope=`',
      ...changes(),
      query: assignmentQuery,
      answers: { 204: 'no body' },
      async run({ param, query, actor }) {
        await roles.unassign({ userId: param('id'), ...query }, actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/users/:id/assignments/remove',
      summary: 'Take a role at a scope away',
      ...changes(),
      isFormOnly: true,
      body: assignmentQuery,
      answers: { 303: 'to their page' },
      forms,
      async run({ param, body, actor }) {
        await roles.unassign({ userId: param('id'), ...body }, actor);
        return { redirectTo: at(param('id'), 'unassigned') };
      },
    }),
  ];
}
