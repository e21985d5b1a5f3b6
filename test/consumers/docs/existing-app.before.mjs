import bcrypt from 'bcrypt';
import { EMAIL, OLD_PASSWORD, oldDatabase } from './guide.mjs';

await oldDatabase(`
  CREATE TABLE "users" ("id" INTEGER PRIMARY KEY, "email" TEXT, "pwd" TEXT);
  INSERT INTO "users" VALUES (1, '${EMAIL}', '${await bcrypt.hash(OLD_PASSWORD, 10)}');
`);
