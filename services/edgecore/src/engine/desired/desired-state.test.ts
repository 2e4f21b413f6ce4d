import { describe, expect, test } from '@jest/globals';
import { configMapKey, podKey } from '@skerry/common/keys';
import type { WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import { podOf } from '../testing/pods.js';
import { createDesiredState } from './desired-state.js';

const CM = configMapKey('default', 'cm');
const keyOf = (uid: string): string => podKey('default', 'web', uid);

function put(key: string, value: unknown, references: string[] = [], version = '1'): WatchResponse {
  const payload = Buffer.from(JSON.stringify(value));
  return { event: { $case: 'put', value: { key, version, payload, absent: false, references } } };
}
const putPod = (uid: string, references: string[] = []): WatchResponse => put(keyOf(uid), podOf(uid), references);
const absent = (key: string): WatchResponse => ({
  event: { $case: 'put', value: { key, version: 'absent', payload: Buffer.alloc(0), absent: true, references: [] } },
});
const deleted = (key: string): WatchResponse => ({ event: { $case: 'deleted', value: { key } } });
const listed = (synced: boolean): WatchResponse => ({ event: { $case: 'listed', value: { synced } } });

function open() {
  const rejected: string[] = [];
  const state = createDesiredState((key, reason) => rejected.push(`${key}: ${reason}`));
  state.begin();
  return { state, rejected };
}

describe('desired state', () => {
  test('a Pod is ready when each reference is there or known absent', () => {
    const { state } = open();
    expect(state.apply(putPod('u1', [CM]))).toEqual(['u1']);
    expect(state.pod('u1')?.referencesReady).toBe(false);
    expect(state.apply(absent(CM))).toEqual(['u1']);
    expect(state.pod('u1')).toMatchObject({ referencesReady: true, references: new Map([[CM, null]]) });
  });

  test('a changed reference changes the stamp', () => {
    const { state } = open();
    state.apply(putPod('u1', [CM]));
    state.apply(put(CM, { data: {} }, [], '1'));
    const before = state.pod('u1')?.referencesStamp;
    state.apply(put(CM, { data: { a: 'b' } }, [], '2'));
    expect(state.pod('u1')?.referencesStamp).not.toBe(before);
  });

  test('a Pod that has ended says so', () => {
    const { state } = open();
    state.apply(put(keyOf('u1'), { ...podOf('u1'), status: { phase: 'Failed' } }));
    expect(state.pod('u1')?.pod.status).toEqual({ phase: 'Failed' });
  });

  test('a deletion takes the Pod away at once', () => {
    const { state } = open();
    state.apply(putPod('u1'));
    expect(state.apply(deleted(keyOf('u1')))).toEqual(['u1']);
    expect(state.pod('u1')).toBeUndefined();
    expect(state.apply(deleted(keyOf('u1')))).toEqual([]);
  });

  test('a new stream that is whole takes away what it does not name', () => {
    const { state } = open();
    state.apply(putPod('u1'));
    state.apply(putPod('u2'));
    state.apply(listed(true));
    state.begin();
    state.apply(putPod('u2'));
    expect(state.uids()).toEqual(['u1', 'u2']);
    expect(state.apply(listed(true))).toEqual(['u1']);
    expect(state.uids()).toEqual(['u2']);
  });

  test('one that is not whole takes nothing away, until it is', () => {
    const { state } = open();
    state.apply(putPod('u1'));
    state.apply(listed(true));
    state.begin();
    expect(state.apply(listed(false))).toEqual([]);
    expect(state.synced()).toBe(false);
    expect(state.uids()).toEqual(['u1']);
    state.apply(putPod('u2'));
    expect(state.apply(listed(true))).toEqual(['u1']);
    expect(state.uids()).toEqual(['u2']);
  });

  test('what cannot be read is reported, and what was there before stays', () => {
    const { state, rejected } = open();
    state.apply(putPod('u1'));
    expect(state.apply(put(keyOf('u1'), podOf('u2')))).toEqual([]);
    expect(
      state.apply({
        event: {
          $case: 'put',
          value: { key: CM, version: '1', payload: Buffer.from('{'), absent: false, references: [] },
        },
      }),
    ).toEqual([]);
    expect(state.apply(put(keyOf('..'), podOf('..')))).toEqual([]);
    expect(state.apply(put('nonsense', {}))).toEqual([]);
    expect(rejected.map((text) => text.split(':')[0])).toEqual([keyOf('u1'), CM, keyOf('..')]);
    expect(state.uids()).toEqual(['u1']);
  });
});
