import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, inject, onTestFinished, test } from 'vitest';
import {
  type Actor,
  AuthTunaError,
  createAuthTuna,
  defineProvider,
  type Profile,
  SYSTEM,
} from '../../../src/index.js';
import { TestClock } from '../../../src/testing/index.js';
import { SECRET, TestLogger } from '../../support/app.js';
import { Authenticator } from '../../support/authenticator.js';
import { freshDatabase, openDatabase } from '../../support/database.js';

/*
 * Attacker and victim around one address, in every order of up to six events. The states that orders lead to are compared, and one that was
 * seen before is not walked on from: what follows from equal states is equal.
 */

const ADDRESS = 'victim@example.com';
// Three by default; `npm run takeover` walks all six, which takes many minutes.
const LENGTH = Number(process.env.TAKEOVER_LENGTH ?? 3);
const UNLIMITED = { limit: 1_000_000, windowSeconds: 60 };
const TABLES = [
  'user',
  'password',
  'session',
  'socialAccount',
  'passkey',
  'oneTimeToken',
  'roleAssignment',
] as const;
type Who = 'attacker' | 'victim';
type Row = Record<string, unknown>;

/** What is not in the database: who holds which sessions, links and half-finished journeys, and whose house it is by now. */
interface Hands {
  sessions: { who: Who; id: string; userId: string }[];
  /** States of begun links. */
  links: { who: Who; state: string }[];
  /** Sign-in links and reset links that lie in the victim's mailbox. */
  magic: string | null;
  reset: string | null;
  /** Accounts the victim has entered. */
  victims: string[];
}

interface State {
  tables: Record<(typeof TABLES)[number], Row[]>;
  hands: Hands;
  path: string[];
}

const PEOPLE: Record<string, Profile> = {
  'attacker claims': { subject: 'attacker', email: ADDRESS, emailVerified: false, name: null },
  'victim proves': { subject: 'victim', email: ADDRESS, emailVerified: true, name: null },
};
const PASSWORDS: Record<Who, string> = {
  attacker: 'what the attacker has chosen',
  victim: 'what its owner has once chosen',
};

