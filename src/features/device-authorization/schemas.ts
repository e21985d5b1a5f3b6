import { z } from 'zod';
import { tokenClientId, tokenScope } from '../../core/sessions/token-terms.js';

// Unknown parameters are ignored here alone: RFC 8628 section 3.1 asks for it, and clients send parameters of extensions.
export const beginBody = z.object({ client_id: tokenClientId, scope: tokenScope.optional() });

const userCode = z.string().min(1).max(32);

/** What a person answers to a request, named by its code. */
export const decisionBody = z.strictObject({ user_code: userCode });

export const pageQuery = z.strictObject({ user_code: userCode });
