// A host on a client of its own: compiled with its columns typed, and run by test/types.test.ts.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { z } from 'zod';
import { createAuthTuna, currentUser, SYSTEM } from '../../../src/index.js';
import type { PrismaClient } from './generated/sqlite/client/client.js';

const OLD_HASH = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';

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
    user: { publicColumns: ['displayName'] },
    signUp: {
      fields: {
        displayName: { label: 'Name', schema: z.string().max(20) },
        plan: { label: 'Plan', schema: z.enum(['free', 'pro']), required: true },
      },
    },
  });
  try {
    await authTuna.ready();
    const password = 'correct horse battery staple';
    const ada = await authTuna.users.create({
      email: 'ada@example.com',
      password,
      emailVerified: true,
      data: { displayName: 'Ada', passwordHash: OLD_HASH },
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
    app.get('/me', authTuna.requireUser(), (req, res) => {
      res.json({ user: currentUser(req), nested: [req.user] });
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
    const ask = async (path: string, init?: RequestInit) => {
      const answerTo = await fetch(`${url}${path}`, {
        ...init,
        headers: { cookie, 'content-type': 'application/json' },
      });
      return { status: answerTo.status, text: await answerTo.text() };
    };
    const sent = [
      await login.text(),
      (await ask('/auth/user-info')).text,
      (await ask('/account')).text,
      (await ask('/me')).text,
      (
        await ask('/account', {
          method: 'PATCH',
          body: JSON.stringify({ data: { displayName: 'Countess' } }),
        })
      ).text,
    ];
    const refused = await ask('/account', {
      method: 'PATCH',
      body: JSON.stringify({ data: { plan: 'gold', passwordHash: 'x' } }),
    });
    const empty = await ask('/account', { method: 'PATCH', body: '{}' });
    return {
      sendsHiddenColumns: sent.some((text) => /passwordHash|"plan"|\$2b\$10/.test(text)),
      sendsPublicColumn: sent.map((text) => /"displayName":"(Ada L\.|Countess)"/.test(text)),
      refusedFields: (JSON.parse(refused.text) as { errors: { field: string; rule: string }[] }).errors.map(
        ({ field, rule }) => `${field} ${rule}`,
      ),
      statuses: [refused.status, empty.status],
      storedName: (await authTuna.users.get(ada.id)).displayName,
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

/** A client whose user model is called `AuthUser`. */
type RenamedClient = Omit<PrismaClient, 'user'> & { authUser: PrismaClient['user'] };

/** Columns are typed under another name of the model, too. */
export function renamed(prisma: RenamedClient): void {
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: ['x'.repeat(32)],
    prisma,
    models: { User: 'AuthUser' },
    user: { publicColumns: ['plan'], hostUser: { create: ({ email }) => ({ email }) } },
  });
  void authTuna.users.create({ email: 'a@example.com', data: { plan: 'pro' } });
  // @ts-expect-error of another type
  void authTuna.users.create({ email: 'a@example.com', data: { plan: 5 } });
}

/** What must not compile. */
export function refusals(prisma: PrismaClient): void {
  const required = { baseUrl: 'http://localhost:3000', secrets: ['x'.repeat(32)] };
  createAuthTuna({ ...required, prisma, user: { publicColumns: ['plan', 'displayName'] } });
  // @ts-expect-error no such column
  createAuthTuna({ ...required, prisma, user: { publicColumns: ['plan', 'nickname'] } });
  // @ts-expect-error the shipped client has no column of the host
  createAuthTuna({ ...required, user: { publicColumns: ['plan'] } });
  const authTuna = createAuthTuna({ baseUrl: 'http://localhost:3000', secrets: ['x'.repeat(32)], prisma });
  // @ts-expect-error no such column
  void authTuna.users.create({ email: 'a@example.com', data: { nickname: 'Ada' } });
  // @ts-expect-error of another type
  void authTuna.users.create({ email: 'a@example.com', data: { plan: 5 } });
  const tier = async (): Promise<string | null> =>
    (await authTuna.orgs.create({ name: 'Acme', data: { tier: 'gold' } }, SYSTEM)).tier;
  void tier;
  createAuthTuna({ ...required, prisma, organization: { publicColumns: ['tier'] } });
  // @ts-expect-error no such column
  createAuthTuna({ ...required, prisma, organization: { publicColumns: ['color'] } });
  // @ts-expect-error of another type
  void authTuna.orgs.update('1', { data: { tier: 5 } }, SYSTEM);
  // @ts-expect-error no such column
  void authTuna.projects.create({ orgId: '1', name: 'P', data: { tier: 'gold' } }, SYSTEM);
  // @ts-expect-error one of ours
  void authTuna.users.create({ email: 'a@example.com', data: { suspendedAt: null } });
}
