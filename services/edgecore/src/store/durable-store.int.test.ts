// The durable store on a real disk: what was acknowledged is there again, whatever happened to the file or the process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { createDurableStore, type DurableStore } from './durable-store.js';

const openStore = (dir: string, compactAfterBytes?: number): DurableStore =>
  createDurableStore({
    file: join(dir, 'store.db'),
    logger: nullLogger(),
    nowMs: () => 1,
    ...(compactAfterBytes === undefined ? {} : { compactAfterBytes }),
  });

const put = (key: string, value: string) => [{ key, value }];

async function contents(dir: string): Promise<Record<string, string>> {
  const store = openStore(dir);
  const { entries } = await store.load();
  await store.close();
  return Object.fromEntries(entries);
}

describe('durable store', () => {
  test('keeps the newest value of each key, and forgets deleted ones', () =>
    withTempDir(async (dir) => {
      const store = openStore(dir);
      expect(await store.load()).toEqual({ entries: new Map(), created: true, corrupt: 0 });
      await store.commit(put('a', '1'));
      await Promise.all([
        store.commit(put('a', '2')),
        store.commit([...put('b', '1'), ...put('c', 'ü "\n\u2028')]),
        store.commit([{ key: 'b', value: undefined }]),
      ]);
      expect(store.stats()).toMatchObject({ keys: 2, commits: 4, groups: 2 });
      await store.close();
      expect(await contents(dir)).toEqual({ a: '2', c: 'ü "\n\u2028' });
    }));

  test('many commits in one turn share one group', () =>
    withTempDir(async (dir) => {
      const store = openStore(dir);
      await store.load();
      await Promise.all(Array.from({ length: 500 }, (_, n) => store.commit(put(`k${n % 100}`, `${n}`))));
      expect(store.stats()).toMatchObject({ keys: 100, groups: 1 });
      await store.close();
      expect((await contents(dir))['k7']).toBe('407');
    }));

  test('rewrites the file when it has grown, and goes on', () =>
    withTempDir(async (dir) => {
      const store = openStore(dir, 10_000);
      await store.load();
      for (let n = 0; n < 300; n++) await store.commit(put(`k${n % 3}`, 'x'.repeat(100) + n));
      expect(store.stats().compactions).toBeGreaterThan(2);
      expect((await stat(join(dir, 'store.db'))).size).toBeLessThan(25_000);
      await store.close();
      expect((await contents(dir))['k2']).toBe(`${'x'.repeat(100)}299`);
    }));

  test('a torn last line is cut, damaged lines are set aside and the rest is kept', () =>
    withTempDir(async (dir) => {
      const store = openStore(dir);
      await store.load();
      await store.commit([...put('a', '1'), ...put('b', '2'), ...put('c', '3')]);
      await store.close();
      const file = join(dir, 'store.db');
      await appendFile(file, '{"_id":"9","k":"d","v":');
      expect(await store.load()).toMatchObject({ corrupt: 0, created: false });
      await store.close();

      await writeFile(file, (await readFile(file, 'utf8')).replace('"v":"2"', '"v":"7"'));
      const report = await store.load();
      expect(report.corrupt).toBe(1);
      expect(Object.fromEntries(report.entries)).toEqual({ a: '1', c: '3' });
      expect((await readdir(dir)).filter((name) => name.includes('quarantined'))).toHaveLength(1);
      await store.commit(put('b', '4'));
      await store.close();
      expect(await contents(dir)).toEqual({ a: '1', b: '4', c: '3' });
    }));

  test('binary rubbish is set aside and the store starts empty', () =>
    withTempDir(async (dir) => {
      await writeFile(join(dir, 'store.db'), Buffer.from([0, 255, 10, 7, 7, 10]));
      const store = openStore(dir);
      const report = await store.load();
      expect(report.entries.size).toBe(0);
      expect(report.corrupt).toBeGreaterThan(0);
      await store.close();
    }));

  test('a refusing disk rejects the commit and every later one until it is loaded again', () =>
    withTempDir(async (dir) => {
      const folder = join(dir, 'sub');
      const store = openStore(folder);
      await store.load();
      await store.commit(put('a', '1'));
      // Appending to a path that has become a folder fails for root too.
      const saved = await readFile(join(folder, 'store.db'));
      await rm(join(folder, 'store.db'));
      await mkdir(join(folder, 'store.db'));
      await expect(store.commit(put('a', '2'))).rejects.toMatchObject({ code: 'unavailable' });
      await expect(store.commit(put('a', '3'))).rejects.toMatchObject({ code: 'unavailable' });
      await rm(join(folder, 'store.db'), { recursive: true });
      await writeFile(join(folder, 'store.db'), saved);
      expect((await store.load()).entries.get('a')).toBe('1');
      await store.commit(put('a', '4'));
      await store.close();
      expect(await contents(folder)).toEqual({ a: '4' });
    }));

  test('kill -9 in the middle of a stream of commits loses nothing acknowledged', () =>
    withTempDir(async (dir) => {
      for (let round = 0; round < 3; round++) {
        const acknowledged = await commitUntilKilled(dir, 40);
        const entries = await contents(dir);
        for (const [key, value] of acknowledged) expect(Number(entries[key])).toBeGreaterThanOrEqual(value);
      }
    }));
});

/** Commits for ever, saying each key and value once it is acknowledged. */
const WRITER = `
const [module, file] = process.argv.slice(1);
const { createDurableStore } = await import(module);
const drop = () => {};
const logger = { debug: drop, info: drop, warn: drop, error: drop, child: () => logger };
const store = createDurableStore({ file, logger, nowMs: Date.now, compactAfterBytes: 20_000 });
const { entries } = await store.load();
for (let n = Number(entries.get('n') ?? 0); ; n++) {
  const key = 'k' + (n % 50);
  const changes = [{ key, value: String(n) }, { key: 'n', value: String(n) }];
  void store.commit(changes).then(() => process.stdout.write(key + ' ' + n + '\\n'));
  if (n % 4 === 0) await store.commit([]);
}`;

/** Kills a writer with -9 once it has acknowledged `wanted` keys; returns all that it acknowledged. Runs the built store: a real process. */
async function commitUntilKilled(dir: string, wanted: number): Promise<Map<string, number>> {
  const built = new URL('../../dist/store/durable-store.js', import.meta.url).href;
  const args = ['--input-type=module', '-e', WRITER, built, join(dir, 'store.db')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const acknowledged = new Map<string, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [key = '', value] = line.split(' ');
    acknowledged.set(key, Number(value));
    if (acknowledged.size >= wanted) child.kill('SIGKILL');
  }
  await exited;
  expect(acknowledged.size).toBeGreaterThanOrEqual(wanted);
  return acknowledged;
}
