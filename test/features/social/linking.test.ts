import { expect, test } from 'vitest';
import { decideSignIn, type LinkingAction, type Situation } from '../../../src/features/social/linking.js';

const ALL: Situation[] = (['known', 'unknown'] as const).flatMap((identity) =>
  (['none', 'claimed', 'proven'] as const).flatMap((address) =>
    (['none', 'unproven', 'proven', 'deleted'] as const).flatMap((account) =>
      [false, true].flatMap((isSameAddress) =>
        [false, true].flatMap((mayLink) =>
          [false, true].map((isDemanded) => ({
            identity,
            address,
            account,
            isSameAddress,
            mayLink,
            isDemanded,
          })),
        ),
      ),
    ),
  ),
);

test('every situation has one action, and only two of them enter an account by its address, both proved (OA-5, OA-6)', () => {
  const byAction = new Map<LinkingAction, Situation[]>();
  for (const situation of ALL) {
    const action = decideSignIn(situation);
    byAction.set(action, [...(byAction.get(action) ?? []), situation]);
  }
  for (const { identity } of [...(byAction.get('enter') ?? []), ...(byAction.get('prove_and_enter') ?? [])])
    expect(identity).toBe('known');
  for (const situation of byAction.get('link_and_enter') ?? []) {
    expect(situation).toMatchObject({ identity: 'unknown', address: 'proven', account: 'proven' });
    expect(situation.mayLink || situation.isDemanded).toBe(true);
  }
  for (const situation of byAction.get('claim_and_enter') ?? [])
    expect(situation).toMatchObject({
      identity: 'unknown',
      address: 'proven',
      account: 'unproven',
      isDemanded: true,
    });
  for (const situation of byAction.get('create') ?? [])
    expect(situation).toMatchObject({ identity: 'unknown', account: 'none' });
  for (const situation of byAction.get('prove_and_enter') ?? [])
    expect(situation).toMatchObject({ address: 'proven', account: 'unproven', isSameAddress: true });
  expect([...byAction.keys()].sort()).toEqual([
    'ask_address',
    'claim_and_enter',
    'confirm_address',
    'create',
    'enter',
    'link_and_enter',
    'prove_and_enter',
    'sign_in_then_link',
  ]);
});

test('an address that nobody proved never learns whether it has an account', () => {
  for (const situation of ALL.filter(
    ({ identity, address }) => identity === 'unknown' && address === 'claimed',
  ))
    expect(decideSignIn(situation)).toBe(situation.account === 'none' ? 'create' : 'confirm_address');
});
