import type { Response } from 'express';
import { validate } from '../../core/validate.js';
import { AuthTunaError } from '../../errors.js';
import { passed } from '../../http/call.js';
import type { HttpKit } from '../../http/kit.js';
import { oauthErrors } from '../../http/oauth-errors.js';
import { type Feature, type Route, route } from '../../http/route.js';
import type { DpopProofs } from './dpop.js';
import type { BearerManager } from './manager.js';
import { GRANTS, grantType, type TokenRequest, tokenBody } from './schemas.js';

const INTROSPECT = 'tokens:introspect';
const JWKS_SECONDS = 300; // shorter than any rotation of secrets

/** Tokens instead of cookies, at `/auth/token`. */
export function bearerFeature(bearer: BearerManager, proofs: DpopProofs, http: HttpKit): Feature {
  return {
    name: 'bearer',
    path: `${http.config.paths.auth}/token`,
    pages: null,
    onError: [oauthErrors(`${http.config.baseUrl}${http.config.paths.auth}/errors/`)],
    routes: [tokenRoute(bearer, proofs, http), ...lookRoutes(bearer), jwksRoute(bearer)],
  };
}

function tokenRoute(bearer: BearerManager, proofs: DpopProofs, http: HttpKit): Route {
  return route({
    method: 'post',
    path: '/',
    summary: 'Tokens for a password, a second factor or a refresh token (RFC 6749)',
    takesForms: true,
    body: grantType.loose(),
    answers: { 200: '`{ access_token, refresh_token, token_type, expires_in, scope }`' },
    async run({ req, res, body, actor }) {
      const options = await http.signInOptions(req);
      // A session cookie that the request carries is ignored, and its session goes on.
      const { fingerprint } = options;
      // What `POST /auth/login` asks; it takes the answer of a widget out of the body.
      if (body.grant_type === 'password') await passed(http.humanCheck('login'), req, res);
      const request = requestOf(req.body);
      const given = fingerprint === undefined ? {} : { fingerprint };
      return answered(res, await bearer.grant(request, await proofs.keyFor(req), actor, given));
    },
  });
}

/** Always answers with JSON: programs post forms here, and a redirect as for the form of a page is of no use to them. */
function answered(res: Response, body: object): undefined {
  res.json(body);
  return undefined;
}

/** @throws AuthTunaError `malformed_request` for a grant that is not offered; `invalid_input` */
function requestOf(body: { grant_type: string }): TokenRequest {
  if (!Object.hasOwn(GRANTS, body.grant_type))
    throw new AuthTunaError('malformed_request', {
      error: 'unsupported_grant_type',
      message: `grant_type must be one of: ${Object.keys(GRANTS).join(', ')}`,
    });
  return validate(GRANTS[body.grant_type as keyof typeof GRANTS], body);
}

function lookRoutes(bearer: BearerManager): Route[] {
  return [
    route({
      method: 'post',
      path: '/revoke',
      summary: 'End the family of a token (RFC 7009)',
      takesForms: true,
      body: tokenBody,
      answers: { 200: '`{}`, whether the token was ours or not' },
      async run({ res, body, actor }) {
        await bearer.revoke(body.token, actor);
        return answered(res, {});
      },
    }),
    route({
      method: 'post',
      path: '/introspect',
      summary: `Check a token (RFC 7662), for an API key with \`${INTROSPECT}\``,
      guard: { credentials: ['api_key'] },
      takesForms: true,
      body: tokenBody,
      answers: { 200: '`{ active, sub, sid, client_id, scope, exp, … }`' },
      async run({ res, auth, body }) {
        await auth.require(INTROSPECT);
        return answered(res, await bearer.introspect(body.token));
      },
    }),
  ];
}

function jwksRoute(bearer: BearerManager): Route {
  return route({
    method: 'get',
    path: '/jwks',
    summary: 'The public keys of access tokens (RFC 7517)',
    answers: { 200: '`{ keys }`, empty where tokens are signed with a shared secret' },
    async run({ res }) {
      res.setHeader('Cache-Control', `public, max-age=${JWKS_SECONDS}`);
      return { json: await bearer.jwks() };
    },
  });
}
