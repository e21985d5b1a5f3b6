import { expect, test } from 'vitest';
import { endedBecause } from '../../../src/core/sessions/lifetime.js';
import {
  isRotationDue,
  judge,
  type RotationFacts,
  type RotationState,
} from '../../../src/core/sessions/rotation.js';
import type { LoadedSession } from '../../../src/core/sessions/session-row.js';

const settings = { rotateSeconds: 300, rotationGraceSeconds: 30, rotationForgiveSeconds: 180 };
const NOW = new Date('2030-01-01T12:00:00Z');
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1000);
const fits = (generation: number, salt: string) => `${generation} ${salt}`;
const facts = (change: Partial<RotationFacts> = {}): RotationFacts => ({
  now: NOW,
  mayRotate: true,
  rotatingString: fits,
  rotationShare: () => 0.5,
  ...change,
});
const row = (change: Partial<RotationState> = {}): RotationState => ({
  generation: 3,
  salt: 'new',
  previousSalt: 'old',
  rotatedAt: ago(700),
  acknowledgedAt: ago(600),
  hardRotatedAt: null,
  lockedAt: null,
  ...change,
});
const current = { generation: 3, rotating: fits(3, 'new') };
const previous = { generation: 2, rotating: fits(2, 'old') };
const unseen = { rotatedAt: ago(10), acknowledgedAt: null };

test.each<[string, Partial<RotationState>, { generation: number; rotating: string }, object]>([
  ['current, not seen before', unseen, current, { cookie: 'current', due: 'acknowledgement' }],
  ['current, in use for R', { acknowledgedAt: ago(449) }, current, { cookie: 'current', due: null }],
  [
    'current, in use for R and its share',
    { acknowledgedAt: ago(450) },
    current,
    { cookie: 'current', due: 'rotation' },
  ],
  [
    'current, locked',
    { acknowledgedAt: ago(450), lockedAt: ago(1) },
    current,
    { cookie: 'current', due: null },
  ],
  ['before, successor not seen', unseen, previous, { cookie: 'waiting' }],
  ['before, successor seen G ago', { acknowledgedAt: ago(30) }, previous, { cookie: 'straggler' }],
  ['before, seen longer ago than G', { acknowledgedAt: ago(31) }, previous, { cookie: 'superseded' }],
  ['before, seen S ago', { acknowledgedAt: ago(180) }, previous, { cookie: 'superseded' }],
  ['before, seen longer ago than S', { acknowledgedAt: ago(181) }, previous, { cookie: 'copy' }],
  ['two before', unseen, { generation: 1, rotating: 'x' }, { cookie: 'copy' }],
  ['ahead', {}, { generation: 4, rotating: 'x' }, { cookie: 'impossible', reason: 'ahead_of_database' }],
  [
    'current, wrong string',
    {},
    { ...current, rotating: 'x' },
    { cookie: 'impossible', reason: 'wrong_rotating_string' },
  ],
  [
    'before, wrong string',
    unseen,
    { ...previous, rotating: 'x' },
    { cookie: 'impossible', reason: 'wrong_rotating_string' },
  ],
  [
    'before, no salt kept',
    { ...unseen, previousSalt: null },
    previous,
    { cookie: 'impossible', reason: 'wrong_rotating_string' },
  ],
  [
    'before a hard rotation that was not seen',
    { ...unseen, hardRotatedAt: ago(10) },
    previous,
    { cookie: 'superseded' },
  ],
  [
    'before a hard rotation, seen longer ago than S',
    { hardRotatedAt: ago(700) },
    previous,
    { cookie: 'copy' },
  ],
  [
    'two before a hard rotation that was not seen',
    { ...unseen, hardRotatedAt: ago(10) },
    { generation: 1, rotating: 'x' },
    { cookie: 'superseded' },
  ],
])('a cookie: %s (SS-2, SS-3, SS-4)', (_, change, claims, ruling) => {
  expect(judge(row(change), claims, settings, facts())).toEqual(ruling);
});

test('an answer that cannot carry a cookie rotates none, and R = 0 none at all', () => {
  expect(judge(row(), current, settings, facts({ mayRotate: false }))).toEqual({
    cookie: 'current',
    due: null,
  });
  expect(isRotationDue(row(), { ...settings, rotateSeconds: 0 }, facts())).toBe(false);
});

test('the moment of a rotation lies between R and 2R after the first use', () => {
  for (const [share, earliest] of [
    [0, 300],
    [0.25, 375],
    [0.999, 599.7],
  ] as const) {
    const due = (seconds: number) =>
      isRotationDue(row({ acknowledgedAt: ago(seconds) }), settings, facts({ rotationShare: () => share }));
    expect([due(earliest - 0.5), due(earliest + 0.5)], String(share)).toEqual([false, true]);
  }
});

test('a session of a suspended or deleted user is over, also where its row says nothing', () => {
  const user = { sessionEpoch: 1, suspendedAt: null, suspendedUntil: null, deletedAt: null };
  const session = (change: object, its: object = {}) =>
    ({
      epoch: 1,
      revokedAt: null,
      absoluteExpiresAt: ago(-60),
      createdAt: ago(60),
      lastSeenAt: ago(60),
      idleSeconds: 61,
      user: { ...user, ...its },
      ...change,
    }) as unknown as LoadedSession;
  const why = (found: LoadedSession) => endedBecause(found, NOW, 'last_activity');
  expect(why(session({}))).toBeNull();
  expect(why(session({}, { suspendedAt: ago(1) }))).toBe('session_revoked');
  expect(why(session({}, { suspendedAt: ago(9), suspendedUntil: ago(1) }))).toBeNull();
  expect(why(session({}, { deletedAt: ago(1) }))).toBe('session_revoked');
  expect(why(session({}, { sessionEpoch: 2 }))).toBe('session_revoked');
  expect(why(session({ revokedAt: ago(1) }))).toBe('session_revoked');
  expect(why(session({ idleSeconds: 60 }))).toBe('unauthenticated');
  expect(why(session({ absoluteExpiresAt: NOW }))).toBe('unauthenticated');
});
