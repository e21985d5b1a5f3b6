import type { NextFunction, Request, RequestHandler, Response } from 'express';

/** An async handler of a host as it must be written for Express 4, which does not look at what a handler returns. */
export function caught(
  handler: (req: Request, res: Response, next: NextFunction) => Promise<unknown>,
): RequestHandler {
  return (req, res, next) => {
    handler(req, res, next).catch(next);
  };
}
