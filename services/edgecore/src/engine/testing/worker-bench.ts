// A Pod's worker on the fake runtime and a fake clock, with everything else in memory.
import { nullLogger } from '@skerry/common/logger';
import { type FakeClock, fakeClock } from '@skerry/common/testing/fake-clock';
import { CRASH_BACKOFF } from '../plan/backoff.js';
import type { Pod } from '../pod/types.js';
import type { PodEvent } from '../report/events.js';
import { createFakeRuntime, createFakeWorld, type FakeWorld } from '../runtime/fake/fake-runtime.js';
import type { FakeScripts } from '../runtime/fake/script.js';
import { createPodWorker, type PodWorker, type ToldStatus, type Wish } from '../worker/pod-worker.js';
import type { PodRecord } from '../worker/records.js';

export interface WorkerBench {
  readonly clock: FakeClock;
  readonly world: FakeWorld;
  readonly events: PodEvent[];
  /** Every status that differs from the one before. */
  readonly told: ToldStatus[];
  /** Set to make mounting fail. */
  mountError: string | undefined;
  readonly removed: () => boolean;
  /** The machine's clock jumps; the monotonic one does not. */
  setWallForward(ms: number): void;
  want(pod: Pod): void;
  wish(wish: Wish): void;
  /** A new engine on the same world and records. */
  restart(): Promise<void>;
  /** Lets time pass in small steps, so that each turn ends before the next timer. */
  pass(ms: number): Promise<void>;
  last(): ToldStatus | undefined;
  /** "app#1" for each container that runs. */
  running(): string[];
}

const STEP_MS = 250;

export function workerBench(scripts: FakeScripts): WorkerBench {
  const time = fakeClock();
  let forwardMs = 0;
  const clock: FakeClock = { ...time, nowMs: () => time.nowMs() + forwardMs };
  const world = createFakeWorld(clock);
  const events: PodEvent[] = [];
  const told: ToldStatus[] = [];
  const saved = new Map<string, PodRecord>();
  let current: Wish = { kind: 'leave' };
  let removed = false;
  let worker: PodWorker;

  function open(): void {
    const runtime = createFakeRuntime({ clock, world, scripts });
    worker = createPodWorker({
      ref: { uid: 'u1', namespace: 'default', name: 'web' },
      wish: () => current,
      runtime,
      volumes: {
        path: (_pod, volume) => `/volumes/${volume}`,
        async mount() {
          if (bench.mountError !== undefined) throw new Error(bench.mountError);
        },
        async remove() {
          saved.clear();
        },
        pods: async () => [],
      },
      records: {
        load: async (uid) => saved.get(uid),
        save: async (uid, record) => void saved.set(uid, record),
      },
      recorder: { record: (event) => void events.push(event), dropped: () => 0, stop: async () => {} },
      tell(status) {
        if (JSON.stringify(status) !== JSON.stringify(told.at(-1))) told.push(status);
      },
      onRemoved: () => {
        removed = true;
      },
      nodeName: 'edge-1',
      hostIPs: () => ['192.168.0.5'],
      backoff: CRASH_BACKOFF,
      clock,
      logger: nullLogger(),
    });
    runtime.subscribe(() => worker.poke());
    worker.poke();
  }

  const bench: WorkerBench = {
    clock,
    world,
    events,
    told,
    mountError: undefined,
    removed: () => removed,
    setWallForward: (ms) => {
      forwardMs += ms;
    },
    want(pod) {
      bench.wish({ kind: 'run', desired: { pod, referencesReady: true, references: new Map(), referencesStamp: '' } });
    },
    wish(wish) {
      current = wish;
      worker.poke();
    },
    async restart() {
      await worker.stop();
      open();
    },
    async pass(ms) {
      for (let left = ms; left >= 0; left -= STEP_MS) {
        await clock.advance(Math.min(left, STEP_MS));
        for (let i = 0; i < 10; i++) await clock.advance(0);
      }
    },
    last: () => told.at(-1),
    running: () =>
      [...(world.pods.get('u1')?.containers.values() ?? [])].flatMap(({ spec, state }) =>
        state.kind === 'running' ? [`${spec.labels.container}#${spec.labels.attempt}`] : [],
      ),
  };
  open();
  return bench;
}
