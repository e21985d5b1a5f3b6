import bcrypt from 'bcrypt';
import { EMAIL, OLD_PASSWORD, oldDatabase } from './guide.mjs';

await oldDatabase(`
  CREATE TABLE "users" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "email" TEXT, "password_hash" TEXT, "created_at" TEXT);
  INSERT INTO "users" ("email", "password_hash", "created_at") VALUES ('${EMAIL}', '${await bcrypt.hash(OLD_PASSWORD, 10)}', '2020-01-31');
`);
