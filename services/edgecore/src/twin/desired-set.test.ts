import { describe, expect, test } from '@jest/globals';
import type { WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import { createDesiredSet, type DesiredSet } from './desired-set.js';
import { deviceOf, pumpModel } from './testing/samples.js';

type Event = NonNullable<WatchResponse['event']>;

const put = (key: string, content: unknown): Event => ({
  $case: 'put',
  value: {
    key,
    version: '1',
    payload: Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)),
    absent: false,
    references: [],
  },
});
const absent = (key: string): Event => ({
  $case: 'put',
  value: { key, version: 'absent', payload: Buffer.alloc(0), absent: true, references: [] },
});
const deleted = (key: string): Event => ({ $case: 'deleted', value: { key } });
const listed = (synced: boolean): Event => ({ $case: 'listed', value: { synced } });

const DEVICE = 'device/plant/pump-1';
const MODEL = 'devicemodel/plant/pump';
const ID = 'plant/pump-1';

function hear(set: DesiredSet, ...events: Event[]): DesiredSet {
  for (const event of events) set.accept(event);
  return set;
}

describe('a Device', () => {
  const device = deviceOf('pump-1', []);
  test.each<[string, Event[], string]>([
    ['waits for its model', [put(DEVICE, device)], 'waiting'],
    ['is there with its model', [put(DEVICE, device), put(MODEL, pumpModel)], 'present'],
    ['is there when its model is known not to exist', [put(DEVICE, device), absent(MODEL)], 'present'],
    ['waits again when its model is deleted', [put(MODEL, pumpModel), put(DEVICE, device), deleted(MODEL)], 'waiting'],
    ['is unknown before a complete list', [], 'unknown'],
    ['is unknown after a list of a store that is not synced', [listed(false)], 'unknown'],
    ['is gone after a synced list without it', [listed(true)], 'gone'],
    ['is gone when it was deleted, whatever the list', [put(DEVICE, device), deleted(DEVICE)], 'gone'],
    ['is gone when it is known not to exist', [absent(DEVICE)], 'gone'],
    ['comes back', [deleted(DEVICE), put(MODEL, pumpModel), put(DEVICE, device)], 'present'],
    [
      'of an unreadable entry stays as it was',
      [put(MODEL, pumpModel), put(DEVICE, device), put(DEVICE, '{"half')],
      'present',
    ],
  ])('%s', (_what, events, kind) => expect(hear(createDesiredSet(), ...events).wanted(ID).kind).toBe(kind));

  test('after a reconnect nothing is gone before the new list is complete', () => {
    const set = hear(createDesiredSet(), put(MODEL, pumpModel), put(DEVICE, device), listed(true));
    set.restart();
    expect(set.wanted(ID).kind).toBe('present');
    expect(set.wanted('plant/other').kind).toBe('unknown');
    hear(set, listed(false));
    expect(set.wanted(ID).kind).toBe('present');
    hear(set, listed(true));
    expect(set.wanted(ID).kind).toBe('gone');
  });

  test('a model affects the devices that use it', () => {
    const set = hear(createDesiredSet(), put(DEVICE, device), put('device/plant/free', { metadata: {} }));
    expect(set.accept(put(MODEL, pumpModel))).toEqual({ kind: 'devices', ids: [ID] });
    expect(set.wanted('plant/free')).toMatchObject({
      kind: 'present',
      device: { metadata: { namespace: 'plant', name: 'free' } },
    });
  });

  test('what cannot be read is named', () => {
    expect(createDesiredSet().accept(put(DEVICE, 'null'))).toMatchObject({ kind: 'unreadable', key: DEVICE });
  });
});
