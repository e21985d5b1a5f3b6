// The names that a snippet of the documentation may use without saying where they come from. A program (`js run`) says so itself.
// scripts/run-docs.js compiles each snippet beside this file.
import type * as library from 'authtuna';
import type express from 'express';

declare global {
  const app: express.Express;
  const req: express.Request;
  const res: express.Response;

  const authTuna: library.AuthTuna;
  const createAuthTuna: typeof library.createAuthTuna;
  const currentUser: typeof library.currentUser;
  const SYSTEM: typeof library.SYSTEM;

  /** The options that the snippet is not about: `createAuthTuna({ ...options, session: { … } })`. */
  const options: { baseUrl: string; secrets: string[]; databaseUrl: string };
  /** A client of the host's own. */
  const prisma: library.PrismaLike;
  /** Who acts in the snippet. */
  const actor: library.Actor;
  const user: { id: string };
  /** Of an organization. */
  const orgId: string;
  /** What a client sent behind `Bearer`. */
  const accessToken: string;
}
