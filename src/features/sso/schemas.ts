import { z } from 'zod';
import { oneLine } from '../../core/validate.js';

const roleName = z.string().min(1).max(100);

const connection = {
  name: oneLine(64),
  clientId: oneLine(512),
  clientSecret: z.string().min(1).max(2048),
  rolesClaim: oneLine(128),
  roleMapping: z.record(z.string().min(1).max(256), roleName),
  linkVerifiedEmails: z.boolean(),
};
const optional = z.object(connection).partial().shape;
const scope = z.string().min(1).max(200);

export const connectionBody = z.strictObject({
  ...optional,
  scope,
  name: connection.name,
  issuer: z.string().min(1).max(512),
  clientId: connection.clientId,
});

export const connectionChangeBody = z.strictObject(optional);

/** The form of the settings: what is left out of it stays, but for the box. */
export const connectionForm = z.strictObject({
  name: connection.name,
  clientSecret: connection.clientSecret.optional(),
  linkVerifiedEmails: connection.linkVerifiedEmails.default(false),
});

const value = z.string().min(1).max(256);

/** The form that maps one value of a claim to a role. */
export const mappedRoleForm = z.strictObject({
  claim: connection.rolesClaim,
  value,
  role: roleName,
});

export const mappedValueForm = z.strictObject({ value });

/** What `mapRole` takes. */
export const mappedRoleInput = z.strictObject({
  value,
  role: roleName.optional(),
  claim: connection.rolesClaim.optional(),
});

export const scopeQuery = z.strictObject({ scope });

export const domainBody = z.strictObject({ domain: z.string().min(1).max(255) });

export const domainChangeBody = z.strictObject({ required: z.boolean() });
