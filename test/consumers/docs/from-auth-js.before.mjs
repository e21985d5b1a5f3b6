import bcrypt from 'bcrypt';
import { EMAIL, OLD_PASSWORD, oldDatabase } from './guide.mjs';

// As Auth.js's Prisma adapter makes them, with the app's own column for the password.
await oldDatabase(`
  CREATE TABLE "User" ("id" TEXT PRIMARY KEY, "name" TEXT, "email" TEXT, "emailVerified" DATETIME, "image" TEXT, "password" TEXT);
  CREATE TABLE "Account" ("userId" TEXT, "type" TEXT, "provider" TEXT, "providerAccountId" TEXT, "access_token" TEXT, PRIMARY KEY ("provider", "providerAccountId"));
  INSERT INTO "User" VALUES ('u1', 'Ada', '${EMAIL}', NULL, NULL, '${await bcrypt.hash(OLD_PASSWORD, 10)}');
  INSERT INTO "Account" VALUES ('u1', 'oauth', 'github', '1815', 'gho_old');
`);