async function startWorld(options: { requireVerifiedEmail: boolean; linkVerifiedEmails: boolean }) {
  const tokenServer = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    const code = new URLSearchParams(body).get('code');
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ access_token: code }));
  }).listen(0, '127.0.0.1');
  await once(tokenServer, 'listening');
  const origin = `http://localhost:${(tokenServer.address() as AddressInfo).port}`;
  const provider = defineProvider(
    {
      id: 'idp',
      name: 'Provider',
      endpoints: { authorization: `${origin}/authorize`, token: `${origin}/token` },
      scopes: [],
      profile: ({ accessToken }) => PEOPLE[accessToken]!,
    },
    { clientId: 'client', clientSecret: 'secret' },
  );
  const database = await freshDatabase();
  const authenticator = new Authenticator('http://localhost:3000');
  // Half tokens as they were drawn, so that a mailed link can be put together from its row.
  const drawn: string[] = [];
  const clock = new TestClock();
  const authTuna = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: database.url,
    clock,
    logger: new TestLogger(),
    random: {
      bytes(size) {
        const bytes = randomBytes(size);
        drawn.push(bytes.toString('base64url'));
        return bytes;
      },
    },
    password: { bcryptCost: 4 },
    signUp: { requireVerifiedEmail: options.requireVerifiedEmail },
    passwordless: { magicLink: { bindToBrowser: false } },
    mail: { from: 'app@example.com', transport: { send: async () => {} } },
    rateLimits: { mailAddress: UNLIMITED, mailNetwork: UNLIMITED, mailPurpose: UNLIMITED },
    social: { providers: [provider], linkVerifiedEmails: options.linkVerifiedEmails },
  });
  const connection = await openDatabase(database);
  onTestFinished(async () => {
    tokenServer.closeAllConnections();
    tokenServer.close();
    await authTuna.close();
    await connection.close();
    await database.drop();
  });
  await authTuna.ready();
  const db = connection.client as unknown as Record<
    string,
    Record<string, (args?: object) => Promise<Row[]>>
  >;

  const actorOf = (who: Who, session?: { id: string; userId: string }): Actor => ({
    userId: session?.userId ?? null,
    ip: who === 'attacker' ? '203.0.113.66' : '198.51.100.7',
    userAgent: who,
    ...(session !== undefined && { sessionId: session.id }),
  });
  const browserOf = (who: Who) => `the browser of the ${who}`;
  const isMailed = (tables: State['tables'], wanted: string) =>
    tables.oneTimeToken.some(({ purpose, usedAt }) => purpose === wanted && usedAt === null);
  const isAlive = (tables: State['tables'], id: string): boolean => {
    const row = tables.session.find((session) => session.id === id);
    const user = tables.user.find((candidate) => candidate.id === row?.userId);
    return row !== undefined && row.revokedAt === null && row.epoch === user?.sessionEpoch;
  };
  const liveSession = (tables: State['tables'], hands: Hands, who: Who) =>
    hands.sessions.find((session) => session.who === who && isAlive(tables, session.id)) ?? null;
  const entered = (
    hands: Hands,
    who: Who,
    result: { status: string; user?: { id: string }; session?: { id: string } },
  ) => {
    if (result.status !== 'signed_in' || result.user === undefined || result.session === undefined) return;
    hands.sessions.push({ who, id: result.session.id, userId: result.user.id });
    if (who === 'victim' && !hands.victims.includes(result.user.id)) hands.victims.push(result.user.id);
  };
  /** The newest live token of a purpose, as its mail carries it. */
  const mailed = async (purpose: string): Promise<string | null> => {
    const rows = await db.oneTimeToken!.findMany!({ where: { purpose, usedAt: null } });
    const found = rows
      .map(({ id }) => ({ id: String(id), at: drawn.lastIndexOf(String(id)) }))
      .sort((a, b) => b.at - a.at)[0];
    return found === undefined ? null : `${found.id}.${drawn[found.at + 1]}`;
  };
  const journey = async (who: Who, person: string, state: string) => {
    const outcome = await authTuna.social.finishSignIn(
      'idp',
      { code: person, state },
      { browser: browserOf(who) },
      actorOf(who),
    );
    return outcome;
  };
  const stateOf = (url: string) => new URL(url).searchParams.get('state') ?? '';

  const signUp = (who: Who) => async (hands: Hands) => {
    const input = { email: ADDRESS, password: PASSWORDS[who] };
    const result = await authTuna.auth.register(input, actorOf(who), {
      by: 'password',
      browserId: browserOf(who),
    });
    entered(hands, who, result);
  };
  const verificationLink = async () => (await mailed('verify_email')) ?? 'none';
  const login = (who: Who) => async (hands: Hands) =>
    entered(
      hands,
      who,
      await authTuna.auth.login({ login: ADDRESS, password: PASSWORDS[who] }, actorOf(who)),
    );
  const social = (who: Who, person: string) => async (hands: Hands) => {
    const { url } = await authTuna.social.beginSignIn('idp', { browser: browserOf(who) });
    const outcome = await journey(who, person, stateOf(url));
    if (outcome.intent === 'sign_in') entered(hands, who, outcome.result);
  };
  const beginLink = (who: Who) => async (hands: Hands) => {
    const session = liveSession(await read(), hands, who);
    if (session === null) return;
    const { url } = await authTuna.social.beginLink(
      session.userId,
      'idp',
      { browser: browserOf(who) },
      actorOf(who, session),
    );
    hands.links.push({ who, state: stateOf(url) });
  };
  const finishLink = (who: Who, person: string) => async (hands: Hands) => {
    const link = hands.links.find((begun) => begun.who === who);
    if (link === undefined) return;
    hands.links.splice(hands.links.indexOf(link), 1);
    await journey(who, person, link.state);
  };
  const unlink = (who: Who) => async (hands: Hands) => {
    const session = liveSession(await read(), hands, who);
    if (session !== null) await authTuna.social.unlink(session.userId, 'idp', actorOf(who, session));
  };

  const events: Record<string, (hands: Hands) => Promise<void>> = {
    'attacker signs up': signUp('attacker'),
    'attacker logs in': login('attacker'),
    'attacker signs in socially': social('attacker', 'attacker claims'),
    'attacker begins a link': beginLink('attacker'),
    'attacker finishes the link': finishLink('attacker', 'attacker claims'),
    'attacker unlinks': unlink('attacker'),
    'attacker adds a passkey': async (hands) => {
      const session = liveSession(await read(), hands, 'attacker');
      if (session === null) return;
      const actor = actorOf('attacker', session);
      const options = await authTuna.passkeys.beginRegistration(session.userId, actor);
      const response = { ...authenticator.create(options), type: 'public-key' as const };
      await authTuna.passkeys.finishRegistration(session.userId, response, actor);
    },
    'attacker signs in with the passkey': async (hands) => {
      const passkey = (await read()).passkey[0];
      const credential = authenticator.credentials.find(({ id }) => id === passkey?.credentialId);
      if (credential === undefined) return;
      const holder = { kind: 'sign_in', browser: browserOf('attacker') } as const;
      const options = await authTuna.passkeys.beginSignIn(holder);
      const response = { ...authenticator.get(options, {}, credential), type: 'public-key' as const };
      const outcome = await authTuna.passkeys.finishSignIn(response, holder, actorOf('attacker'));
      if (outcome.kind === 'signed_in') entered(hands, 'attacker', outcome.result);
    },
    'attacker asks for a change of address': async (hands) => {
      const session = liveSession(await read(), hands, 'attacker');
      if (session !== null)
        await authTuna.auth.requestEmailChange(
          session.userId,
          { newEmail: 'attacker@example.com' },
          actorOf('attacker', session),
        );
    },
    'attacker confirms the change': async () => {
      const token = await mailed('change_email');
      if (token !== null) await authTuna.auth.confirmEmailChange(token, actorOf('attacker'));
    },
    'victim takes the change back': async () => {
      // The link went to the victim's own address, which was the account's.
      const token = await mailed('undo_email_change');
      if (token !== null) await authTuna.auth.undoEmailChange(token, actorOf('victim'));
    },
    'victim signs up': signUp('victim'),
    'attacker has the confirmation sent again': async () => {
      await authTuna.auth.requestEmailVerification(ADDRESS, actorOf('attacker'));
    },
    // The newest link, whoever's sign-up it came from: people open what is in their mailbox.
    'victim confirms': async (hands) => {
      const session = liveSession(await read(), hands, 'victim') ?? undefined;
      const proof = { browserId: browserOf('victim'), password: PASSWORDS.victim };
      await authTuna.auth.verifyEmail(await verificationLink(), actorOf('victim', session), proof);
    },
    'victim claims the account': async () =>
      authTuna.auth.claimAccount(
        { token: await verificationLink(), newPassword: PASSWORDS.victim },
        actorOf('victim'),
      ),
    'victim logs in': login('victim'),
    'victim signs in socially': social('victim', 'victim proves'),
    'victim links': async (hands) => {
      await beginLink('victim')(hands);
      await finishLink('victim', 'victim proves')(hands);
    },
    'victim unlinks': unlink('victim'),
    'victim asks for a link': async (hands) => {
      await authTuna.passwordless.requestLink(ADDRESS, SYSTEM);
      hands.magic = await mailed('magic_link');
    },
    'victim opens the link': async (hands) => {
      if (hands.magic === null) return;
      const token = hands.magic;
      hands.magic = null;
      entered(hands, 'victim', await authTuna.passwordless.consumeLink({ token }, actorOf('victim')));
    },
    'victim asks for a reset': async (hands) => {
      await authTuna.auth.requestPasswordReset(ADDRESS, SYSTEM);
      hands.reset = await mailed('reset_password');
    },
    'victim resets': async (hands) => {
      if (hands.reset === null) return;
      const token = hands.reset;
      hands.reset = null;
      await authTuna.auth.resetPassword({ token, newPassword: PASSWORDS.victim }, actorOf('victim'));
    },
  };

  async function read(): Promise<State['tables']> {
    const found = {} as State['tables'];
    for (const table of TABLES) found[table] = await db[table]!.findMany!();
    return found;
  }
  const restore = (tables: State['tables']) =>
    connection.client.$transaction([
      // No event is held back by how many mails or attempts there were: whoever is, waits.
      ...[...TABLES, 'throttle', 'rateWindow'].toReversed().map((table) => db[table]!.deleteMany!({})),
      ...TABLES.filter((table) => tables[table].length > 0).map((table) =>
        db[table]!.createMany!({ data: tables[table] }),
      ),
    ]);
  /** Whether an event can do anything at all; what cannot is left out, which changes nothing but the time it takes. */
  const canHappen = (name: string, { tables, hands }: State): boolean => {
    const isIn = (who: Who) => liveSession(tables, hands, who) !== null;
    const conditions: Record<string, boolean> = {
      'attacker begins a link': isIn('attacker'),
      'attacker finishes the link': hands.links.some(({ who }) => who === 'attacker'),
      'attacker asks for a change of address': isIn('attacker'),
      'attacker confirms the change': isMailed(tables, 'change_email'),
      'attacker unlinks': isIn('attacker') && tables.socialAccount.length > 0,
      'attacker adds a passkey': isIn('attacker') && tables.passkey.length === 0,
      'attacker signs in with the passkey': tables.passkey.length > 0,
      'victim takes the change back': isMailed(tables, 'undo_email_change'),
      'attacker logs in': tables.password.length > 0,
      'victim logs in': tables.password.length > 0,
      'attacker has the confirmation sent again': tables.user.some((user) => user.emailVerifiedAt === null),
      'victim confirms': isMailed(tables, 'verify_email'),
      'victim claims the account': isMailed(tables, 'verify_email'),
      'victim links': isIn('victim'),
      'victim unlinks': isIn('victim') && tables.socialAccount.length > 0,
      'victim asks for a link': tables.user.length > 0,
      'victim opens the link': hands.magic !== null,
      'victim asks for a reset': tables.user.length > 0,
      'victim resets': hands.reset !== null,
    };
    return conditions[name] ?? true;
  };
  /** What matters for what can follow, without ids and times. */
  const fingerprint = async ({ tables, hands }: State): Promise<string> => {
    const accounts = [];
    for (const user of tables.user) {
      const own = (table: Row[]) => table.filter(({ userId }) => userId === user.id);
      const password =
        own(tables.password).length === 0
          ? 'none'
          : (await authTuna.passwords.verify(String(user.id), PASSWORDS.victim))
            ? 'victim'
            : 'attacker';
      const holders = [];
      for (const who of ['attacker', 'victim'] as const) {
        for (const session of hands.sessions)
          if (session.who === who && session.userId === user.id && isAlive(tables, session.id))
            holders.push(who);
      }
      const tokens = tables.oneTimeToken
        .filter(
          ({ subject, usedAt, purpose }) =>
            subject === user.id && usedAt === null && purpose === 'change_email',
        )
        .map(({ purpose }) => purpose)
        .sort();
      accounts.push({
        email: user.email,
        isVerified: user.emailVerifiedAt !== null,
        password,
        identities: own(tables.socialAccount)
          .map(({ subject }) => subject)
          .sort(),
        passkeys: own(tables.passkey).length,
        holders: [...new Set(holders)],
        isVictims: hands.victims.includes(String(user.id)),
        tokens,
      });
    }
    const undo = isMailed(tables, 'undo_email_change');
    const confirmations = tables.oneTimeToken
      .filter(({ purpose, usedAt }) => purpose === 'verify_email' && usedAt === null)
      .map(({ data }) => (JSON.parse(String(data)) as { browser?: string }).browser);
    const links = [];
    for (const { who, state } of hands.links) {
      const row = tables.oneTimeToken.find(({ id }) => state.startsWith(`${id}.`));
      const { link } = JSON.parse(String(row?.data ?? '{}')) as { link?: { sessionId: string } };
      links.push([who, link !== undefined && isAlive(tables, link.sessionId)]);
    }
    const isLive = (token: string | null) =>
      token !== null &&
      tables.oneTimeToken.some(({ id, usedAt }) => usedAt === null && token.startsWith(`${id}.`));
    return JSON.stringify([accounts, undo, confirmations, links, isLive(hands.magic), isLive(hands.reset)]);
  };
  return { events, canHappen, read, restore, fingerprint, isAlive };
}

