import { AuthTunaError } from '../../errors.js';
import { type Call, type Route, route } from '../../http/route.js';
import { memberPermission } from './guard.js';
import { MEMBER_PLACES } from './member-routes.js';
import { scopeOf } from './organization.js';
import { linkInput, pageQuery } from './schemas.js';
import { formsAt, type Orgs, orgAt, pageAt } from './shared-routes.js';
import { withoutGaps } from './tree-routes.js';

/** Invitation links to organizations, projects and teams. */
export function linkRoutes(where: Orgs): Route[] {
  const { orgs, forms, path: root } = where;
  const form = { form: {}, forms: forms?.organization };
  return [
    ...MEMBER_PLACES.flatMap(({ path, what, scopeAt }) => [
      route({
        method: 'get',
        path: `${path}/invitation-links`,
        summary: `The invitation links to ${what}, the newest first`,
        guard: {},
        query: pageQuery,
        answers: { 200: '`{ items, nextCursor }`' },
        async run(call) {
          const scope = await scopeAt(where, call);
          await orgs.requireAt(call.actor, memberPermission(scope, 'invite'), scope);
          return { json: await orgs.listInvitationLinks(scope, call.query) };
        },
      }),
      route({
        method: 'post',
        path: `${path}/invitation-links`,
        summary: `Make a link by which people join ${what}`,
        guard: {},
        form: {},
        forms: formsAt(where, path),
        body: linkInput,
        answers: { 201: '`{ invitationLink, token, url }`; the token is not shown again' },
        async run(call) {
          const scope = await scopeAt(where, call);
          const issued = await orgs.createInvitationLink(scope, withoutGaps(call.body), call.actor);
          const { role, maxUses, expiresAt } = issued.invitationLink;
          const continueUrl = pageAt(where, path, call);
          return {
            json: issued,
            status: 201,
            page: ['orgs/link', { role, maxUses, expiresAt, url: issued.url, continueUrl }],
          };
        },
      }),
    ]),
    route({
      method: 'post',
      path: '/:orgId/invitation-links/:id/revoke',
      summary: 'End an invitation link',
      guard: {},
      ...form,
      isFormOnly: true,
      answers: { 303: 'to the page of the organization' },
      async run(call) {
        await orgs.revokeInvitationLink(await linkAt(where, call), call.actor);
        return { redirectTo: `${root}/${call.param('orgId')}` };
      },
    }),
    route({
      method: 'delete',
      path: '/:orgId/invitation-links/:id',
      summary: 'End an invitation link',
      guard: {},
      answers: { 204: 'no body' },
      async run(call) {
        await orgs.revokeInvitationLink(await linkAt(where, call), call.actor);
        return {};
      },
    }),
  ];
}

/** The id of a link to something in the organization of the address. @throws AuthTunaError `not_found` */
async function linkAt(where: Orgs, { param }: Pick<Call, 'param'>): Promise<string> {
  const { core } = where;
  const [org, row] = await Promise.all([
    orgAt(where, param('orgId')),
    core.db.organizationInvitationLink.findUnique({ where: { id: param('id') } }),
  ]);
  const chain = row === null ? null : await core.scopeTree.chainOf(row.scope, { fresh: true });
  if (row === null || chain?.scopes.includes(scopeOf(org.id)) !== true) throw new AuthTunaError('not_found');
  return row.id;
}
