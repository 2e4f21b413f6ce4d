// What to do next for one Pod: a pure function of what is wanted, what is there, and the time.
// Invariants: a container is started only when no other of its name may be doing work; nothing starts before the Pod's references, volumes
// and sandbox are there; what runs is stopped only because the Pod goes, its definition changed or its sandbox died.

import {
  type ContainerDef,
  initContainers,
  type Pod,
  restartPolicyOf,
  type Verdict,
  type Waiting,
} from '../pod/types.js';
import { type Container, isLive, type RuntimePod, type Sandbox } from '../runtime/runtime.js';
import { type CrashBackoff, type RestartDelay, restartDelay } from './backoff.js';
import type { Step, StopReason } from './steps.js';

export interface Instant {
  readonly wallMs: number;
  readonly monoMs: number;
}

export type Want =
  | {
      readonly kind: 'run';
      readonly pod: Pod;
      /** metadata.deletionTimestamp is set. */
      readonly deleting: boolean;
      readonly graceMs: number;
      readonly referencesReady: boolean;
      /** The Pod as a whole has failed: its containers are stopped and stay so. */
      readonly verdict?: Verdict;
      /** What hinders a container's creation, and its definition's hash. */
      readonly configError: (container: ContainerDef) => string | undefined;
      readonly specHash: (container: ContainerDef) => string;
    }
  /** The Pod is not wanted any more: stop it and leave nothing. */
  | { readonly kind: 'remove'; readonly graceMs: number };

/** Something that could not be done and is tried again `delayMs` after `atMs` (monotonic). */
export interface Failure {
  /** A waiting reason as Kubernetes names it; `retryReason` while waiting for the next try. */
  readonly reason: string;
  readonly retryReason: string;
  readonly message: string;
  readonly atMs: number;
  readonly delayMs: number;
}

export interface StopAsked {
  readonly atMs: number;
  readonly killedAtMs?: number;
}

export interface Observed {
  readonly runtime: RuntimePod | undefined;
  /** Containers that were asked to stop, by id. */
  readonly stops: ReadonlyMap<string, StopAsked>;
  /** When an exit was first seen, monotonic, by id: wall clocks jump. */
  readonly exitsSeen: ReadonlyMap<string, number>;
  /** By container name. */
  readonly failures: ReadonlyMap<string, Failure>;
  readonly volumes: {
    /** Content differs from what is wanted. */
    readonly stale: boolean;
    /** All were written at least once. */
    readonly mounted: boolean;
    readonly failure: Failure | undefined;
  };
}

export interface Plan {
  readonly steps: readonly Step[];
  /** By container name: why one that should run does not. */
  readonly waiting: ReadonlyMap<string, Waiting>;
  /** When to look again although nothing happens. */
  readonly wakeAfterMs?: number;
}

/** SIGKILL is repeated at this pace while a container does not go. */
const KILL_AGAIN_MS = 10_000;
const STARTING_MS = 1_000;
/** Dead containers that are kept per name: the last one tells lastState. */
const KEEP_DEAD = 2;

export function plan(want: Want, observed: Observed, now: Instant, backoff: CrashBackoff): Plan {
  const planner = new Planner(observed, now, backoff);
  if (want.kind === 'remove') return planner.remove(want.graceMs);
  if (want.deleting || want.verdict) return planner.stop(want.graceMs);
  return planner.run(want);
}

type RunWant = Want & { kind: 'run' };

/** Collects the parts of one plan; lives for one call. */
class Planner {
  private readonly steps: Step[] = [];
  private readonly waiting = new Map<string, Waiting>();
  private wakeAfterMs: number | undefined;
  private readonly containers: readonly Container[];
  private readonly live: readonly Container[];

  constructor(
    private readonly observed: Observed,
    private readonly now: Instant,
    private readonly backoff: CrashBackoff,
  ) {
    this.containers = [...(observed.runtime?.containers ?? [])].sort((a, b) => a.labels.attempt - b.labels.attempt);
    this.live = this.containers.filter(isLive);
  }

  remove(graceMs: number): Plan {
    if (this.live.length > 0) return this.stop(graceMs);
    for (const { id } of this.containers) this.steps.push({ kind: 'removeContainer', id });
    if (this.observed.runtime) this.steps.push({ kind: 'removeSandbox' });
    this.steps.push({ kind: 'removeFiles' });
    return this.result();
  }

  stop(graceMs: number): Plan {
    for (const container of this.live) this.end(container, graceMs, 'pod');
    return this.result();
  }

