import { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { misconfigured } from '../../errors.js';

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
