import { type Request, Router } from 'express';
import type { User } from '../../auth.js';
import { AuthTunaError } from '../../errors.js';
import { authOf, currentUser } from '../../http/caller/request-auth.js';
import { handle } from '../../http/errors.js';
import { leadThroughStepUp } from '../../http/guards/step-up.js';
import { type HttpKit, only, type RouterOptions } from '../../http/kit.js';
import { jsonBody, validate } from '../../http/validate.js';
import type { AccountManager } from './manager.js';
import { securityPage, type WaysIn } from './pages.js';
import { changeBody, nothingBody } from './schemas.js';

/**
 * `GET PATCH /`, `GET DELETE sessions`, `DELETE sessions/:id`, and the page `security` with its forms
 * `POST sessions/:id/revoke sessions/revoke-others`.
 */
export function accountRouter<U extends User>(
  account: AccountManager<U>,
  waysIn: WaysIn,
  http: HttpKit,
  options: RouterOptions = {},
): Router {
  const { views, config } = http;
  const router = Router();
  const signedIn = http.guards.requireUser({ credentials: ['session'] });
  const recent = http.stepUp.requireRecentLogin();
  const hasPages = options.pages !== false;
  const security = `${config.paths.account}/security`;
  const own = (req: Request) => currentUser(req).id;
  const endSession = (req: Request) => account.endSession(own(req), String(req.params.id), authOf(req).actor);
  const endOthers = async (req: Request) => {
    const { session, actor } = authOf(req);
    if (session === null) throw new AuthTunaError('forbidden'); // the guards let nobody else through
    return { revoked: await account.endOtherSessions(own(req), session.id, actor) };
  };
  // Each route prepares itself: a host's own pages below the same path keep their own headers and rules.
  const prepared = (path: string) => router.route(path).all(http.prepare);

  prepared('/')
    .get(
      signedIn,
      handle(async (req, res) => {
        if (hasPages && views.wantsPage(req)) return views.redirect(res, security);
        res.json(await account.get(own(req)));
      }),
    )
    .patch(
      signedIn,
      recent,
      http.rateLimit('signUp'), // tells as well whether a username is taken
      jsonBody(),
      handle(async (req, res) => {
        const { username } = validate(changeBody, req.body);
        res.json(await account.changeUsername(own(req), username, authOf(req).actor));
      }),
    )
    .all(only('GET', 'HEAD', 'PATCH'));

  prepared('/sessions')
    .get(
      signedIn,
      handle(async (req, res) => {
        const items = await account.sessions(own(req), authOf(req).session?.id ?? null);
        res.json({ items, nextCursor: null });
      }),
    )
    .delete(
      signedIn,
      recent,
      handle(async (req, res) => {
        await endOthers(req);
        res.status(204).end();
      }),
    )
    .all(only('GET', 'HEAD', 'DELETE'));

  if (hasPages) {
    http.mounted.account = true;
    const page = securityPage(account, waysIn, http);
    prepared('/security').get(signedIn, page.show).all(only('GET', 'HEAD'));
    prepared('/sessions/revoke-others')
      .post(
        signedIn,
        recent,
        views.formOrJson(),
        handle(async (req, res) => {
          validate(nothingBody, req.body);
          views.answer(req, res, { json: await endOthers(req), redirectTo: security });
        }),
        page.problem,
      )
      .all(only('POST'));
    prepared('/sessions/:id/revoke')
      .post(
        signedIn,
        recent,
        views.formOrJson(),
        handle(async (req, res) => {
          validate(nothingBody, req.body);
          await endSession(req);
          views.answer(req, res, { redirectTo: security });
        }),
        page.problem,
      )
      .all(only('POST'));
  }

  prepared('/sessions/:id')
    .delete(
      signedIn,
      recent,
      handle(async (req, res) => {
        await endSession(req);
        res.status(204).end();
      }),
    )
    .all(only('DELETE'));

  if (hasPages) router.use(leadThroughStepUp(views, config.paths.auth, security));
  router.use(http.errorHandler);
  return router;
}