  run(want: RunWant): Plan {
    for (const container of this.superseded()) this.steps.push({ kind: 'removeContainer', id: container.id });
    if (!want.referencesReady) return this.result();
    const sandbox = this.observed.runtime?.sandbox;
    if (!sandbox?.ready) return this.renewSandbox(want);
    const mounted = this.mountVolumes();
    if (mounted && this.initialize(want, sandbox)) {
      for (const container of want.pod.spec.containers) this.keep(want, container, sandbox);
    } else {
      // Containers that run do not suffer from what holds up those that do not.
      for (const container of want.pod.spec.containers) this.stopIfChanged(want, container);
    }
    return this.result();
  }

  /** A sandbox that died took its containers' world along: they end before the next one is made, if anything is still to run. */
  private renewSandbox(want: RunWant): Plan {
    if (this.live.length > 0) {
      for (const container of this.live) this.end(container, want.graceMs, 'sandbox');
      return this.result();
    }
    const ran = this.containers.some((container) => container.state.kind === 'exited');
    const policy = restartPolicyOf(want.pod);
    const due = want.pod.spec.containers.some(({ name }) => restarts(policy, this.latest(name)));
    if ((ran && policy === 'Never') || !due) return this.result();
    if (this.mountVolumes()) this.steps.push({ kind: 'ensureSandbox' });
    return this.result();
  }

  /** True when containers may use the volumes. */
  private mountVolumes(): boolean {
    const { stale, mounted, failure } = this.observed.volumes;
    if (!stale) return true;
    const leftMs = failure ? this.leftOf(failure) : 0;
    if (leftMs > 0) this.wake(leftMs);
    else this.steps.push({ kind: 'mountVolumes' });
    return mounted || leftMs <= 0;
  }

  /** Runs init containers one after another; true when all have succeeded in this sandbox. */
  private initialize(want: RunWant, sandbox: Sandbox): boolean {
    const mains = new Set(want.pod.spec.containers.map(({ name }) => name));
    const begun = this.containers.some((c) => mains.has(c.labels.container) && inSandbox(c, sandbox) && hasRun(c));
    if (begun) return true;
    for (const container of initContainers(want.pod)) {
      const last = this.latest(container.name);
      const current = last && inSandbox(last, sandbox) ? last : undefined;
      if (current?.state.kind === 'exited' && current.state.exit.exitCode === 0) continue;
      const failed = current?.state.kind === 'exited';
      if (!failed || restartPolicyOf(want.pod) !== 'Never') this.startWhenDue(want, container, 'init', sandbox, last);
      return false;
    }
    return true;
  }

  private keep(want: RunWant, container: ContainerDef, sandbox: Sandbox): void {
    const last = this.latest(container.name);
    if (this.stopIfChanged(want, container)) return;
    const changed = last !== undefined && last.labels.specHash !== want.specHash(container);
    if (restarts(restartPolicyOf(want.pod), last) || changed) this.startWhenDue(want, container, 'main', sandbox, last);
  }

  /** True when a container of this name may still be doing work. */
  private stopIfChanged(want: RunWant, container: ContainerDef): boolean {
    const live = this.live.filter(({ labels }) => labels.container === container.name);
    const newest = live.at(-1);
    for (const extra of live.slice(0, -1)) this.end(extra, want.graceMs, 'duplicate');
    if (newest && newest.labels.specHash !== want.specHash(container)) this.end(newest, want.graceMs, 'changed');
    return live.length > 0;
  }

  private startWhenDue(
    want: RunWant,
    container: ContainerDef,
    containerKind: 'init' | 'main',
    sandbox: Sandbox,
    last: Container | undefined,
  ): void {
    const { name } = container;
    if (this.live.some(({ labels }) => labels.container === name)) return;
    const restart = this.restartOf(last, sandbox);
    const blocked = this.failing(name) ?? this.crashing(want.pod, name, last, restart?.waitMs ?? 0);
    if (blocked) return void this.waiting.set(name, blocked);
    const error = want.configError(container);
    if (error !== undefined)
      return void this.waiting.set(name, { reason: 'CreateContainerConfigError', message: error });
    this.steps.push({
      kind: 'startContainer',
      container: name,
      containerKind,
      attempt: last ? last.labels.attempt + 1 : 0,
      sandboxAttempt: sandbox.attempt,
      backoffMs: restart?.nextMs ?? 0,
    });
  }

