import type { IncomingMessage, ServerResponse } from 'node:http';
import { AuthTunaError } from '../../errors.js';
import { RefusedWhileReading } from '../errors.js';

/** Whether a request that may change something still has a part of its body on the way. */
export function isAwaitingBody(req: IncomingMessage): boolean {
  return !req.complete;
}

/**
 * Has a guard decide again when the last part of the body arrives, where what the guard went by is no longer current.
 *
 * Until then the end of the body is held back, so a body parser behind the guard does not go on, and no handler runs for a user who was
 * suspended while the body was kept on its way.
 *
 * @param isCurrent whether the first decision still holds
 * @param decideAgain rejects with the refusal
 * @param refuse answers the request with the refusal, where nothing that reads the body takes it
 */
export function holdEndOfBody(
  req: IncomingMessage,
  res: ServerResponse,
  decision: { isCurrent(): boolean; decideAgain(): Promise<void>; refuse(error: unknown): void },
): void {
  const { push } = req;
  // Node ends the stream of a body with `push(null)`.
  req.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk !== null) return push.call(req, chunk, encoding);
    req.push = push;
    if (decision.isCurrent()) return push.call(req, null);
    decision.decideAgain().then(
      () => push.call(req, null),
      (error: unknown) => {
        if (error instanceof AuthTunaError && req.listenerCount('error') > 0) {
          req.emit('error', new RefusedWhileReading(error)); // a body parser hands it on to the error handler
          push.call(req, null);
          return;
        }
        if (!res.headersSent) res.setHeader('Connection', 'close'); // the body stays without its end
        decision.refuse(error);
      },
    );
    return false;
  };
}
