// What a Pod's worker remembers between its turns. All of it may be lost: it only paces retries and graces.
import type { Failure, Instant, StopAsked } from '../plan/plan.js';
import { isLive, type RuntimePod } from '../runtime/runtime.js';

export interface WorkerMemory {
  readonly stops: Map<string, StopAsked>;
  readonly exitsSeen: Map<string, number>;
  /** By container name. */
  readonly failures: Map<string, Failure>;
  mountFailure: Failure | undefined;
  /** The references' stamp that the volumes were last written with. */
  mountedStamp: string | undefined;
}

export function createMemory(): WorkerMemory {
  return {
    stops: new Map(),
    exitsSeen: new Map(),
    failures: new Map(),
    mountFailure: undefined,
    mountedStamp: undefined,
  };
}

/** Takes in what the runtime shows, and forgets what is no longer there. */
export function notice(memory: WorkerMemory, runtime: RuntimePod | undefined, now: Instant): void {
  const containers = runtime?.containers ?? [];
  const live = new Set(containers.filter(isLive).map(({ id }) => id));
  const exited = new Set(containers.filter(({ state }) => state.kind === 'exited').map(({ id }) => id));
  for (const id of memory.stops.keys()) if (!live.has(id)) memory.stops.delete(id);
  for (const id of memory.exitsSeen.keys()) if (!exited.has(id)) memory.exitsSeen.delete(id);
  for (const id of exited) if (!memory.exitsSeen.has(id)) memory.exitsSeen.set(id, now.monoMs);
}

export interface Pace {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** The same failure again waits twice as long. */
export function nextFailure(
  before: Failure | undefined,
  what: { readonly reason: string; readonly retryReason: string; readonly message: string },
  atMs: number,
  pace: Pace,
): Failure {
  const again = before?.reason === what.reason;
  return { ...what, atMs, delayMs: again ? Math.min(before.delayMs * 2, pace.maxMs) : pace.baseMs };
}
