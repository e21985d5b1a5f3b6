import { AuthTunaError } from '../../errors.js';
import { type Call, type Route, route } from '../../http/route.js';
import { shownOrg, shownPage } from './answers.js';
import { memberPermission } from './guard.js';
import { toInvitation } from './invitations.js';
import { MEMBER_PLACES } from './member-routes.js';
import { scopeOf } from './organization.js';
import { OPENED_INVITATION, pageOfScope } from './pages.js';
import { acceptBody, invitationInput, invitedSignUp, pageQuery } from './schemas.js';
import { formsAt, type Orgs, orgAt, pageAt } from './shared-routes.js';
import { withoutGaps } from './tree-routes.js';

/** Invitations to organizations, projects and teams, and joining by the domain of one's address. */
export function invitationRoutes(where: Orgs): Route[] {
  return [...joiningRoutes(where), ...sendingRoutes(where), ...changingRoutes(where)];
}

function joiningRoutes(where: Orgs): Route[] {
  const { orgs, path, forms, http } = where;
  const { views } = http;
  return [
    route({
      method: 'get',
      path: '/invitations/joinable',
      summary: "Organizations that the caller may join by the domain of the account's address",
      guard: {},
      answers: { 200: '`{ items, nextCursor: null }`' },
      run: async ({ user }) => ({
        json: shownPage(await orgs.joinable(user.id), (org) => shownOrg(where, org)),
      }),
    }),
    route({
      method: 'post',
      path: '/invitations/accept',
      summary: 'Accept an invitation',
      guard: {},
      limit: 'mailToken',
      body: acceptBody,
      form: { link: OPENED_INVITATION },
      forms: forms?.accept,
      answers: { 200: '`{ scope, role }`' },
      async run({ res, body, actor, wantsPage }) {
        const accepted = await orgs.acceptInvitation(body.token, actor);
        if (wantsPage) views.notice(res, 'joined');
        return { json: accepted, redirectTo: pageOfScope(path, accepted.scope) };
      },
    }),
    route({
      method: 'post',
      path: '/invitations/sign-up',
      summary: 'Make the account of an invited mailbox, and accept the invitation',
      limit: 'signUp',
      body: invitedSignUp,
      form: { link: OPENED_INVITATION },
      forms: forms?.accept,
      answers: { 201: '`{ user }` and the session cookie' },
      async run({ req, res, body, actor, wantsPage }) {
        const { scope } = await orgs.peekInvitation(body.token);
        const signIn = await orgs.signUp(withoutGaps(body), actor, await http.signInOptions(req));
        if (wantsPage) views.notice(res, 'joined');
        return { signIn, status: 201, redirectTo: pageOfScope(path, scope) };
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/join',
      summary: "Join an organization by the domain of the account's address",
      guard: {},
      form: {},
      forms: forms?.list,
      answers: { 204: 'no body' },
      async run({ res, param, actor, wantsPage }) {
        const { id } = await orgAt(where, param('orgId'));
        await orgs.join(id, actor);
        if (wantsPage) views.notice(res, 'joined');
        return { redirectTo: `${path}/${id}` };
      },
    }),
  ];
}

function sendingRoutes(where: Orgs): Route[] {
  const { orgs } = where;
  return MEMBER_PLACES.flatMap(({ path, what, scopeAt }) => [
    route({
      method: 'get',
      path: `${path}/invitations`,
      summary: `The invitations to ${what}, the newest first`,
      guard: {},
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const scope = await scopeAt(where, call);
        await requireMayInvite(where, call, scope);
        return { json: await orgs.listInvitations(scope, call.query) };
      },
    }),
    route({
      method: 'post',
      path: `${path}/invitations`,
      summary: `Invite a mailbox to ${what}`,
      guard: {},
      form: {},
      forms: formsAt(where, path),
      body: invitationInput,
      answers: { 201: 'the invitation' },
      async run(call) {
        const scope = await scopeAt(where, call);
        const invitation = await orgs.invite(scope, withoutGaps(call.body), call.actor);
        return { json: invitation, status: 201, redirectTo: pageAt(where, path, call) };
      },
    }),
  ]);
}

function changingRoutes(where: Orgs): Route[] {
  const { orgs, forms } = where;
  const back = (call: Pick<Call, 'param'>) => `${where.path}/${call.param('orgId')}`;
  return [
    route({
      method: 'post',
      path: '/:orgId/invitations/:id/revoke',
      summary: 'Revoke an invitation',
      guard: {},
      form: {},
      isFormOnly: true,
      forms: forms?.organization,
      answers: { 303: 'to the page of the organization' },
      async run(call) {
        await orgs.revokeInvitation(await invitationAt(where, call), call.actor);
        return { redirectTo: back(call) };
      },
    }),
    route({
      method: 'post',
      path: '/:orgId/invitations/:id/resend',
      summary: 'Mail a new link, which takes the place of the old one',
      guard: {},
      form: {},
      forms: forms?.organization,
      answers: { 200: 'the invitation' },
      async run(call) {
        const id = await invitationAt(where, call);
        return { json: await orgs.resendInvitation(id, call.actor), redirectTo: back(call) };
      },
    }),
    route({
      method: 'delete',
      path: '/:orgId/invitations/:id',
      summary: 'Revoke an invitation',
      guard: {},
      answers: { 204: 'no body' },
      async run(call) {
        await orgs.revokeInvitation(await invitationAt(where, call), call.actor);
        return {};
      },
    }),
  ];
}

function requireMayInvite({ orgs }: Orgs, { actor }: Pick<Call, 'actor'>, scope: string): Promise<void> {
  return orgs.requireAt(actor, memberPermission(scope, 'invite'), scope);
}

/** The id of an invitation to something in the organization of the address. @throws AuthTunaError `not_found` */
async function invitationAt(where: Orgs, { param }: Pick<Call, 'param'>): Promise<string> {
  const { core } = where;
  const [org, row] = await Promise.all([
    orgAt(where, param('orgId')),
    core.db.organizationInvitation.findUnique({ where: { id: param('id') } }),
  ]);
  const chain = row === null ? null : await core.scopeTree.chainOf(row.scope, { fresh: true });
  if (row === null || chain?.scopes.includes(scopeOf(org.id)) !== true) throw new AuthTunaError('not_found');
  return toInvitation(row).id;
}
