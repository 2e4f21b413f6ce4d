import { describe, expect, test } from '@jest/globals';
import { Delete, Done_Outcome, Put } from '@skerry/gen/skerry/link/v1/link';
import { createStateReceiver, type ReceiverEffect } from './state-receiver.js';

const APPLIED = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };

/** What was sent, by case: digest, done ... */
const sent = (effects: readonly ReceiverEffect[]): string[] =>
  effects.flatMap((effect) => (effect.kind === 'send' ? [effect.body.$case] : []));

const receiver = () => createStateReceiver({ versions: () => [], unsynced: () => false, room: () => true });
const put = { kind: 'put', put: Put.create({ key: 'configmap/a/b', version: 'v1' }), cost: 100 } as const;
const applied = { kind: 'applied', key: 'configmap/a/b', settlement: APPLIED } as const;

describe('state receiver', () => {
  test('answers what it applied in the session that asked', () => {
    const state = receiver();
    expect(sent(state.step({ kind: 'attach' }))).toEqual(['digest']);
    expect(state.step(put)).toMatchObject([{ kind: 'apply' }]);
    expect(sent(state.step(applied))).toEqual(['done']);
  });

  test('what an ended session left behind changes what the next one was told: it is told again', () => {
    const state = receiver();
    state.step({ kind: 'attach' });
    state.step(put);
    state.step({ kind: 'detach' });
    state.step({ kind: 'attach' });
    expect(sent(state.step(applied))).toEqual(['digest']);
  });

  test('with nobody attached there is nobody to tell', () => {
    const state = receiver();
    state.step({ kind: 'attach' });
    state.step({ kind: 'delete', delete: Delete.create({ key: 'configmap/a/b', version: 'v1' }), cost: 100 });
    state.step({ kind: 'detach' });
    expect(state.step(applied)).toEqual([]);
  });
});
