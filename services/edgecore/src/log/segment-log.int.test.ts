// The log on a real disk: order, bounds, gaps, damage, and a model that is restarted at any point.
import { appendFile, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import fc from 'fast-check';
import { createSegmentLog, type SegmentLog, type SegmentLogOptions } from './segment-log.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sk-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const openLog = (over: Partial<SegmentLogOptions> = {}): Promise<SegmentLog> =>
  createSegmentLog({
    dir: join(dir, 'log'),
    stream: 'test',
    maxBytes: 1_048_576,
    maxAgeMs: 3_600_000,
    clock: systemClock(),
    logger: nullLogger(),
    ...over,
  });
const bytes = (text: string): Buffer => Buffer.from(text);
const padded = (n: number): Buffer => bytes(`${n}`.padEnd(1_000, '.'));
const segments = async (): Promise<string[]> =>
  (await readdir(join(dir, 'log'))).filter((name) => name.endsWith('.seg')).sort();

async function readAll(log: SegmentLog, after = 0n): Promise<{ n: bigint; text: string; gapFrom: bigint }[]> {
  const all = [];
  for (let last = after; ; ) {
    const items = await log.read(last, 5_000);
    if (items.length === 0) return all;
    for (const { n, payload, gapFrom } of items) {
      all.push({ n, text: Buffer.from(payload).toString().replace(/\.+$/, ''), gapFrom });
      last = n;
    }
  }
}

describe('segment log', () => {
  test('numbers from 1, keeps epoch, entries and cursor over an opening', async () => {
    const log = await openLog();
    expect(await log.append([bytes('a'), bytes('b')])).toBe(2n);
    expect(await log.append([bytes('c')])).toBe(3n);
    log.doneThrough(2n);
    await log.close();
    const again = await openLog();
    expect(again.epoch).toBe(log.epoch);
    expect(again.cursor()).toBe(2n);
    expect(await readAll(again, again.cursor())).toEqual([{ n: 3n, text: 'c', gapFrom: 0n }]);
    expect(await again.append([bytes('d')])).toBe(4n);
    await again.close();
    await expect(again.append([bytes('e')])).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('appends at once share groups and keep their order; a read gives at least one entry and no more than asked', async () => {
    const log = await openLog();
    const numbers = await Promise.all(Array.from({ length: 500 }, (_, i) => log.append([bytes(`${i}`)])));
    expect(numbers).toEqual(Array.from({ length: 500 }, (_, i) => BigInt(i + 1)));
    expect(await log.read(0n, 1)).toHaveLength(1);
    expect(await log.read(10n, 6)).toHaveLength(3);
    expect(await log.read(500n, 100)).toEqual([]);
    expect((await readAll(log)).map(({ text }) => text)).toEqual(Array.from({ length: 500 }, (_, i) => `${i}`));
    await log.close();
  });

  test('drops the oldest segment over its size and says so: a counter and an explicit gap', async () => {
    const log = await openLog({ maxBytes: 32_768 });
    for (let i = 1; i <= 100; i++) await log.append([padded(i)]);
    const { first, last, bytes: size, dropped } = log.stats();
    expect(last).toBe(100n);
    expect(first).toBeGreaterThan(60n);
    expect(dropped).toBe(first - 1n);
    expect(size).toBeLessThanOrEqual(32_768);
    const all = await readAll(log);
    expect(all[0]).toMatchObject({ n: first, gapFrom: 1n });
    expect(all.slice(1).every(({ gapFrom }) => gapFrom === 0n)).toBe(true);
    expect(all.at(-1)?.text).toBe('100');
    await log.close();
  });

  test('what was done is not counted as dropped', async () => {
    const log = await openLog({ maxBytes: 32_768 });
    for (let i = 1; i <= 100; i++) log.doneThrough(await log.append([padded(i)]));
    expect(log.stats().dropped).toBe(0n);
    await log.close();
  });

  test('drops by age, by a time that never goes back', async () => {
    const clock = fakeClock();
    const log = await openLog({ clock, maxAgeMs: 1_000 });
    await log.append([bytes('old')]);
    await clock.advance(1_001);
    expect(await log.read(0n, 100)).toEqual([]);
    expect(await log.append([bytes('new')])).toBe(2n);
    expect(await log.read(0n, 100)).toMatchObject([{ n: 2n, gapFrom: 1n }]);
    await log.close();
    const earlier = await openLog({ clock: fakeClock(1_000), maxAgeMs: 1_000 });
    expect(await earlier.read(0n, 100)).toHaveLength(1);
    await earlier.close();
  });

  test('cuts off a torn end and uses its number again', async () => {
    const log = await openLog();
    await log.append([bytes('a'), bytes('b')]);
    await log.close();
    const file = join(dir, 'log', (await segments())[0] ?? '');
    await appendFile(file, (await readFile(file)).subarray(0, 20));
    const again = await openLog();
    expect(again.stats()).toMatchObject({ last: 2n, quarantined: 0 });
    expect(await again.append([bytes('c')])).toBe(3n);
    expect(await readAll(again)).toHaveLength(3);
    await again.close();
  });

  test('sets a damaged segment aside: what follows it is kept behind a gap, and no number is used twice', async () => {
    const log = await openLog({ maxBytes: 65_536 });
    for (let i = 1; i <= 30; i++) await log.append([padded(i)]);
    await log.close();
    const [, middle] = await segments();
    const handle = await open(join(dir, 'log', middle ?? ''), 'r+');
    await handle.write(Buffer.from([1, 2, 3]), 0, 3, 2_500);
    await handle.close();
    const again = await openLog({ maxBytes: 65_536 });
    expect(again.stats().quarantined).toBe(1);
    const all = await readAll(again);
    const gaps = all.filter(({ gapFrom }) => gapFrom !== 0n);
    expect(gaps).toHaveLength(1);
    expect(all.at(-1)).toMatchObject({ n: 30n, text: '30' });
    for (const { n, text } of all) expect(text).toBe(`${n}`);
    await again.close();
  });

  test('when its newest segment is damaged, later numbers jump over what may have been there', async () => {
    const log = await openLog();
    for (let i = 1; i <= 5; i++) await log.append([padded(i)]);
    await log.close();
    const file = join(dir, 'log', (await segments())[0] ?? '');
    const handle = await open(file, 'r+');
    await handle.write(Buffer.from([0xff]), 0, 1, 2_100);
    await handle.close();
    const again = await openLog();
    const n = await again.append([bytes('next')]);
    expect(n).toBeGreaterThan(5n);
    expect((await readAll(again)).at(-1)).toMatchObject({ n, gapFrom: 3n });
    await again.close();
  });

  test('that lost its end goes on after what the consumer has', async () => {
    const log = await openLog();
    await log.append([bytes('a'), bytes('b'), bytes('c')]);
    await log.close();
    await truncate(join(dir, 'log', (await segments())[0] ?? ''), 0);
    const again = await openLog();
    again.doneThrough(3n);
    expect(await again.append([bytes('d')])).toBe(4n);
    expect(await again.read(3n, 100)).toMatchObject([{ n: 4n, gapFrom: 0n }]);
    await again.close();
  });

  test('without its epoch starts anew under another one; of newer software it is refused', async () => {
    const log = await openLog();
    await log.append([bytes('a')]);
    await log.close();
    await rm(join(dir, 'log', 'epoch'));
    const again = await openLog();
    expect(again.epoch).not.toBe(log.epoch);
    expect(again.stats()).toMatchObject({ last: 0n, quarantined: 1 });
    await again.close();
    await writeFile(join(dir, 'log', 'epoch'), '{"format":9,"epoch":"x"}');
    await expect(openLog()).rejects.toThrow('newer software (format 9');
  });

  test('refuses what is too large for a segment', async () => {
    const log = await openLog({ maxBytes: 32_768 });
    await expect(log.append([Buffer.alloc(5_000)])).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await log.append([Buffer.alloc(4_000)])).toBe(1n);
    await log.close();
  });

  test('an append that fails is reported and leaves a gap at most', async () => {
    const log = await openLog();
    await log.append([bytes('a')]);
    await rm(join(dir, 'log'), { recursive: true });
    await log.close();
    const other = await openLog();
    await rm(join(dir, 'log'), { recursive: true });
    await expect(other.append([bytes('b')])).rejects.toMatchObject({ code: 'unavailable' });
    expect(other.stats().failedAppends).toBe(1);
    await other.close();
  });

  test('property: through appends, reads, dones and restarts every entry is read once, in order, or is inside a gap', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('append' as const),
        size: fc.nat({ max: 1_500 }),
        count: fc.integer({ min: 1, max: 4 }),
      }),
      fc.record({ kind: fc.constant('read' as const), size: fc.nat({ max: 6_000 }), count: fc.constant(0) }),
      fc.record({ kind: fc.constant('restart' as const), size: fc.constant(0), count: fc.constant(0) }),
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const options = { dir: join(dir, `p${run++}`), maxBytes: 16_384 };
        let log = await openLog(options);
        let appended = 0n;
        let read = 0n;
        const readSome = async (size: number): Promise<void> => {
          for (const { n, payload, gapFrom } of await log.read(read, size)) {
            expect(n === read + 1n ? gapFrom : gapFrom === read + 1n).toBe(n === read + 1n ? 0n : true);
            expect(Buffer.from(payload).readBigUInt64BE(0)).toBe(n);
            read = n;
          }
          log.doneThrough(read);
        };
        for (const { kind, size, count } of steps) {
          if (kind === 'append') {
            const payloads = Array.from({ length: Math.min(count, 2) }, () => {
              const payload = Buffer.alloc(8 + Math.min(size, 1_500));
              payload.writeBigUInt64BE(++appended, 0);
              return payload;
            });
            expect(await log.append(payloads)).toBe(appended);
          } else if (kind === 'read') await readSome(size);
          else {
            await log.close();
            log = await openLog(options);
          }
        }
        for (let guard = 0; read < appended && guard < 200; guard++) await readSome(4_000);
        expect(read).toBe(appended);
        await log.close();
      }),
      { numRuns: 40 },
    );
  });
});
