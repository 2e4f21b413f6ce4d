// What comes down: on disk before it is answered, from the newest owner only.
import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Entry } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { openMetaStore } from '../meta/meta-store.js';
import { createFaultyBackend, type FaultyBackend } from '../meta/testing/faulty-backend.js';
import { createMemoryBackend } from '../meta/testing/memory-backend.js';
import type { MetaStore } from '../meta/types.js';
import { createDesiredSink, type DesiredSink, distrustStore } from './desired-sink.js';
import { createGeneration } from './generation.js';

const entry: Entry = { version: '1/u/a', payload: Buffer.from('{}'), absent: false, references: [] };
const POD = 'pod/ns/web/u1';

let backend: FaultyBackend;
let meta: MetaStore;
let sink: DesiredSink;
const onSynced = jest.fn();
const onStoreFailed = jest.fn();

async function open(): Promise<void> {
  meta = await openMetaStore({ backend, logger: nullLogger(), clock: fakeClock() });
  sink = createDesiredSink({
    controller: 'kube',
    kinds: ['pod', 'configmap', 'secret'],
    meta,
    onSynced,
    onStoreFailed,
  });
}

beforeEach(async () => {
  jest.clearAllMocks();
  backend = createFaultyBackend(createMemoryBackend());
  await open();
});

describe('desired sink', () => {
  test('applies, tells its versions, deletes', async () => {
    expect(await sink.put(POD, entry, 1n)).toMatchObject({ outcome: Done_Outcome.OUTCOME_APPLIED });
    await meta.commit([{ kind: 'put', space: 'desired', key: 'device/ns/d', entry }]);
    expect([...sink.versions()]).toEqual([[POD, '1/u/a']]);
    expect(await sink.delete(POD, '', 1n)).toMatchObject({ outcome: Done_Outcome.OUTCOME_APPLIED });
    expect([...sink.versions()]).toEqual([]);
    expect(sink.applied()).toBe(2n);
  });

  test('refuses an older owner, also after a restart', async () => {
    await sink.put(POD, entry, 7n);
    await meta.close();
    await open();
    expect(await sink.put(POD, entry, 6n)).toMatchObject({
      outcome: Done_Outcome.OUTCOME_REJECTED,
      code: 'StaleEpoch',
    });
    expect(await sink.delete(POD, '', 6n)).toMatchObject({ code: 'StaleEpoch' });
    await sink.synced(6n);
    expect(sink.unsynced()).toBe(true);
    expect(await sink.put(POD, entry, 8n)).toMatchObject({ outcome: Done_Outcome.OUTCOME_APPLIED });
  });

  test.each([
    ['device/ns/d', 'UnknownKind'],
    ['pod/ns', 'InvalidKey'],
  ])('refuses %s', async (key, code) => {
    expect(await sink.put(key, entry, 1n)).toMatchObject({ outcome: Done_Outcome.OUTCOME_REJECTED, code });
  });

  test('is synced once the full set was here, over a restart, until a part of the store is lost', async () => {
    expect(sink.unsynced()).toBe(true);
    await sink.synced(1n);
    await sink.synced(1n);
    expect(onSynced).toHaveBeenCalledTimes(1);
    await meta.close();
    await open();
    expect(sink.unsynced()).toBe(false);
    await distrustStore(meta, ['kube', 'device']);
    expect(sink.unsynced()).toBe(true);
  });

  test('a disk that fails is answered as rejected, and asks for a new connection', async () => {
    backend.failNext('before');
    expect(await sink.put(POD, entry, 1n)).toMatchObject({
      outcome: Done_Outcome.OUTCOME_REJECTED,
      code: 'StoreFailed',
    });
    expect(onStoreFailed).toHaveBeenCalledTimes(1);
    expect([...sink.versions()]).toEqual([]);
  });
});

describe('generation', () => {
  test('rises, over restarts and above what a hub has seen, with few writes', async () => {
    const first = createGeneration(meta);
    for (let n = 1n; n <= 64n; n++) expect(await first.next()).toBe(n);
    expect(meta.stats().commits).toBe(1);
    expect(await first.next()).toBe(65n);
    const second = createGeneration(meta);
    expect(await second.next()).toBe(129n);
    second.seen(1_000n);
    second.seen(5n);
    expect(await second.next()).toBe(1_001n);
    expect(await createGeneration(meta).next()).toBeGreaterThan(1_001n);
  });

  test('is not used when it could not be kept', async () => {
    const generation = createGeneration(meta);
    backend.failNext('before');
    await expect(generation.next()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await generation.next()).toBe(1n);
    expect(meta.record('generation')).toBe('64');
  });
});
