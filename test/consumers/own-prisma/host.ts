// A host on a client of its own: compiled with its columns typed, and run by test/types.test.ts.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createAuthTuna, currentUser, SYSTEM } from '../../../src/index.js';
import type { PrismaClient } from './generated/sqlite/client/client.js';

export async function runHost(prisma: PrismaClient): Promise<object> {
  const app = express();
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  const authTuna = createAuthTuna({
    baseUrl: url,
    secrets: ['Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gA'],
    password: { bcryptCost: 4 },
    prisma,
  });
  try {
    await authTuna.ready();
    const password = 'correct horse battery staple';
    const ada = await authTuna.users.create({
      email: 'ada@example.com',
      password,
      emailVerified: true,
      data: { displayName: 'Ada' },
    });
    const created: { displayName: string | null; plan: string } = {
      displayName: ada.displayName,
      plan: ada.plan,
    };
    const changed = await authTuna.users.update(
      ada.id,
      { data: { displayName: 'Ada L.', plan: 'pro' } },
      SYSTEM,
    );
    const updated = { displayName: changed.displayName, plan: changed.plan };

    app.use(authTuna.session());
    app.use(authTuna.router());
    app.get('/plan', authTuna.requireUser(), (req, res) => {
      const { displayName, plan } = currentUser(req);
      const alias: string | undefined = req.user?.plan;
      res.json({ seen: { displayName, plan }, keys: Object.keys(currentUser(req)), alias });
    });
    app.use(authTuna.errorHandler());
    const login = await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ login: 'ada@example.com', password }),
    });
    const cookie = login.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ');
    const answer = (await (await fetch(`${url}/plan`, { headers: { cookie } })).json()) as {
      seen: object;
      keys: string[];
    };
    return {
      created,
      updated,
      seenByRoute: answer.seen,
      hidesInternals: !answer.keys.some((key) => ['sessionEpoch', 'usernameKey', 'password'].includes(key)),
    };
  } finally {
    server.closeAllConnections();
    server.close();
    await authTuna.close();
    await prisma.$disconnect();
  }
}

/** What must not compile. */
export function refusals(prisma: PrismaClient): void {
  const authTuna = createAuthTuna({ baseUrl: 'http://localhost:3000', secrets: ['x'.repeat(32)], prisma });
  // @ts-expect-error no such column
  void authTuna.users.create({ email: 'a@example.com', data: { nickname: 'Ada' } });
  // @ts-expect-error of another type
  void authTuna.users.create({ email: 'a@example.com', data: { plan: 5 } });
  // @ts-expect-error one of ours
  void authTuna.users.create({ email: 'a@example.com', data: { suspendedAt: null } });
}
