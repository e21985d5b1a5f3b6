import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../../../src/config/config.js';
import { createCore } from '../../../src/core/core.js';
import { guardDb } from '../../../src/db/client.js';
import { createFeatures } from '../../../src/features.js';
import { AuthTunaError, type AuthTunaOptions } from '../../../src/index.js';
import { TestClock, TestMailbox } from '../../../src/testing/index.js';
import { PASSWORD, SECRET } from '../../support/app.js';
import { freshDatabase, openDatabase } from '../../support/database.js';
import {
  SIGN_UP_WAYS,
  type SignUpApps,
  type SignUpDetails,
  startSignUpApps,
} from '../../support/sign-up-ways.js';

const EVA = 'eva@example.com';
const FIELDS = {
  displayName: { label: 'Display name', required: true },
  seats: { label: 'Seats', schema: z.coerce.number().int().min(1).max(50) },
};
const GOOD = { email: EVA, username: 'eva', data: { displayName: 'Eva' } };

interface Refusal {
  name: string;
  options: Partial<AuthTunaOptions>;
  details?: Partial<SignUpDetails>;
  status: number;
  problem: object;
}

const field = (name: string, rule: string) => ({
  code: 'invalid_input',
  errors: [expect.objectContaining({ field: name, rule })],
});

const REFUSALS: Refusal[] = [
  {
    name: 'sign-up is closed',
    options: { signUp: { enabled: false } },
    status: 403,
    problem: { code: 'forbidden', detail: 'Sign-up is closed.' },
  },
  {
    name: 'a domain that may not sign up',
    options: { signUp: { allowedEmailDomains: ['other.example'] } },
    status: 422,
    problem: field('email', 'domain_not_allowed'),
  },
  {
    name: 'the hook of the host',
    options: {
      hooks: {
        beforeSignUp({ email, username }) {
          throw new AuthTunaError('forbidden', { message: `No ${username} at ${email}.` });
        },
      },
    },
    status: 403,
    problem: { code: 'forbidden', detail: `No eva at ${EVA}.` },
  },
  {
    name: 'a required username that is missing',
    options: {},
    details: { username: undefined },
    status: 422,
    problem: field('username', 'required'),
  },
  {
    name: 'a malformed username',
    options: {},
    details: { username: 'e@va' },
    status: 422,
    problem: field('username', 'invalid_username'),
  },
  {
    name: 'a username where there are none',
    options: { signUp: { username: 'off' } },
    status: 422,
    problem: field('username', 'not_used'),
  },
  {
    name: 'a taken username',
    options: {},
    details: { username: 'taken' },
    status: 409,
    problem: { code: 'conflict', field: 'username' },
  },
  {
    name: 'a required field that is missing',
    options: {},
    details: { data: {} },
    status: 422,
    problem: field('data.displayName', 'required'),
  },
  {
    name: 'a field that its schema refuses',
    options: {},
    details: { data: { displayName: 'Eva', seats: '51' } },
    status: 422,
    problem: field('data.seats', 'too_large'),
  },
  {
    name: 'a field of another type',
    options: {},
    details: { data: { displayName: ['Eva'] } },
    status: 422,
    problem: field('data.displayName', 'wrong_type'),
  },
  {
    name: 'a field that the host has not',
    options: {},
    details: { data: { displayName: 'Eva', emailVerifiedAt: '2026-01-01' } },
    status: 422,
    problem: field('data.emailVerifiedAt', 'unknown_field'),
  },
  {
    name: 'two faults at once',
    options: {},
    details: { username: 'taken', data: {} },
    status: 422,
    problem: {
      code: 'invalid_input',
      errors: [
        expect.objectContaining({ field: 'data.displayName', rule: 'required' }),
        expect.objectContaining({ field: 'username', rule: 'taken' }),
      ],
    },
  },
];

async function start(options: Partial<AuthTunaOptions>): Promise<SignUpApps> {
  const apps = await startSignUpApps({
    ...options,
    signUp: { username: 'required', fields: FIELDS, ...options.signUp },
  });
  await apps.first.authTuna.users.create({
    email: 'other@example.com',
    username: 'taken',
    emailVerified: true,
  });
  return apps;
}

