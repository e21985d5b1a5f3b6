import { IncomingMessage } from 'node:http';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { misconfigured } from '../../errors.js';

/** A middleware that says nothing of the parameters, the body or the answer of its route, so that the types of handlers behind it stay as they are. */
export type Middleware = <P, Answer, Body, Query, Locals extends Record<string, unknown>>(
  req: Request<P, Answer, Body, Query, Locals>,
  res: Response<Answer, Locals>,
  next: NextFunction,
) => void;

/** A middleware for hosts, as {@link called}. */
export function middleware<A extends unknown[]>(
  name: string,
  make: (...given: A) => RequestHandler,
): (...given: A) => Middleware {
  return forAnyRoute(called(name, make));
}

/** The same function with a wider type: a handler that reads parameters only by name at run time works on every route. */
export function forAnyRoute<A extends unknown[]>(
  make: (...given: A) => RequestHandler,
): (...given: A) => Middleware {
  return make as unknown as (...given: A) => Middleware;
}

/** What makes a middleware, given to Express without its brackets, would take the request for its options and never answer. */
export function called<A extends unknown[], M>(name: string, make: (...given: A) => M): (...given: A) => M {
  return (...given) => {
    if (given[0] instanceof IncomingMessage)
      throw misconfigured(
        `${name} makes a middleware and is none: write authTuna.${name}() with its brackets`,
      );
    return make(...given);
  };
}

/** A guard that a host uses alone must say everything: also that a new password, or a factor, comes first. */
export function both(first: RequestHandler, second: RequestHandler): RequestHandler {
  return (req, res, next) =>
    first(req, res, (error?: unknown) => (error === undefined ? second(req, res, next) : next(error)));
}
