// AuthTuna over the app's client. Starts no server, so that `npx authtuna … --app ./auth.ts` can load it.
import { createAuthTuna, type UserOfModel } from 'authtuna';
import { prisma } from './db.js';

declare global {
  namespace Express {
    interface User extends UserOfModel<typeof prisma, 'authUser'> {}
  }
}

export const authTuna = createAuthTuna({
  baseUrl: process.env.BASE_URL ?? 'http://localhost:3000',
  secrets: [process.env.AUTHTUNA_SECRET ?? ''],
  prisma,
  models: 'Auth', // our models are AuthUser, AuthSession, …
  user: {
    publicColumns: ['hostUserId'],
    hostUser: { create: ({ email, data }) => ({ email, name: String(data.name ?? email.split('@')[0]) }) },
  },
});
