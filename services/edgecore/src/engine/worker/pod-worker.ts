// One Pod's loop: look, plan, act, tell; again when something changed or time has come.
// Invariants: one turn at a time; every turn starts from what the runtime shows, so a hint may be lost or doubled; the Pod's status is told
// after each look, and a final one only when nothing of the Pod runs.
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import type { DesiredPod } from '../desired/desired-state.js';
import type { CrashBackoff } from '../plan/backoff.js';
import { type Instant, type Plan, plan, type Want } from '../plan/plan.js';
import { execute } from '../plan/steps.js';
import { podViolations, refusalOf, UNSUPPORTED } from '../pod/admit.js';
import { specHashOf } from '../pod/container-spec.js';
import { isTerminalPhase, podStatus, refusedStatus } from '../pod/status.js';
import { graceMsOf, initContainers, type Pod, type PodStatus, type Verdict, type Waiting } from '../pod/types.js';
import type { EventRecorder } from '../report/events.js';
import { isLive, type PodRef, type Runtime, type RuntimePod } from '../runtime/runtime.js';
import type { Volumes } from '../volume/volumes.js';
import { createExecutors, specFor } from './executors.js';
import { createMemory, notice } from './memory.js';
import { createPodEvents } from './pod-events.js';
import type { PodRecord, Records } from './records.js';

/** What the engine wants of the Pod now. */
export type Wish =
  | { readonly kind: 'run'; readonly desired: DesiredPod }
  | { readonly kind: 'remove' }
  /** Nobody knows: leave everything as it is. */
  | { readonly kind: 'leave' };

export interface ToldStatus {
  readonly status: PodStatus;
  /** It will not change any more. */
  readonly final: boolean;
  /** The Pod is being deleted and nothing of it runs. */
  readonly stopped: boolean;
}

