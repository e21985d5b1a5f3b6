import { randomBytes, scryptSync } from 'node:crypto';
import { EMAIL, OLD_PASSWORD, oldDatabase } from './guide.mjs';

// As Better Auth writes it: salt and key in hexadecimal digits, the salt used as text.
const salt = randomBytes(16).toString('hex');
const key = scryptSync(OLD_PASSWORD.normalize('NFKC'), salt, 64, {
  N: 16_384,
  r: 16,
  p: 1,
  maxmem: 128 * 16_384 * 16 * 2,
});
await oldDatabase(`
  CREATE TABLE "user" ("id" TEXT PRIMARY KEY, "name" TEXT, "email" TEXT, "emailVerified" INTEGER, "image" TEXT, "createdAt" TEXT, "updatedAt" TEXT);
  CREATE TABLE "account" ("id" TEXT PRIMARY KEY, "accountId" TEXT, "providerId" TEXT, "userId" TEXT, "password" TEXT);
  INSERT INTO "user" VALUES ('u1', 'Ada', '${EMAIL}', 1, NULL, '2024-01-31T00:00:00Z', '2024-01-31T00:00:00Z');
  INSERT INTO "account" VALUES ('a1', 'u1', 'credential', 'u1', '${salt}:${key.toString('hex')}');
`);