  /** What ended with its sandbox did not crash: it comes back at once. */
  private restartOf(last: Container | undefined, sandbox: Sandbox): RestartDelay | undefined {
    if (last?.state.kind !== 'exited') return undefined;
    if (!inSandbox(last, sandbox)) return { waitMs: 0, nextMs: this.backoff.baseMs };
    return restartDelay(last.labels, last.state.exit, this.backoff);
  }

  private failing(name: string): Waiting | undefined {
    const failure = this.observed.failures.get(name);
    const leftMs = failure ? this.leftOf(failure) : 0;
    if (!failure || leftMs <= 0) return undefined;
    this.wake(leftMs);
    return { reason: failure.retryReason, message: failure.message };
  }

  private crashing(pod: Pod, name: string, last: Container | undefined, waitMs: number): Waiting | undefined {
    if (last?.state.kind !== 'exited' || waitMs === 0) return undefined;
    const seenMs = this.observed.exitsSeen.get(last.id) ?? this.now.monoMs;
    // The longer of both ages: the wall clock counts while no engine looked, the monotonic one when the wall clock was set back.
    const ageMs = Math.max(this.now.monoMs - seenMs, this.now.wallMs - last.state.exit.finishedAtMs);
    if (ageMs >= waitMs) return undefined;
    this.wake(waitMs - Math.max(ageMs, 0));
    const { metadata } = pod;
    const who = `container=${name} pod=${metadata.name}_${metadata.namespace}(${metadata.uid})`;
    return { reason: 'CrashLoopBackOff', message: `back-off ${goDuration(waitMs)} restarting failed ${who}` };
  }

  /** SIGTERM first, SIGKILL when the grace is over. A container that is just starting is told when it runs. */
  private end(container: Container, graceMs: number, why: StopReason): void {
    const { id, labels } = container;
    const asked = this.observed.stops.get(id);
    if (container.state.kind === 'starting') this.wake(STARTING_MS);
    else if (asked) this.killWhenDue(container, asked, graceMs);
    else {
      this.steps.push({ kind: 'stopContainer', id, container: labels.container, graceMs, why });
      this.wake(graceMs);
    }
  }

  private killWhenDue({ id, labels }: Container, asked: StopAsked, graceMs: number): void {
    const dueMs = asked.killedAtMs === undefined ? asked.atMs + graceMs : asked.killedAtMs + KILL_AGAIN_MS;
    const leftMs = dueMs - this.now.monoMs;
    if (leftMs <= 0) this.steps.push({ kind: 'killContainer', id, container: labels.container });
    this.wake(leftMs > 0 ? leftMs : KILL_AGAIN_MS);
  }

  /** The newest container of a name that was ever asked to start. */
  private latest(name: string): Container | undefined {
    return this.attempts(name).at(-1);
  }

  private attempts(name: string): Container[] {
    return this.containers.filter((c) => c.labels.container === name && hasRun(c));
  }

  /** Left between creation and start by an engine that died, or older than what a status tells. */
  private superseded(): Container[] {
    const names = new Set(this.containers.map(({ labels }) => labels.container));
    const old = [...names].flatMap((name) => this.attempts(name).slice(0, -KEEP_DEAD));
    return [...this.containers.filter(({ state }) => state.kind === 'created'), ...old.filter((c) => !isLive(c))];
  }

  private leftOf(failure: Failure): number {
    return failure.atMs + failure.delayMs - this.now.monoMs;
  }

  private wake(afterMs: number): void {
    this.wakeAfterMs = Math.min(this.wakeAfterMs ?? Number.POSITIVE_INFINITY, afterMs);
  }

  private result(): Plan {
    const { steps, waiting, wakeAfterMs } = this;
    return { steps, waiting, ...(wakeAfterMs === undefined ? {} : { wakeAfterMs }) };
  }
}

/** Whether a main container is to be started, given its newest attempt. */
function restarts(policy: string, last: Container | undefined): boolean {
  if (!last) return true;
  if (last.state.kind !== 'exited') return false;
  return policy === 'Always' || (policy === 'OnFailure' && last.state.exit.exitCode !== 0);
}

const inSandbox = (container: Container, sandbox: Sandbox): boolean =>
  container.labels.sandboxAttempt === sandbox.attempt;

const hasRun = (container: Container): boolean => container.state.kind !== 'created';

/** As Go prints a duration: 10s, 1m20s, 5m0s. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  if (ms < 1_000) return `${ms}ms`;
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
