import { type Actor, SYSTEM } from '../../src/index.js';
import { TestClock, TestMailbox } from '../../src/testing/index.js';
import { PASSWORD, startApp } from './app.js';
import { CLIENT, type Person, startOpenIdProvider } from './openid-provider.js';

/** Somebody of Acme. */
export const BOB: Person = {
  sub: 'bob-1',
  email: 'bob@acme.example',
  email_verified: true,
  groups: ['staff', 'leads'],
};

/** An organization whose owner has connected its provider and claimed acme.example; the zone is in `records`. */
export async function startAcme(options: { linkVerifiedEmails?: boolean; verified?: boolean } = {}) {
  const records = new Map<string, string[][]>();
  const idp = await startOpenIdProvider(BOB);
  const dns = { isDown: false };
  const mailbox = new TestMailbox();
  const app = await startApp(
    {
      mail: { from: 'auth@example.com', transport: mailbox },
      signUp: { requireVerifiedEmail: false },
      social: {
        resolveTxt: async (name) => {
          if (dns.isDown) throw new Error('ESERVFAIL');
          const found = records.get(name);
          if (found === undefined) throw new Error('ENOTFOUND');
          return found;
        },
      },
    },
    { clock: new TestClock(new Date()) },
  );
  const { authTuna } = app;
  await authTuna.scopes.register({ id: 'org:acme' }, SYSTEM);
  const owner = await authTuna.users.create({
    email: 'owner@acme.example',
    password: PASSWORD,
    emailVerified: true,
  });
  await authTuna.roles.assign({ userId: owner.id, role: 'org_owner', scope: 'org:acme' }, SYSTEM);
  const actor: Actor = { userId: owner.id, ip: null, userAgent: null };
  await idp.allow('http://localhost:1/unused');
  const connection = await authTuna.sso.create(
    {
      scope: 'org:acme',
      name: 'Acme',
      issuer: idp.issuer,
      ...CLIENT,
      rolesClaim: 'groups',
      roleMapping: { staff: 'org_member', leads: 'org_admin' },
      ...(options.linkVerifiedEmails !== undefined && { linkVerifiedEmails: options.linkVerifiedEmails }),
    },
    actor,
  );
  await idp.allow(`${app.url}/auth/social/${connection.provider}/callback`);
  const { sso: connections } = authTuna;
  const domain = await connections.addDomain(connection.id, 'Acme.Example', actor);
  const prove = async () => {
    records.set(domain.record.name, [
      ['v=spf1 -all'],
      [domain.record.value.slice(0, 10), domain.record.value.slice(10)],
    ]);
    await connections.verifyDomain(connection.id, 'acme.example', actor);
  };
  if (options.verified !== false) await prove();
  const signIn = async (person: Person, browser = app.browser()) => {
    idp.person = person;
    const start = await browser.get(`/auth/social/sso/login?email=${encodeURIComponent(person.email ?? '')}`);
    if (start.status !== 303) return { answer: start, browser };
    const back = await idp.visit(start.headers.get('location') ?? '');
    return { answer: await browser.get(back.slice(app.url.length)), browser };
  };
  /** Goes straight to the connection, as somebody does who does not ask where the address belongs. */
  const enter = async (person: Person, browser = app.browser()) => {
    idp.person = person;
    const start = await browser.get(`/auth/social/${connection.provider}/login`);
    const back = await idp.visit(start.headers.get('location') ?? '');
    return { answer: await browser.get(back.slice(app.url.length)), browser };
  };
  return {
    ...app,
    idp,
    dns,
    mailbox,
    owner,
    actor,
    connection,
    connections,
    domain,
    records,
    prove,
    signIn,
    enter,
  };
}
