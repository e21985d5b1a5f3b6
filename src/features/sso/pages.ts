import type { ErrorRequestHandler, Request } from 'express';
import type { Core } from '../../core/core.js';
import { invalid } from '../../core/refusals.js';
import { authOf } from '../../http/caller/attach.js';
import type { HttpKit } from '../../http/kit.js';
import { forBrowsers } from '../../http/pages/for-browsers.js';
import type { FormView } from '../../http/pages/views.js';
import type { FeaturePages, RouteGuard } from '../../http/route.js';
import type { SsoConnection } from './connection.js';
import type { SsoConnectionManager } from './manager.js';
import { redirectUriAt } from './provider.js';

/** The forms of the pages: routes show them again when a post is refused. */
export interface SsoForms {
  list: readonly ErrorRequestHandler[];
  connection: readonly ErrorRequestHandler[];
}

/** What the pages of connections are made of. */
export interface SsoPlace {
  connections: SsoConnectionManager;
  core: Core;
  http: HttpKit;
  /** `/auth/social/connections` */
  path: string;
  /** Reading asks the database who may: connections say where people sign in. */
  read: { guard: RouteGuard };
}

/** The pages of a scope's connections, at the addresses that answer scripts with JSON. */
export function ssoPages(place: SsoPlace): { pages: FeaturePages; forms: SsoForms } {
  const { http, path, read } = place;
  const list = listPage(place);
  const connection = connectionPage(place);
  return {
    pages: {
      // A guard refuses before the body is read, so the address alone says which page the form stood on.
      formAt(req) {
        const id = /^\/([^/]+)\//.exec(req.path)?.[1];
        return id === undefined ? listUrl(path, String(req.query.scope ?? '')) : `${path}/${id}`;
      },
      routes: [
        { path: '/', ...read, show: [forBrowsers(http.views, list)] },
        { path: '/:id', ...read, show: [forBrowsers(http.views, connection)] },
      ],
    },
    forms: { list: [list.problem], connection: [connection.problem] },
  };
}

/** The page of a scope's connections. */
export function listUrl(path: string, scope: string): string {
  return `${path}?scope=${encodeURIComponent(scope)}`;
}

function listPage({ connections, core, http, path }: SsoPlace): FormView {
  return http.views.form(
    'sso/list',
    async (req) => {
      const { scope } = req.query;
      if (typeof scope !== 'string') throw invalid('scope', 'required', 'is missing');
      const items = await connections.list(scope, authOf(req).actor);
      return {
        mounted: http.mounts.pages,
        path,
        scope,
        organization: await organizationOf(core, http, scope),
        connections: items.map(({ id, name, issuer, domains }) => ({
          id,
          name,
          issuer,
          domains: domains.filter(({ verifiedAt }) => verifiedAt !== null).map(({ domain }) => domain),
          isRequired: domains.some(({ required }) => required),
        })),
      };
    },
    { texts: { unavailable: 'provider_unreachable' } },
  );
}

function connectionPage({ connections, core, http, path }: SsoPlace): FormView {
  return http.views.form('sso/connection', async (req: Request) => {
    const { actor } = authOf(req);
    const connection = await connections.get(String(req.params.id), actor);
    const { id, scope, name, issuer, clientId, rolesClaim, linkVerifiedEmails } = connection;
    return {
      mounted: http.mounts.pages,
      base: `${path}/${id}`,
      listUrl: listUrl(path, scope),
      organization: await organizationOf(core, http, scope),
      redirectUri: redirectUriAt(core, connection),
      connection: { name, issuer, clientId, rolesClaim, linkVerifiedEmails },
      mapping: mappingOf(connection),
      roles: await connections.mappableRoles(id, actor),
      domains: connection.domains.map(({ domain, verifiedAt, required, record }) => ({
        domain,
        verifiedAt,
        isRequired: required,
        record,
      })),
    };
  });
}

function mappingOf({ roleMapping }: SsoConnection): { value: string; role: string }[] {
  return Object.entries(roleMapping).map(([value, role]) => ({ value, role }));
}

/** The name of a scope as people know it, and its page where that is mounted. */
async function organizationOf(
  core: Core,
  { config, mounts }: HttpKit,
  scope: string,
): Promise<{ name: string; url: string | null }> {
  const [node, organization] = await Promise.all([
    core.scopeTree.rowOf(scope),
    scope.startsWith('org:')
      ? core.db.organization.findUnique({
          where: { id: scope.slice('org:'.length) },
          select: { slug: true },
        })
      : null,
  ]);
  const isShown = organization !== null && mounts.pages.orgs;
  return { name: node?.name ?? scope, url: isShown ? `${config.paths.orgs}/${organization.slug}` : null };
}
