// kill -9 of the engine at random moments while Pods come, change, crash and go: at the end the processes equal the desired Pods, no survivor
// was rebuilt, and at no moment did one container have two processes.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import type { Pod } from './pod/types.js';
import { killMarked } from './runtime/process/marked.js';
import { EdgecoreDouble } from './testing/edgecore-double.js';
import { buildEngineMain, startEngineProcess } from './testing/engine-process.js';
import { containerDef, deleting, podOf } from './testing/pods.js';

const OPERATIONS = 40;
const MAX_PODS = 5;
const SEED = 20_240_501;

/** Deterministic numbers in [0, 1): a failure can be had again. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Pids by container id, of all Pods of this test (their UIDs begin with `prefix`). */
async function processes(prefix: string): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    const id = environ
      .split('\0')
      .find((each) => each.startsWith(`SKERRY_CONTAINER=${prefix}`))
      ?.split('=')[1];
    if (id) found.set(id, [...(found.get(id) ?? []), Number(pid)]);
  }
  return found;
}

const ownerOf = (id: string): string => id.split('_')[0] ?? '';

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await done()) return;
    await pause(50);
  }
  throw new Error('it did not come to pass');
}

test(
  'random operations and kills',
  () =>
    withTempDir(async (dir) => {
      const random = randomFrom(SEED);
      const prefix = `kill${process.pid}-`;
      const paths = { edgecoreSocket: join(dir, 'e.sock'), socket: join(dir, 'run', 'engine.sock'), stateDir: dir };
      const edgecore = new EdgecoreDouble(paths.edgecoreSocket, systemClock());
      await edgecore.start();
      const script = await buildEngineMain(dir);
      let engine = startEngineProcess(script, paths);
      const wanted = new Map<string, Pod>();
      let serial = 0;

      const anyWanted = (): Pod | undefined => [...wanted.values()][Math.floor(random() * wanted.size)];

      function create(): void {
        if (wanted.size >= MAX_PODS) return;
        const uid = `${prefix}${serial++}`;
        const command = ['sleep', '1000'];
        const pod = podOf(
          uid,
          { hostNetwork: true, terminationGracePeriodSeconds: 1, containers: [containerDef({ command })] },
          { name: `p${serial}` },
        );
        wanted.set(uid, pod);
        edgecore.putPod(pod);
      }

      function remove(): void {
        const pod = anyWanted();
        if (!pod) return;
        wanted.delete(pod.metadata.uid);
        if (random() < 0.5) edgecore.putPod(deleting(pod, 1));
        edgecore.deletePod(pod);
      }

      async function crash(): Promise<void> {
        const pod = anyWanted();
        for (const id of (await processes(prefix)).keys()) if (ownerOf(id) === pod?.metadata.uid) await killMarked(id);
      }

      async function killEngine(): Promise<void> {
        await engine.kill('SIGKILL');
        if (random() < 0.5) await pause(random() * 300);
        engine = startEngineProcess(script, paths);
      }

      async function neverTwo(): Promise<void> {
        const perPod = new Map<string, number>();
        for (const [id, pids] of await processes(prefix)) {
          perPod.set(ownerOf(id), (perPod.get(ownerOf(id)) ?? 0) + pids.length);
        }
        expect([...perPod].filter(([, count]) => count > 1)).toEqual([]);
      }

      const settled = async (): Promise<boolean> => {
        const owners = [...(await processes(prefix)).keys()].map(ownerOf).sort();
        return JSON.stringify(owners) === JSON.stringify([...wanted.keys()].sort());
      };

      try {
        for (let i = 0; i < OPERATIONS; i++) {
          const dice = random();
          if (dice < 0.4) create();
          else if (dice < 0.6) remove();
          else if (dice < 0.75) await crash();
          else await killEngine();
          await pause(random() * 200);
          await neverTwo();
        }
        create();
        await until(settled);
        const before = await processes(prefix);
        await killEngine();
        await until(() => edgecore.alive.length > 0);
        await pause(1_000);
        // The survivors are the same processes.
        expect(await processes(prefix)).toEqual(before);
        await until(
          async () =>
            (await readdir(join(dir, 'engine/process'))).filter((name) => name.startsWith(prefix)).length ===
            wanted.size,
        );
      } finally {
        await engine.kill('SIGKILL');
        for (const id of (await processes(prefix)).keys()) await killMarked(id);
        await until(async () => (await processes(prefix)).size === 0);
        await edgecore.stop();
      }
    }),
  120_000,
);
