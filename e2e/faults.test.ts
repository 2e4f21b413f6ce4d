// The demonstration under faults: a link that goes silent instead of being reset, and what kill -9 of edgecore leaves.
import { describe, expect, test } from '@jest/globals';
import { withTempDir } from '../services/common/src/testing/temp-dir.js';
import { isAlive, pidsOf, startInstance, succeeded } from './support/instance.js';

describe('faults', () => {
  test(
    'a link that is black-holed for 45 s',
    () =>
      withTempDir(async (dir) => {
        const instance = startInstance(['--once', '--state', dir, '--cut-mode', 'silent', '--cut-seconds', '45']);
        await succeeded(instance);
        expect(instance.output()).toContain('0 lost');
      }),
    180_000,
  );

  test(
    'kill -9 of edgecore leaves no orphan sidecar, no second engine, and the Pod untouched',
    () =>
      withTempDir(async (dir) => {
        const instance = startInstance(['--state', dir, '--cut-seconds', '1']);
        await instance.printed('It stays up until Ctrl-C');
        const pod = podPid(instance.output());
        const before = await sidecarPids(dir);
        const [edgecore] = await pidsOf(dir, 'edgecore');
        if (edgecore === undefined) throw new Error('no edgecore');
        process.kill(edgecore, 'SIGKILL');
        const after = await newSidecars(dir, before);
        expect(before.some(isAlive)).toBe(false);
        expect(after).toHaveLength(3);
        expect(isAlive(pod)).toBe(true);
        expect(await pidsOf(dir, 'engine')).toHaveLength(1);
        instance.process.kill('SIGINT');
        expect(await instance.ended).toBe(0);
        expect(isAlive(pod)).toBe(false);
      }),
    180_000,
  );
});

/** The last process that the demonstration saw serving the page. */
function podPid(output: string): number {
  return Number([...output.matchAll(/restarted by the engine.*pid (\d+)/g)].at(-1)?.[1]);
}

async function sidecarPids(dir: string): Promise<number[]> {
  const pids = await Promise.all(['engine', 'twin', 'bridge'].map((name) => pidsOf(dir, name)));
  return pids.flat();
}

/** Waits until three sidecars run that are none of the old ones. */
async function newSidecars(dir: string, old: readonly number[]): Promise<number[]> {
  for (let round = 0; round < 300; round++) {
    const now = (await sidecarPids(dir)).filter((pid) => !old.includes(pid));
    if (now.length >= 3 && !old.some(isAlive)) return now;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return [];
}
