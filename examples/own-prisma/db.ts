// The client of the app, as it was before AuthTuna.
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaClient } from './client/client.js';

export const prisma = new PrismaClient({
  adapter: new PrismaLibSql({ url: 'file:./app.db', timeout: 5000 }),
});
