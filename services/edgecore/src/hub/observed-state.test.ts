// What goes up: newest values, completeness, and entries that must not be lost.
import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Entry, Settlement } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { openMetaStore } from '../meta/meta-store.js';
import { createMemoryBackend } from '../meta/testing/memory-backend.js';
import type { DocumentBackend, MetaStore } from '../meta/types.js';
import { createObservedState, type ObservedState } from './observed-state.js';

const entry = (version: string): Entry => ({ version, payload: Buffer.from(version), absent: false, references: [] });
const applied: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };
const POD = 'podstatus/ns/web/u1';
const OTHER = 'podstatus/ns/db/u2';

let backend: DocumentBackend;
let meta: MetaStore;
let state: ObservedState;
let told: string[];
const compare = jest.fn();

async function open(): Promise<void> {
  meta = await openMetaStore({ backend, logger: nullLogger(), clock: fakeClock() });
  const onError = (error: unknown): void => {
    throw error;
  };
  state = createObservedState({ meta, kinds: ['node', 'podstatus'], required: ['edgecore', 'engine'], onError });
  told = [];
  compare.mockClear();
  state.follow({ dirty: (key) => told.push(key), compare });
}

beforeEach(async () => {
  backend = createMemoryBackend();
  await open();
});

const versions = (): Record<string, string> => Object.fromEntries(state.versions());
const onDisk = (): string[] => [...meta.entries('outbox')].map(([key]) => key);

describe('observed state', () => {
  test('is complete when every required reporter was, and stays so', () => {
    const engine = state.open('engine', () => {});
    engine.put(POD, entry('1'));
    engine.complete();
    expect(state.complete()).toBe(false);
    state.open('edgecore', () => {}).complete();
    expect(state.complete()).toBe(true);
    expect(compare).toHaveBeenCalledTimes(1);
    engine.close();
    expect(state.complete()).toBe(true);
    expect(versions()).toEqual({ [POD]: '1' });
  });

  test('keeps the newest value, tells of each change, and forgets what a new stream does not say again', () => {
    const first = state.open('engine', () => {});
    first.put(POD, entry('1'));
    first.put(POD, entry('2'));
    first.put(OTHER, entry('1'));
    first.complete();
    const second = state.open('engine', () => {});
    second.put(POD, entry('2'));
    expect(versions()).toEqual({ [POD]: '2', [OTHER]: '1' });
    second.complete();
    expect(versions()).toEqual({ [POD]: '2' });
    expect(told).toEqual([POD, POD, OTHER, POD, OTHER]);
  });

  test('ignores a stream that another took the place of', () => {
    const first = state.open('engine', () => {});
    state.open('engine', () => {}).put(POD, entry('new'));
    first.put(POD, entry('old'));
    first.delete(POD);
    first.close();
    expect(versions()).toEqual({ [POD]: 'new' });
  });

  test('hands the cloud’s answer to the reporter, for the version that is there', () => {
    const settled = jest.fn();
    const engine = state.open('engine', settled);
    engine.put(POD, entry('1'));
    engine.put(POD, entry('2'));
    expect(state.pending()).toBe(1);
    state.settled(POD, '1', applied);
    expect(settled).not.toHaveBeenCalled();
    state.settled(POD, '2', applied);
    expect(settled).toHaveBeenCalledWith(POD, '2', applied);
    expect(state.pending()).toBe(0);
    engine.put(POD, entry('2'));
    expect(state.pending()).toBe(0);
  });

  test('a durable entry survives edgecore, the reporter’s silence, and ends with the cloud’s answer', async () => {
    const engine = state.open('engine', () => {});
    await engine.putDurable(POD, entry('done'));
    await meta.close();
    await open();
    expect(versions()).toEqual({ [POD]: 'done' });
    expect(told).toEqual([POD]);
    state.open('engine', () => {}).complete();
    expect(versions()).toEqual({ [POD]: 'done' });
    state.settled(POD, 'done', applied);
    expect(versions()).toEqual({});
    await meta.close();
    await open();
    expect(onDisk()).toEqual([]);
  });

  test('a newer value takes the place of a durable one, on disk too, even while that is being written', async () => {
    const engine = state.open('engine', () => {});
    const kept = engine.putDurable(POD, entry('done'));
    engine.put(POD, entry('newer'));
    await kept;
    await meta.close();
    await open();
    expect(onDisk()).toEqual([]);
  });

  test('a delete is told, and takes a durable entry with it', async () => {
    const engine = state.open('engine', () => {});
    await engine.putDurable(POD, entry('done'));
    engine.delete(POD);
    expect(state.read(POD)).toBeUndefined();
    expect(await state.confirmAbsent(POD)).toBe(true);
    await meta.close();
    await open();
    expect(onDisk()).toEqual([]);
  });

  test('refuses keys of others, and more than it may hold', () => {
    const engine = state.open('engine', () => {});
    expect(() => engine.put('devicestatus/ns/d', entry('1'))).toThrow('is not reported here');
    for (let i = 0; i < 10_000; i++) engine.put(`podstatus/ns/p${i}/u`, entry('1'));
    expect(() => engine.put(POD, entry('1'))).toThrow('10000 keys');
    engine.put('podstatus/ns/p1/u', entry('2'));
  });
});