/** Mails and audit entries that are about a sign-up of Eva. */
async function tracesOf({ last }: SignUpApps) {
  const mails = (await last.mailsTo(EVA)).map(({ subject }) => subject);
  const { items } = await last.authTuna.audit.list({ type: 'user.created' });
  const entries = items.map(({ outcome, data }) => ({ outcome, by: (data as { by?: string } | null)?.by }));
  return { mails: mails.filter((subject) => !subject.startsWith('Create your')), entries };
}

test.each(REFUSALS)(
  'every way of signing up refuses alike: $name',
  async ({ options, details, status, problem }) => {
    const apps = await start(options);
    const before = await tracesOf(apps);
    for (const [way, signUp] of Object.entries(SIGN_UP_WAYS)) {
      const answer = await signUp(apps, { ...GOOD, ...details });
      expect({ way, status: answer.status, ...((await answer.json()) as object) }).toMatchObject({
        way,
        status,
        ...problem,
      });
      expect({ way, ...(await tracesOf(apps)) }).toEqual({ way, ...before });
      expect(await apps.last.authTuna.users.findByEmail(EVA)).toBeNull();
    }
  },
  60_000,
);

test('every way of signing up stores the same account, and mails and records the same', async () => {
  const apps = await start({});
  const seen: Record<string, unknown> = {};
  for (const [way, signUp] of Object.entries(SIGN_UP_WAYS)) {
    const email = `${way.toLowerCase()}@example.com`;
    const username = `eva-${way.toLowerCase()}`;
    const answer = await signUp(apps, { email, username, data: { displayName: 'Eva', seats: '7' } });
    const user = (await apps.last.authTuna.users.findByEmail(email)) as unknown as Record<string, unknown>;
    const { items } = await apps.last.authTuna.audit.list({
      type: 'user.created',
      targetId: String(user.id),
    });
    const mails = (await apps.last.mailsTo(email)).map(({ subject }) => subject);
    seen[way] = {
      status: answer.status,
      isProved: user.emailVerifiedAt !== null,
      mails: mails.filter((subject) => !subject.startsWith('Create your')),
      entries: items.map(({ outcome, data }) => [outcome, data]),
    };
    expect({ way, ...user }).toMatchObject({ way, username, displayName: 'Eva', seats: 7, company: null });
  }
  const confirms = (by: string) => ({
    status: 202,
    isProved: false,
    mails: ['Confirm your email address'],
    entries: [['success', { by }]],
  });
  const proved = (by: string, status: number) => ({
    status,
    isProved: true,
    mails: ['Welcome to Harbour'],
    entries: [['success', { by }]],
  });
  expect(seen).toEqual({
    password: confirms('password'),
    passkey: confirms('passkey'),
    magicLink: proved('magic_link', 200),
    provider: proved('provider', 201),
  });
}, 60_000);

test('a passkey ceremony does not begin for a sign-up that would be refused', async () => {
  for (const { options, details, status, problem } of REFUSALS) {
    if (details?.username === 'taken') continue; // a name can be taken while the browser makes the passkey
    const { last } = await start(options);
    const answer = await last.browser().post('/auth/passkeys/register/options', { ...GOOD, ...details });
    expect({ status: answer.status, ...((await answer.json()) as object) }).toMatchObject({
      status,
      ...problem,
    });
  }
}, 120_000);

test('an invitation lets people in where sign-up is closed, and its mailed token has proved the address', async () => {
  const database = await freshDatabase();
  const connection = await openDatabase(database);
  onTestFinished(async () => {
    await connection.close();
    await database.drop();
  });
  const config = parseConfig({
    baseUrl: 'http://localhost:3999',
    secrets: [SECRET],
    databaseUrl: database.url,
    clock: new TestClock(),
    mail: { from: 'Harbour <noreply@harbour.example>', transport: new TestMailbox() },
    signUp: { enabled: false, allowedEmailDomains: ['other.example'] },
  });
  const { signUp, db } = createFeatures(createCore(config, guardDb(connection.client)), null).core;
  const stranger = { userId: null, ip: '192.0.2.1', userAgent: null };
  await expect(signUp.create({ email: EVA }, stranger, { by: 'password' })).rejects.toThrow(
    'Sign-up is closed.',
  );
  const made = await signUp.create({ email: EVA, password: PASSWORD }, stranger, {
    by: 'invitation',
    isMailboxProved: true,
  });
  expect(made.emailVerifiedAt).toBeInstanceOf(Date);
  expect(await db.outboxMessage.findMany({ select: { template: true } })).toEqual([{ template: 'welcome' }]);
});
