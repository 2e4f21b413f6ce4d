// Real processes that write and are killed with -9, again and again: what they acknowledged is there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { createSegmentLog } from '../src/log/segment-log.js';
import { openMetaStore } from '../src/meta/meta-store.js';
import { createNedbBackend } from '../src/meta/nedb-backend.js';

const ROUNDS = 8;
const writer = join(import.meta.dirname, 'fixtures/write-until-killed.mjs');
const clock = systemClock();
const logger = nullLogger();

/** Runs a writer until it acknowledged `lines` times, kills it, and tells the last number that it acknowledged. */
async function writeAndKill(kind: 'meta' | 'log', dir: string, lines: number): Promise<bigint> {
  const child = spawn(process.execPath, [writer, kind, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let last = 0n;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = BigInt(line);
    seen += 1;
    if (seen === lines) child.kill('SIGKILL');
  }
  await exited;
  expect(seen).toBeGreaterThanOrEqual(lines);
  return last;
}

describe('stores of a process that is killed with -9', () => {
  test(
    'meta: every acknowledged commit is there, and nothing was set aside',
    () =>
      withTempDir(async (dir) => {
        for (let round = 0; round < ROUNDS; round++) {
          const last = Number(await writeAndKill('meta', dir, 20 + round * 11));
          const backend = createNedbBackend({
            ...{ file: join(dir, 'meta.db'), keyFile: join(dir, 'key'), lockFile: join(dir, 'l') },
            ...{ clock, logger },
          });
          const store = await openMetaStore({ backend, clock, logger });
          expect(['kept', 'torn']).toContain(store.origin);
          expect(Number(store.record('n'))).toBeGreaterThanOrEqual(last);
          const versions = new Set([...store.entries('desired')].map(([, entry]) => Number(entry.version)));
          for (let n = Math.max(last - 19, 1); n <= last; n++) {
            const overtaken = [...versions].some((version) => version > last && version % 20 === n % 20);
            expect(versions.has(n) || overtaken).toBe(true);
          }
          await store.close();
        }
      }),
    60_000,
  );

  test(
    'log: every acknowledged entry is there, in order, under its number',
    () =>
      withTempDir(async (dir) => {
        for (let round = 0; round < ROUNDS; round++) {
          const acknowledged = await writeAndKill('log', dir, 15 + round * 7);
          const log = await createSegmentLog({ dir, stream: 's', maxBytes: 8_388_608, maxAgeMs: 1e9, clock, logger });
          const items = await log.read(0n, 16_000_000);
          expect(items.map(({ n }) => n)).toEqual(items.map((_, i) => BigInt(i + 1)));
          for (const { n, payload } of items) expect(Buffer.from(payload).toString()).toBe(`${n}`.padEnd(500, '.'));
          expect(items.at(-1)?.n ?? 0n).toBeGreaterThanOrEqual(acknowledged);
          expect(log.stats().quarantined).toBe(0);
          await log.close();
        }
      }),
    60_000,
  );
});
