// Stands in for the years before AuthTuna: two users with bcrypt hashes, and a post.
import bcrypt from 'bcrypt';
import { prisma } from './db.js';

const passwordHash = await bcrypt.hash('correct horse battery staple', 10);
await prisma.user.create({
  data: {
    email: 'Ada@Example.com',
    name: 'Ada',
    passwordHash,
    posts: { create: { title: 'Notes on the engine' } },
  },
});
await prisma.user.create({ data: { email: 'grace@example.com', name: 'Grace', passwordHash } });
await prisma.$disconnect();
