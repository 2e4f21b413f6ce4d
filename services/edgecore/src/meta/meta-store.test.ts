// The contract in memory, and what a failing disk may do to a meta store.
import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { openMetaStore } from './meta-store.js';
import { metaStoreContract, put } from './testing/contract.js';
import { createFaultyBackend, type Fault } from './testing/faulty-backend.js';
import { createMemoryBackend } from './testing/memory-backend.js';

metaStoreContract('memory', async () => {
  const backend = createMemoryBackend();
  return { backend: () => backend, dispose: async () => {} };
});

metaStoreContract('memory behind a faultless wrapper', async () => {
  const backend = createFaultyBackend(createMemoryBackend());
  return { backend: () => backend, dispose: async () => {} };
});

describe('meta store on a disk that fails', () => {
  test.each<Fault>(['before', 'half', 'after'])(
    'a write that fails %s is reported and hidden, the next one works',
    async (fault) => {
      const backend = createFaultyBackend(createMemoryBackend());
      const openIt = () => openMetaStore({ backend, logger: nullLogger(), clock: fakeClock() });
      const store = await openIt();
      await store.commit([put('pod/a/b/u', 'old'), put('pod/a/c/u', 'old')]);
      backend.failNext(fault);
      await expect(store.commit([put('pod/a/b/u', 'new'), put('pod/a/c/u', 'new')])).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect(Buffer.from(store.get('desired', 'pod/a/b/u')?.payload ?? []).toString()).toBe('old');
      expect(store.stats().failedCommits).toBe(1);
      await store.commit([put('pod/a/d/u', 'next')]);
      await store.close();

      const again = await openIt();
      const texts = ['b', 'c', 'd'].map((n) =>
        Buffer.from(again.get('desired', `pod/a/${n}/u`)?.payload ?? []).toString(),
      );
      expect(texts[2]).toBe('next');
      for (const text of texts.slice(0, 2)) expect(['old', 'new']).toContain(text);
      await again.close();
    },
  );
});
