// What every meta store must do, whatever keeps its documents.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Entry } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { openMetaStore } from '../meta-store.js';
import type { Change, DocumentBackend, MetaStore } from '../types.js';

export const entryOf = (text: string, over: Partial<Entry> = {}): Entry => ({
  version: `1/u/${text.length}`,
  payload: Buffer.from(text),
  absent: false,
  references: [],
  ...over,
});

export const put = (key: string, text: string): Change => ({
  kind: 'put',
  space: 'desired',
  key,
  entry: entryOf(text),
});

/** `place` gives a fresh place and a way to make backends for it: the second one is the same store opened again. */
export function metaStoreContract(
  name: string,
  place: () => Promise<{ backend: () => DocumentBackend; dispose: () => Promise<void> }>,
): void {
  describe(`meta store on ${name}`, () => {
    let here: Awaited<ReturnType<typeof place>>;
    let store: MetaStore;
    const openAgain = () => openMetaStore({ backend: here.backend(), logger: nullLogger(), clock: fakeClock() });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await openAgain();
    };
    const text = (key: string): string | undefined => {
      const entry = store.get('desired', key);
      return entry && Buffer.from(entry.payload).toString();
    };

    beforeEach(async () => {
      here = await place();
      store = await openAgain();
    });
    afterEach(async () => {
      await store.close();
      await here.dispose();
    });

    test('keeps entries, deletes and records over an opening', async () => {
      await store.commit([put('pod/a/b/u', 'one'), put('pod/a/c/u', 'two'), { kind: 'record', name: 'g', value: '7' }]);
      await store.commit([{ kind: 'delete', space: 'desired', key: 'pod/a/c/u' }]);
      await store.commit([{ kind: 'record', name: 'gone', value: 'x' }]);
      await store.commit([{ kind: 'record', name: 'gone', value: undefined }]);
      for (let opening = 0; opening < 2; opening++) {
        expect(text('pod/a/b/u')).toBe('one');
        expect([...store.entries('desired')].map(([key]) => key)).toEqual(['pod/a/b/u']);
        expect(store.record('g')).toBe('7');
        expect(store.record('gone')).toBeUndefined();
        await reopen();
      }
    });

    test.each([
      ['text with every line separator', Buffer.from('{"a":"\u2028\u2029\u0085\\n\\r x"}')],
      ['bytes that are no text', Buffer.from([0xff, 0xfe, 0, 10, 13])],
      ['nothing', Buffer.alloc(0)],
      ['a megabyte', Buffer.alloc(1_048_576, 'x')],
    ])('keeps %s, also as a secret', async (_what, payload) => {
      const entry = entryOf('', { payload, version: '1/u/v', references: ['configmap/a/b'] });
      const secret = entryOf('', { payload, version: '1/s/v' });
      await store.commit([
        { kind: 'put', space: 'desired', key: 'pod/a/b/u', entry },
        { kind: 'put', space: 'desired', key: 'secret/a/b', entry: secret },
      ]);
      await reopen();
      const [kept, keptSecret] = [store.get('desired', 'pod/a/b/u'), store.get('desired', 'secret/a/b')];
      expect(Buffer.from(kept?.payload ?? []).equals(payload)).toBe(true);
      expect(Buffer.from(keptSecret?.payload ?? []).equals(payload)).toBe(true);
      expect(kept).toMatchObject({ version: '1/u/v', references: ['configmap/a/b'], absent: false });
    });

    test('keeps that something is absent, and the two spaces apart', async () => {
      const absent = entryOf('', { version: 'absent', absent: true });
      await store.commit([
        { kind: 'put', space: 'desired', key: 'secret/a/b', entry: absent },
        { kind: 'put', space: 'outbox', key: 'podstatus/a/b/u', entry: entryOf('done') },
      ]);
      await reopen();
      expect(store.get('desired', 'secret/a/b')).toMatchObject({ absent: true, version: 'absent' });
      expect(store.get('desired', 'podstatus/a/b/u')).toBeUndefined();
      expect([...store.entries('outbox')]).toHaveLength(1);
    });

    test('many commits at once share groups, take effect in order, and are told in order', async () => {
      const told: string[] = [];
      store.subscribe((_space, key, entry) => told.push(`${key}=${Buffer.from(entry?.payload ?? []).toString()}`));
      await Promise.all(Array.from({ length: 200 }, (_, i) => store.commit([put(`pod/a/p${i % 10}/u`, `v${i}`)])));
      expect(told).toEqual(Array.from({ length: 200 }, (_, i) => `pod/a/p${i % 10}/u=v${i}`));
      expect(store.stats()).toMatchObject({ commits: 200, entries: 10 });
      expect(store.stats().groups).toBeLessThan(20);
      await reopen();
      expect(text('pod/a/p3/u')).toBe('v193');
    });

    test('shows nothing before it is kept, and tells nobody after the end of a subscription', async () => {
      const told: string[] = [];
      const end = store.subscribe((_space, key) => told.push(key));
      const committed = store.commit([put('pod/a/b/u', 'x')]);
      expect(text('pod/a/b/u')).toBeUndefined();
      await committed;
      end();
      await store.commit([put('pod/a/c/u', 'x')]);
      expect(told).toEqual(['pod/a/b/u']);
    });

    test('one opener at a time', async () => {
      await expect(openAgain()).rejects.toMatchObject({ code: 'failed_precondition' });
      await reopen();
    });

    test('closing writes what waits; afterwards commits are refused', async () => {
      const committed = store.commit([put('pod/a/b/u', 'late')]);
      await reopen();
      await committed;
      expect(text('pod/a/b/u')).toBe('late');
      const old = store;
      await reopen();
      await expect(old.commit([put('pod/a/b/u', 'x')])).rejects.toMatchObject({ code: 'unavailable' });
    });

    test('more than may wait for the disk is refused, the rest is written', async () => {
      const full = store.commit(Array.from({ length: 16_384 }, (_, i) => put(`pod/a/p${i % 7}/u`, 'x')));
      await expect(store.commit([put('pod/a/b/u', 'x')])).rejects.toMatchObject({ code: 'resource_exhausted' });
      await full;
      expect(store.stats().failedCommits).toBe(1);
    });
  });
}
