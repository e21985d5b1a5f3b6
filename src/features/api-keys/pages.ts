import type { ErrorRequestHandler } from 'express';
import type { Core } from '../../core/core.js';
import { currentUser } from '../../http/caller/attach.js';
import type { HttpKit } from '../../http/kit.js';
import type { FeaturePages } from '../../http/route.js';
import { grantableOf } from './held-grants.js';
import type { ApiKeyManager } from './manager.js';

/** The form of the API keys router: routes show it again when a post is refused. */
export interface ApiKeyForms {
  list: readonly ErrorRequestHandler[];
}

const MAX_KEYS = 100; // of a page of the list; more than an account has in force
const MAX_ASSIGNMENTS = 40; // a form has at most 64 fields

export function apiKeyPages(
  apiKeys: ApiKeyManager,
  core: Core,
  http: HttpKit,
): { pages: FeaturePages; forms: ApiKeyForms } {
  const { views, config, mounts } = http;
  const list = views.form('api-keys/list', async (req) => {
    const user = currentUser(req);
    const [{ items }, assignments] = await Promise.all([
      apiKeys.list(user.id, { limit: MAX_KEYS }),
      grantableOf(core, user.id),
    ]);
    return {
      mounted: mounts.pages,
      keys: items.flatMap(({ expiresAt, revokedAt, grants, ...key }) =>
        revokedAt !== null || expiresAt === null || expiresAt <= core.now()
          ? []
          : [{ ...key, expiresAt, isUnlimited: grants === null, grants: grants ?? [] }],
      ),
      assignments: assignments.slice(0, MAX_ASSIGNMENTS),
    };
  });
  return {
    pages: {
      mounted: 'apiKeys',
      formAt: () => `${config.paths.auth}/api-keys/manage`,
      routes: [{ path: '/manage', guard: {}, show: [list.show] }],
    },
    forms: { list: [list.problem] },
  };
}
