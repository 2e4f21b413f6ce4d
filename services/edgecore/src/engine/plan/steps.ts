// What a Pod's worker can do, as values. One map defines them; the union and the table of executors follow from it.
import type { ContainerKind } from '../runtime/runtime.js';

interface StepMap {
  /** Brings the content of all volumes up to date. */
  mountVolumes: Record<never, never>;
  ensureSandbox: Record<never, never>;
  /** Creates and starts one attempt of a container. */
  startContainer: {
    readonly container: string;
    readonly containerKind: ContainerKind;
    readonly attempt: number;
    readonly sandboxAttempt: number;
    /** What a restart after this attempt will have to wait. */
    readonly backoffMs: number;
  };
  /** SIGTERM; `why` is for the Event. */
  stopContainer: {
    readonly id: string;
    readonly container: string;
    readonly graceMs: number;
    readonly why: StopReason;
  };
  /** SIGKILL: the grace is over. */
  killContainer: { readonly id: string; readonly container: string };
  removeContainer: { readonly id: string };
  removeSandbox: Record<never, never>;
  /** Volumes, records: the last that is left of a Pod. The worker ends with it. */
  removeFiles: Record<never, never>;
}

export type StopReason = 'pod' | 'changed' | 'sandbox' | 'duplicate';
export type StepKind = keyof StepMap;
export type Step = { [K in StepKind]: { readonly kind: K } & StepMap[K] }[StepKind];

/** One executor per kind of step; a missing one does not compile. */
export type Executors = { readonly [K in StepKind]: (step: { readonly kind: K } & StepMap[K]) => Promise<void> };

export function execute(executors: Executors, step: Step): Promise<void> {
  // The kind picks the executor of exactly this step's type.
  return (executors[step.kind] as (step: Step) => Promise<void>)(step);
}
