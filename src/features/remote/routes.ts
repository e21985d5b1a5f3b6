import type { Actor } from '../../actor.js';
import type { Core } from '../../core/core.js';
import type { HttpKit } from '../../http/kit.js';
import { type Feature, type RouteGuard, route } from '../../http/route.js';
import { canBody, handOverBody, verifyBody } from './schemas.js';

const VERIFY = 'tokens:introspect';
/** A key of the other server; what it may ask is a permission of its own. */
const SERVERS: RouteGuard = { credentials: ['api_key'] };

/** Accepts people whom another app has handed over; it belongs to another feature. */
export interface HandOvers {
  accept(token: string, input: { audience: string; nonce: string }, actor: Actor): Promise<object>;
}

/** What servers with `authtuna/remote` ask, at `/auth/remote`. */
export function remoteFeature(core: Core, handOvers: HandOvers, http: HttpKit): Feature {
  const { recheckSeconds } = core.config.session;
  return {
    name: 'remote',
    path: `${http.config.paths.auth}/remote`,
    pages: null,
    routes: [
      route({
        method: 'post',
        path: '/verify',
        summary: `Whose credential another server received, and what its owner may do; for an API key with \`${VERIFY}\``,
        guard: SERVERS,
        body: verifyBody,
        answers: { 200: '`{ method, user, session, apiKey, refusal, results, validForSeconds }`' },
        async run({ body, auth: asking }) {
          await asking.require(VERIFY);
          const { checks, cookie, authorization, apiKey, userAgent, ip } = body;
          const { auth, refusal } = await http.presented.find({
            cookie,
            authorization,
            apiKey,
            userAgent,
            ip,
          });
          const results: boolean[] = [];
          for (const check of checks)
            results.push(
              'role' in check
                ? await auth.hasRole(check.role, check.scope)
                : await auth.can(check.permission, check.scope),
            );
          const { method, user, session } = auth;
          return {
            json: {
              method,
              user: user === null ? null : http.sentUser(user),
              session,
              apiKey: auth.apiKey,
              refusal,
              results,
              validForSeconds: Math.min(recheckSeconds, auth.trustedSeconds),
            },
          };
        },
      }),
      route({
        method: 'post',
        path: '/can',
        summary: `Whether a user holds a permission; for an API key with \`${VERIFY}\``,
        guard: SERVERS,
        body: canBody,
        answers: { 200: '`{ allowed, validForSeconds }`' },
        async run({ body: { userId, permission, scope }, auth }) {
          await auth.require(VERIFY);
          return {
            json: {
              allowed: await core.access.can(userId, permission, scope),
              validForSeconds: recheckSeconds,
            },
          };
        },
      }),
      route({
        method: 'post',
        path: '/hand-over',
        summary: `The person whom another app has handed over; for an API key with \`${VERIFY}\``,
        guard: SERVERS,
        body: handOverBody,
        answers: { 200: '`{ user, amr, assuranceLevel, authenticatedAt }`' },
        async run({ body: { token, ...input }, auth, actor }) {
          await auth.require(VERIFY);
          return { json: await handOvers.accept(token, input, actor) };
        },
      }),
    ],
  };
}
