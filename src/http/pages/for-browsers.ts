import type { RequestHandler } from 'express';
import type { FormView, Views } from './views.js';

/** Shows the page to browsers; the same address answers a script with JSON, by the route that follows. */
export function forBrowsers(views: Views, page: FormView): RequestHandler {
  return (req, res, next) => (views.wantsPage(req) ? page.show(req, res, next) : next());
}
