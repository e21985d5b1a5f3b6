import type { Request } from 'express';
import { AuthTunaError } from '../../errors.js';
import { authOf } from './attach.js';

/** The session that a step-up raises; one that waits for a step-up counts. @throws AuthTunaError why there is none */
export function holderOf(req: Request): { userId: string; sessionId: string } {
  const auth = authOf(req);
  const session = auth.session ?? auth.locked?.session ?? null;
  if (session === null) throw auth.refusal;
  if (session.impersonatorId !== null) throw new AuthTunaError('forbidden');
  return { userId: session.userId, sessionId: session.id };
}
