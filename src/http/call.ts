import type { Request, RequestHandler, Response } from 'express';
import { authOf, currentUser } from './caller/attach.js';
import type { HttpKit } from './kit.js';
import type { Call, RouteAnswer } from './route.js';

/** {@link Call} for a route whose schemas are known to its table only. */
export class RequestCall implements Call<never, never> {
  readonly req: Request;
  readonly res: Response;
  readonly body: never;
  readonly query: never;
  readonly wantsPage: boolean;

  constructor(req: Request, res: Response, found: { body: unknown; query: unknown; wantsPage: boolean }) {
    this.req = req;
    this.res = res;
    this.body = found.body as never;
    this.query = found.query as never;
    this.wantsPage = found.wantsPage;
  }

  readonly param = (name: string): string => String(this.req.params[name]);

  get auth() {
    return authOf(this.req);
  }

  get actor() {
    return this.auth.actor;
  }

  get user() {
    return currentUser(this.req);
  }
}

/** Sends what a route answered. */
export function respond(
  http: HttpKit,
  req: Request,
  res: Response,
  wantsPage: boolean,
  answer: RouteAnswer,
): void {
  if (answer === undefined) return;
  if ('signIn' in answer) {
    http.sendSignIn(req, res, answer.signIn, answer);
    return;
  }
  if ('page' in answer && wantsPage) {
    const [name, data] = answer.page;
    http.views.page(req, res, name, data as never);
    return;
  }
  const { json, status } = answer;
  const redirectTo = 'redirectTo' in answer ? answer.redirectTo : undefined;
  http.views.answer(req, res, {
    ...(json !== undefined && { json }),
    ...(status !== undefined && { status }),
    redirectTo: redirectTo ?? http.views.returnTo(req) ?? http.config.paths.afterSignIn,
  });
}

/** Asks a middleware out of a route's work. @throws what it refuses with */
export function passed(middleware: RequestHandler, req: Request, res: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    middleware(req, res, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
}
