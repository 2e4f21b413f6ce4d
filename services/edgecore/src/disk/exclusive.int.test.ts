// The lock as processes meet it: live, released, and left behind by kill -9.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { acquireExclusive, lookAtHolder } from './exclusive.js';
import { identifyProcess, isAlive, killProcess } from './process-identity.js';

/** A process that binds the path and says nothing; resolves with a function that kills it with -9. */
async function strangerHolding(path: string): Promise<() => Promise<void>> {
  const script = `require('net').createServer((s) => s.end()).listen(process.argv[1], () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
}

describe('exclusive', () => {
  test('the second one is refused and told who holds it; after release it may', () =>
    withTempDir(async (dir) => {
      const path = join(dir, 'run', 'x.lock');
      const first = await acquireExclusive(path);
      await expect(acquireExclusive(path)).rejects.toThrow(`held by process ${process.pid}`);
      expect(await lookAtHolder(path)).toEqual({ kind: 'held', identity: await identifyProcess(process.pid) });
      await first.release();
      expect(await lookAtHolder(path)).toEqual({ kind: 'free' });
      await (await acquireExclusive(path)).release();
    }));

  test('what kill -9 left is taken over, by one of many', () =>
    withTempDir(async (dir) => {
      const path = join(dir, 'x.lock');
      for (let round = 0; round < 10; round++) {
        const kill = await strangerHolding(path);
        await expect(acquireExclusive(path)).rejects.toMatchObject({ code: 'failed_precondition' });
        await kill();
        expect((await lstat(path)).isSocket()).toBe(true);
        const results = await Promise.allSettled([acquireExclusive(path), acquireExclusive(path)]);
        const held = results.filter((r) => r.status === 'fulfilled');
        expect(held).toHaveLength(1);
        for (const result of held) await result.value.release();
      }
    }));

  test('a path that cannot be bound is a named error', () =>
    withTempDir(async (dir) => {
      await writeFile(join(dir, 'file'), '');
      await expect(acquireExclusive(join(dir, 'file', 'x.lock'))).rejects.toThrow();
      await expect(acquireExclusive(join(dir, 'y'.repeat(120)))).rejects.toMatchObject({ code: 'invalid_argument' });
    }));
});

describe('process identity', () => {
  test('tells a process from a later one with its pid', async () => {
    const self = await identifyProcess(process.pid);
    expect(self && (await isAlive(self))).toBe(true);
    expect(await isAlive({ pid: process.pid, startTicks: '1' })).toBe(false);
    expect(await killProcess({ pid: process.pid, startTicks: '1' }, 'SIGKILL')).toBe(false);
  });
});
