// The workers of all Pods: who has one, what it is to do, what it tells.
// Invariants: one worker per UID, so a recreated Pod never shares anything with its predecessor; a Pod that nobody wants is removed only when
// it was wanted before or the list of wanted ones is whole.
import { podStatusKey } from '@skerry/common/keys';
import { versionOf } from '@skerry/common/version';
import type { DesiredState } from './desired/desired-state.js';
import type { KnownPod } from './engine-service.js';
import type { Reporter } from './report/reporter.js';
import type { PodRef, RuntimePod } from './runtime/runtime.js';
import {
  createPodWorker,
  type PodWorker,
  type PodWorkerOptions,
  type ToldStatus,
  type Wish,
} from './worker/pod-worker.js';

/** Raised when the form of what is reported changes. */
const PROJECTION = 1;

type Shared = Omit<PodWorkerOptions, 'ref' | 'wish' | 'tell' | 'onRemoved'> & {
  /** A Pod's status was told. */
  readonly onTold: () => void;
};

export interface PodWorkers {
  /** The desired state of these Pods changed. */
  changed(podUids: readonly string[]): void;
  /** The runtime hints at a Pod. */
  hint(podUid: string): void;
  /** What the runtime has, and of which Pods there are files. */
  sweep(seen: readonly RuntimePod[], withFiles: readonly string[]): void;
  /** Every Pod that is wanted has told its status. */
  allTold(): boolean;
  known(): readonly KnownPod[];
  stop(): Promise<void>;
}

export function createPodWorkers(desired: DesiredState, reporter: Reporter, shared: Shared): PodWorkers {
  const workers = new Map<string, PodWorker>();
  /** Pods that this engine has seen wanted: when they are not any more, somebody has said so. */
  const wanted = new Set<string>();

  function wishFor(uid: string): Wish {
    const found = desired.pod(uid);
    if (found) return { kind: 'run', desired: found };
    return wanted.has(uid) || desired.synced() ? { kind: 'remove' } : { kind: 'leave' };
  }

  function workerOf(ref: PodRef): PodWorker {
    const { uid } = ref;
    const existing = workers.get(uid);
    if (existing) return existing;
    const key = podStatusKey(ref.namespace, ref.name, uid);
    const worker = createPodWorker({
      ...shared,
      ref,
      wish: () => wishFor(uid),
      tell(told) {
        reporter.put(key, reportOf(ref, told));
        shared.onTold();
      },
      onRemoved: () => {
        workers.delete(uid);
        wanted.delete(uid);
        reporter.delete(key);
        // Wanted again while it was being removed: from the start.
        changed([uid]);
      },
    });
    workers.set(uid, worker);
    return worker;
  }

  function changed(podUids: readonly string[]): void {
    for (const uid of podUids) {
      const pod = desired.pod(uid)?.pod;
      if (pod) wanted.add(uid);
      if (pod) workerOf({ uid, namespace: pod.metadata.namespace, name: pod.metadata.name }).poke();
      else workers.get(uid)?.poke();
    }
  }

  return {
    changed,
    hint: (podUid) => workers.get(podUid)?.poke(),
    sweep(seen, withFiles) {
      const byUid = new Map(seen.map((pod) => [pod.pod.uid, pod]));
      if (desired.synced()) {
        for (const { pod } of seen) if (!workers.has(pod.uid)) workerOf(pod).poke();
        for (const uid of withFiles) if (!workers.has(uid)) workerOf({ uid, namespace: '', name: '' }).poke();
      }
      for (const [uid, worker] of workers) worker.pokeIfChanged(byUid.get(uid));
    },
    allTold: () => desired.uids().every((uid) => workers.get(uid)?.hasTold() ?? false),
    known: () => [...workers.values()].map((worker) => ({ ref: worker.ref, status: worker.status() })),
    async stop() {
      await Promise.all([...workers.values()].map((worker) => worker.stop()));
    },
  };
}

function reportOf(ref: PodRef, { status, final, stopped }: ToldStatus) {
  const { uid, namespace, name } = ref;
  const value = { metadata: { name, namespace, uid }, status, ...(stopped ? { stopped: true } : {}) };
  return {
    version: versionOf(PROJECTION, uid, value),
    payload: Buffer.from(JSON.stringify(value)),
    durable: final || stopped,
  };
}