export interface PodWorkerOptions {
  readonly ref: PodRef;
  readonly wish: () => Wish;
  readonly runtime: Runtime;
  readonly volumes: Volumes;
  readonly records: Records;
  readonly recorder: EventRecorder;
  readonly tell: (told: ToldStatus) => void;
  /** Nothing is left of the Pod. The worker has ended. */
  readonly onRemoved: () => void;
  readonly nodeName: string;
  readonly hostIPs: () => readonly string[];
  readonly backoff: CrashBackoff;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface PodWorker {
  readonly ref: PodRef;
  /** Something may have changed. */
  poke(): void;
  /** As `poke`, when this differs from what the worker last saw. */
  pokeIfChanged(seen: RuntimePod | undefined): void;
  /** The status was told at least once, or there is none to tell. */
  hasTold(): boolean;
  status(): PodStatus | undefined;
  /** Ends after the turn under way. Containers are left alone. */
  stop(): Promise<void>;
}

const ERROR_PACE = { baseMs: 1_000, maxMs: 30_000 };
/** How often the age of a Pod with a deadline is kept: what a crash of the engine may add to it. */
const KEEP_ACTIVE_MS = 60_000;
/** A failure is shown this long before its retry reason replaces it. */
const SHOW_FAILURE_MS = 2_000;

export function createPodWorker(options: PodWorkerOptions): PodWorker {
  const { ref, runtime, records, clock, logger } = options;
  const memory = createMemory();
  let desired: DesiredPod | undefined;
  const events = createPodEvents(options.recorder, ref, () => desired?.pod);
  const executors = createExecutors({
    ...options,
    events,
    memory,
    desired: () => desired,
    onFilesRemoved: () => {
      removed = true;
    },
  });
  let record: PodRecord | undefined;
  let loaded = false;
  /** Monotonic time at which a Pod that was never stopped would have become active. */
  let activeSinceMs = 0;
  let keptAtMs = 0;
  let lastPod: Pod | undefined;
  let lastSeen = '';
  let announced = new Map<string, string>();
  let told = false;
  let dirty = false;
  let removed = false;
  let ended = false;
  let turning: Promise<void> | undefined;
  let timer: Timer | undefined;
  let errors = 0;

  function poke(): void {
    dirty = true;
    if (!ended) turning ??= turns();
  }

  async function turns(): Promise<void> {
    timer?.cancel();
    timer = undefined;
    let wakeAfterMs: number | undefined;
    // A poke often comes with others: let them be one turn.
    await Promise.resolve();
    while (dirty && !ended) {
      dirty = false;
      try {
        wakeAfterMs = await turn();
        errors = 0;
      } catch (error) {
        errors += 1;
        wakeAfterMs = Math.min(ERROR_PACE.baseMs * 2 ** Math.min(errors - 1, 10), ERROR_PACE.maxMs);
        logger.warn('pod turn failed', {
          pod: ref.name,
          namespace: ref.namespace,
          error: messageOf(error),
          wakeAfterMs,
        });
      }
    }
    turning = undefined;
    if (ended) return;
    if (wakeAfterMs !== undefined) timer = clock.after(wakeAfterMs, poke);
  }

  /** Returns when to look again. */
  async function turn(): Promise<number | undefined> {
    const wish = options.wish();
    desired = wish.kind === 'run' ? wish.desired : undefined;
    const seen = await look();
    if (wish.kind === 'leave') return undefined;
    if (wish.kind === 'run') await accept(wish.desired, seen);
    const next = decide(wish, seen);
    if (wish.kind === 'run') await tell(wish.desired, seen, next.waiting);
    const failed = await carryOut(next);
    if (failed && wish.kind === 'run') return showFailure(wish.desired, seen, next);
    if (removed) {
      ended = true;
      options.onRemoved();
    } else if (next.steps.length > 0) dirty = true;
    return next.wakeAfterMs;
  }

  async function look(): Promise<RuntimePod | undefined> {
    if (!loaded) await load();
    const seen = await runtime.inspect(ref.uid);
    lastSeen = fingerprint(seen);
    notice(memory, seen, now());
    return seen;
  }

  async function load(): Promise<void> {
    record = await records.load(ref.uid);
    activeSinceMs = clock.monotonicMs() - (record?.activeMs ?? 0);
    keptAtMs = clock.monotonicMs();
    loaded = true;
  }

  async function keep(next: PodRecord): Promise<void> {
    keptAtMs = clock.monotonicMs();
    record = { ...next, activeMs: keptAtMs - activeSinceMs };
    await records.save(ref.uid, record);
  }

  /** On first sight the Pod is accepted or refused; later ones can only be warned about. */
  async function accept({ pod }: DesiredPod, seen: RuntimePod | undefined): Promise<void> {
    if (!record) {
      const first = seen?.containers.length ? { startedAtMs: clock.nowMs() } : firstRecord(pod);
      await keep(first);
      if (first.verdict) events.judged(first.verdict);
    } else if (pod !== lastPod && !record.verdict) {
      const found = podViolations(pod, runtime.profile);
      const message = found.map(({ path, because }) => `${path}: ${because}`).join('; ');
      if (found.length > 0) events.judged({ reason: UNSUPPORTED, message: `Not honoured by this node: ${message}` });
    }
    lastPod = pod;
    await judgeDeadline(pod);
  }

  /** Of a Pod of which nothing is there: it has ended before, it is refused, or it is to be run. */
  function firstRecord(pod: Pod): PodRecord {
    const startedAtMs = clock.nowMs();
    const phase = endedAs(pod);
    if (phase !== undefined) return { startedAtMs, status: { phase }, final: true };
    const verdict = refusalOf(pod, runtime.profile);
    return { startedAtMs, ...(verdict ? { verdict, refused: true } : {}) };
  }

  async function judgeDeadline(pod: Pod): Promise<void> {
    const leftMs = deadlineIn(pod);
    if (!record || leftMs === undefined) return;
    if (leftMs > 0) {
      if (clock.monotonicMs() - keptAtMs >= KEEP_ACTIVE_MS) await keep(record);
      return;
    }
    const verdict: Verdict = {
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
    await keep({ ...record, verdict });
    events.judged(verdict);
  }

  /** By the monotonic clock: a wall clock that is set forward must not end anything. Undefined when no deadline counts any more. */
  function deadlineIn({ spec }: Pod): number | undefined {
    if (spec.activeDeadlineSeconds === undefined || !record || record.verdict || record.final) return undefined;
    return Math.max(activeSinceMs + spec.activeDeadlineSeconds * 1_000 - clock.monotonicMs(), 0);
  }

  function decide(wish: Wish, seen: RuntimePod | undefined): Plan {
    const { stops, exitsSeen, failures, mountFailure: failure } = memory;
    const stamp = desired?.referencesStamp;
    const volumes = { stale: memory.mountedStamp !== stamp, mounted: memory.mountedStamp !== undefined, failure };
    const observed = { runtime: seen, stops, exitsSeen, failures, volumes };
    return withDeadline(plan(wantOf(wish, seen), observed, now(), options.backoff));
  }

  function wantOf(wish: Wish, seen: RuntimePod | undefined): Want {
    if (wish.kind !== 'run')
      return { kind: 'remove', graceMs: lastPod ? graceMsOf(lastPod) : (seen?.sandbox?.graceMs ?? 0) };
    const { pod, referencesReady } = wish.desired;
    return {
      kind: 'run',
      pod,
      // What has had its last word is treated as what goes: nothing of it is started again.
      deleting: isEnding(pod) || (record?.final ?? false),
      graceMs: graceMsOf(pod),
      referencesReady,
      ...(record?.verdict ? { verdict: record.verdict } : {}),
      configError: (container) => {
        const built = specFor(options, wish.desired, container, seen?.sandbox);
        return built.kind === 'missing' ? built.message : undefined;
      },
      specHash: specHashOf,
    };
  }

  function withDeadline(next: Plan): Plan {
    const leftMs = desired && deadlineIn(desired.pod);
    if (leftMs === undefined) return next;
    return { ...next, wakeAfterMs: Math.min(next.wakeAfterMs ?? leftMs, leftMs, KEEP_ACTIVE_MS) };
  }

  /** True when a step failed; those after it were not tried. */
  async function carryOut(next: Plan): Promise<boolean> {
    for (const step of next.steps) {
      try {
        await execute(executors, step);
      } catch (error) {
        const fields = { pod: ref.name, namespace: ref.namespace, step: step.kind, error: messageOf(error) };
        logger.info('step failed', fields);
        // What paces itself is in the memory; the rest is paced here.
        if (step.kind !== 'mountVolumes' && step.kind !== 'startContainer') throw error;
        return true;
      }
    }
    return false;
  }

  /** The failure first, its retry reason at the next turn. */
  async function showFailure(wanted: DesiredPod, seen: RuntimePod | undefined, next: Plan): Promise<number> {
    const waiting = new Map<string, Waiting>(next.waiting);
    for (const [name, { reason, message }] of memory.failures) waiting.set(name, { reason, message });
    await tell(wanted, seen, waiting);
    const delays = [...memory.failures.values(), memory.mountFailure].map(
      (failure) => failure?.delayMs ?? SHOW_FAILURE_MS,
    );
    return Math.min(SHOW_FAILURE_MS, ...delays);
  }

  async function tell({ pod }: DesiredPod, seen: RuntimePod | undefined, waiting: Plan['waiting']): Promise<void> {
    if (!record) return;
    announce(pod, waiting);
    const live = seen?.containers.some(isLive) ?? false;
    const status = record.final && record.status ? record.status : statusOf(pod, seen, waiting, record);
    const final = isTerminalPhase(status.phase) && !live;
    if (JSON.stringify(status) !== JSON.stringify(record.status) || final !== (record.final ?? false)) {
      await keep({ ...record, status, final });
    }
    told = true;
    options.tell({ status, final, stopped: pod.metadata.deletionTimestamp !== undefined && !live });
  }

  function statusOf(pod: Pod, seen: RuntimePod | undefined, waiting: Plan['waiting'], current: PodRecord): PodStatus {
    if (current.refused && current.verdict) return refusedStatus(pod, current.verdict, current.startedAtMs);
    return podStatus({
      pod,
      runtime: seen,
      runtimeName: runtime.profile.name,
      waiting,
      verdict: current.verdict,
      ending: isEnding(pod),
      hostIPs: options.hostIPs(),
      startedAtMs: current.startedAtMs,
      previous: current.status,
      nowMs: clock.nowMs(),
    });
  }

  /** An Event when a container begins to wait for another reason. */
  function announce(pod: Pod, waiting: Plan['waiting']): void {
    const current = new Map<string, string>();
    for (const container of [...initContainers(pod), ...pod.spec.containers]) {
      const why = waiting.get(container.name);
      if (!why) continue;
      const text = `${why.reason} ${why.message}`;
      current.set(container.name, text);
      if (announced.get(container.name) !== text) events.waiting(container, why);
    }
    announced = current;
  }

  function now(): Instant {
    return { wallMs: clock.nowMs(), monoMs: clock.monotonicMs() };
  }

  return {
    ref,
    poke,
    pokeIfChanged(seen) {
      if (fingerprint(seen) !== lastSeen) poke();
    },
    hasTold: () => told,
    status: () => record?.status,
    async stop() {
      ended = true;
      timer?.cancel();
      await turning;
    },
  };
}

/** The phase in which the cloud knows the Pod to have ended. */
function endedAs({ status }: Pod): string | undefined {
  return isTerminalPhase(status?.phase) ? status?.phase : undefined;
}

/** Nothing of it is to be started again. */
const isEnding = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined || endedAs(pod) !== undefined;

/** What makes a turn worthwhile. */
function fingerprint(seen: RuntimePod | undefined): string {
  if (!seen) return '';
  const containers = seen.containers.map(({ id, state }) => `${id}=${state.kind}`).sort();
  return JSON.stringify([seen.sandbox?.attempt, seen.sandbox?.ready, containers]);
}
