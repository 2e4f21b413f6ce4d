// The contract on a real file, and the file after crashes, damage and mistakes.
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { nullLogger } from '@skerry/common/logger';
import { encodeLine } from '../store/line-file.js';
import { openMetaStore } from './meta-store.js';
import { createNedbBackend } from './nedb-backend.js';
import { entryOf, metaStoreContract, put } from './testing/contract.js';
import { createFaultyBackend } from './testing/faulty-backend.js';
import type { DocumentBackend } from './types.js';

function backendIn(dir: string, compactAtBytes?: number): DocumentBackend {
  return createNedbBackend({
    file: join(dir, 'meta', 'meta.db'),
    keyFile: join(dir, 'pki', 'store.key'),
    lockFile: join(dir, 'run', 'meta.lock'),
    clock: systemClock(),
    logger: nullLogger(),
    ...(compactAtBytes === undefined ? {} : { compactAtBytes }),
  });
}

const openIn = (dir: string, backend = backendIn(dir)) =>
  openMetaStore({ backend, logger: nullLogger(), clock: systemClock() });

metaStoreContract('nedb', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sk-'));
  return { backend: () => backendIn(dir), dispose: () => rm(dir, { recursive: true, force: true }) };
});

describe('the file of a meta store', () => {
  let dir: string;
  let file: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sk-'));
    file = join(dir, 'meta', 'meta.db');
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const quarantined = async (): Promise<string[]> =>
    (await readdir(join(dir, 'meta'))).filter((name) => name.includes('.quarantined-'));

  /** Three acknowledged entries in a closed store. */
  async function filled(): Promise<void> {
    const store = await openIn(dir);
    for (const n of ['a', 'b', 'c']) await store.commit([put(`pod/ns/${n}/u`, `text ${n}`)]);
    await store.close();
  }

  test('is new, then kept; a torn end costs only the torn write', async () => {
    const store = await openIn(dir);
    expect(store.origin).toBe('new');
    await store.close();
    await filled();
    await appendFile(file, encodeLine('{"_id":"desired:pod/ns/d/u","v":"1"}').slice(0, 30));
    const torn = await openIn(dir);
    expect(torn.origin).toBe('torn');
    expect(torn.stats()).toMatchObject({ entries: 3, quarantined: 1 });
    await torn.close();
    const again = await openIn(dir);
    expect(again.origin).toBe('kept');
    expect(again.stats()).toMatchObject({ entries: 3, quarantined: 0 });
    await again.close();
    expect(await quarantined()).toHaveLength(1);
  });

  test('damaged in its middle, is set aside, at most three times, and never stops the start', async () => {
    for (let round = 0; round < 5; round++) {
      await filled();
      const content = await readFile(file);
      content[20] = (content[20] ?? 0) ^ 0xff;
      await writeFile(file, content);
      const store = await openIn(dir);
      expect(store.origin).toBe('quarantined');
      expect(store.stats()).toMatchObject({ entries: 0, quarantined: 1 });
      await store.commit([put('pod/ns/x/u', 'x')]);
      await store.close();
    }
    expect(await quarantined()).toHaveLength(3);
  });

  test('whatever bytes it holds, the store opens', async () => {
    for (const content of [Buffer.from('not a store\n'), Buffer.alloc(5_000), Buffer.from([0x80, 0x0a, 0xff])]) {
      await filled();
      await writeFile(file, content);
      const store = await openIn(dir);
      expect(store.origin).toBe('quarantined');
      await store.close();
    }
  });

  test('cut to nothing, is new again', async () => {
    await filled();
    await truncate(file, 0);
    const store = await openIn(dir);
    expect(store.origin).toBe('new');
    await store.close();
  });

  test('of a newer software is refused by name and left alone', async () => {
    await filled();
    await appendFile(file, `${encodeLine('{"_id":"schema","version":99}')}\n`);
    const before = await readFile(file);
    await expect(openIn(dir)).rejects.toThrow('newer software (schema 99');
    expect((await readFile(file)).equals(before)).toBe(true);
    // The lock was given back.
    await expect(openIn(dir)).rejects.toThrow('newer software');
  });

  test('holds Secrets only sealed, and is private', async () => {
    const store = await openIn(dir);
    const entry = entryOf('{"data":{"password":"aHVudGVyMg=="}}');
    await store.commit([{ kind: 'put', space: 'desired', key: 'secret/ns/s', entry }]);
    await store.close();
    expect((await readFile(file)).includes('aHVudGVyMg')).toBe(false);
    for (const path of [file, join(dir, 'pki', 'store.key')]) expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['lost', (key: string) => rm(key)],
    ['damaged', (key: string) => writeFile(key, 'short')],
    ['replaced', (key: string) => writeFile(key, Buffer.alloc(32, 7))],
  ])('is set aside when the key of its Secrets is %s', async (_how, damage) => {
    const store = await openIn(dir);
    await store.commit([{ kind: 'put', space: 'desired', key: 'secret/ns/s', entry: entryOf('x') }]);
    await store.close();
    await damage(join(dir, 'pki', 'store.key'));
    const again = await openIn(dir);
    expect(again.origin).toBe('quarantined');
    expect(again.stats().entries).toBe(0);
    await again.close();
  });

  test('stays bounded under rewrites of one key, and synced after its inode changed', async () => {
    const store = await openIn(dir, backendIn(dir, 10_000));
    for (let i = 0; i < 400; i++) await store.commit([put('pod/ns/a/u', `${i}`.padEnd(200, '.'))]);
    expect((await stat(file)).size).toBeLessThan(12_000);
    await store.close();
    const again = await openIn(dir);
    expect(Buffer.from(again.get('desired', 'pod/ns/a/u')?.payload ?? []).toString()).toMatch(/^399\./);
    await again.close();
  });

  test('after a failed write is repaired by the next one', async () => {
    const backend = createFaultyBackend(backendIn(dir));
    const store = await openIn(dir, backend);
    await store.commit([put('pod/ns/a/u', 'a')]);
    backend.failNext('half');
    await expect(store.commit([put('pod/ns/a/u', 'b'), put('pod/ns/b/u', 'b')])).rejects.toThrow();
    await store.commit([put('pod/ns/c/u', 'c')]);
    await store.close();
    const again = await openIn(dir);
    expect(again.get('desired', 'pod/ns/c/u')).toBeDefined();
    await again.close();
  });

  test('a disk that refuses is survived: what was acknowledged is there, and later commits work', async () => {
    const store = await openIn(dir);
    await store.commit([put('pod/ns/a/u', 'a')]);
    // Appending to a path that has become a folder fails for root too.
    await rm(file);
    await mkdir(file);
    for (const text of ['b', 'c']) {
      await expect(store.commit([put('pod/ns/a/u', text)])).rejects.toMatchObject({ code: 'unavailable' });
    }
    expect(store.stats().failedCommits).toBe(2);
    await rm(file, { recursive: true });
    await store.commit([put('pod/ns/b/u', 'b')]);
    await store.close();
    const again = await openIn(dir);
    expect(again.origin).toBe('kept');
    expect([...again.entries('desired')].map(([key]) => key).sort()).toEqual(['pod/ns/a/u', 'pod/ns/b/u']);
    await again.close();
  });
});
