import type { HttpKit, RouterOptions } from '../../http/kit.js';
import { oauthErrors } from '../../http/oauth-errors.js';
import { type Feature, type Route, type RouteAnswer, type RouteGuard, route } from '../../http/route.js';
import type { DeviceAuthorizations } from './manager.js';
import { type DeviceForms, devicePages, donePage } from './pages.js';
import { beginBody, decisionBody, pageQuery } from './schemas.js';

/** A tool that is approved acts for the person from then on, so a session left open must not be enough. */
const RECENT: RouteGuard = { recent: 'login' };

/** Sign-in of tools without a browser, at `/auth/device`. @see RFC 8628 */
export function deviceFeature(
  devices: DeviceAuthorizations,
  http: HttpKit,
  options: RouterOptions = {},
): Feature {
  const made = options.pages === false ? null : devicePages(devices, http);
  return {
    name: 'deviceAuthorization',
    path: `${http.config.paths.auth}/device`,
    pages: made?.pages ?? null,
    routes: [beginRoute(devices, http), ...decisionRoutes(devices, http, made?.forms)],
  };
}

function beginRoute(devices: DeviceAuthorizations, { config }: HttpKit): Route {
  const page = `${config.baseUrl}${config.paths.auth}/device`;
  return route({
    method: 'post',
    path: '/',
    summary: 'Ask for tokens that a person approves in a browser (RFC 8628)',
    limit: { name: 'device', like: 'mailRequest' },
    takesForms: true,
    onError: [oauthErrors(`${config.baseUrl}${config.paths.auth}/errors/`)],
    body: beginBody,
    answers: {
      200: '`{ device_code, user_code, verification_uri, verification_uri_complete, expires_in, interval }`',
    },
    async run({ res, body, actor }) {
      const begun = await devices.begin(body, actor);
      // Always answers with JSON: programs post forms here, and a redirect as for the form of a page is of no use to them.
      res.json({
        device_code: begun.deviceCode,
        user_code: begun.userCode,
        verification_uri: page,
        verification_uri_complete: `${page}?user_code=${begun.userCode}`,
        expires_in: begun.expiresInSeconds,
        interval: begun.intervalSeconds,
      });
      return undefined;
    },
  });
}

function decisionRoutes(
  devices: DeviceAuthorizations,
  http: HttpKit,
  forms: DeviceForms | undefined,
): Route[] {
  const decided = (isApproved: boolean): RouteAnswer => ({
    json: { status: isApproved ? 'approved' : 'denied' },
    page: ['device/done', donePage(http, isApproved)],
  });
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'What asks for access by this code',
      guard: RECENT,
      query: pageQuery,
      answers: { 200: '`{ userCode, clientId, scopes, ip, device, requestedAt, expiresAt }`' },
      run: async ({ query, actor }) => ({ json: await devices.find(query.user_code, actor) }),
    }),
    route({
      method: 'post',
      path: '/approve',
      summary: 'Let the tool act for the caller',
      guard: RECENT,
      body: decisionBody,
      form: {},
      forms: forms?.confirm,
      answers: { 200: '`{ status: "approved" }`' },
      async run({ body, actor }) {
        await devices.approve(body.user_code, actor);
        return decided(true);
      },
    }),
    route({
      method: 'post',
      path: '/deny',
      summary: 'Refuse the tool',
      guard: RECENT,
      body: decisionBody,
      form: {},
      forms: forms?.confirm,
      answers: { 200: '`{ status: "denied" }`' },
      async run({ body, actor }) {
        await devices.deny(body.user_code, actor);
        return decided(false);
      },
    }),
  ];
}