for (const requireVerifiedEmail of [false, true]) {
  for (const linkVerifiedEmails of [false, true]) {
    // SQLite is enough: what is enumerated are orders, not races.
    test.runIf(inject('dialect') === 'sqlite')(
      `in no order of ${LENGTH} events does the attacker hold a session of the victim's account (addresses ${requireVerifiedEmail ? 'must' : 'need not'} be confirmed, equal ones may${linkVerifiedEmails ? '' : ' not'} meet)`,
      async () => {
        const world = await startWorld({ requireVerifiedEmail, linkVerifiedEmails });
        const start: State = {
          tables: await world.read(),
          hands: { sessions: [], links: [], magic: null, reset: null, victims: [] },
          path: [],
        };
        const seen = new Set([await world.fingerprint(start)]);
        let edge = [start];
        let victimsHomes = 0;
        let walked = 0;
        const effective = new Set<string>();
        for (let length = 1; length <= LENGTH && edge.length > 0; length += 1) {
          const next: State[] = [];
          for (const state of edge) {
            for (const [name, event] of Object.entries(world.events)) {
              if (!world.canHappen(name, state)) continue;
              await world.restore(state.tables);
              const hands = structuredClone(state.hands);
              const path = [...state.path, name];
              walked += 1;
              let isRefused = false;
              await event(hands).catch((error: unknown) => {
                const isRefusal =
                  error instanceof AuthTunaError &&
                  error.code !== 'unavailable' &&
                  error.code !== 'misconfigured';
                if (!isRefusal) throw new Error(path.join(', then '), { cause: error });
                isRefused = true;
              });
              if (!isRefused) effective.add(name);
              const tables = await world.read();
              for (const session of hands.sessions) {
                const isTheirs = session.who === 'attacker' && hands.victims.includes(session.userId);
                if (isTheirs && world.isAlive(tables, session.id)) expect.fail(path.join(', then '));
              }
              if (hands.victims.length > 0) victimsHomes += 1;
              if (length === LENGTH) continue;
              const reached = { tables, hands, path };
              const key = await world.fingerprint(reached);
              if (seen.has(key)) continue;
              seen.add(key);
              next.push(reached);
            }
          }
          edge = next;
        }
        // Each event found something to do somewhere; one that never does proves nothing. Who cannot enter before confirming cannot act.
        if (!requireVerifiedEmail && LENGTH > 3)
          expect([...effective].sort()).toEqual(Object.keys(world.events).sort());
        if (process.env.TAKEOVER_LENGTH !== undefined) console.info(`${walked} orders, ${seen.size} states`);
        expect(seen.size).toBeGreaterThan(5);
        expect(victimsHomes).toBeGreaterThan(0);
      },
      3_600_000,
    );
  }
}
