// What the supervisor does with one sidecar, as a pure function. Effects are performed by supervisor.ts.
// Invariant: a launch is asked for only when no instance of ours is there; between launch and exit nothing launches again.

export type SidecarState =
  | { readonly kind: 'stopped' }
  /** An old instance is waited for, or the new one is being started. */
  | { readonly kind: 'starting' }
  | { readonly kind: 'running'; readonly pid: number; readonly sinceMs: number }
  | { readonly kind: 'backoff' }
  /** `pid` 0: a launch is under way and is stopped as soon as it is done. */
  | { readonly kind: 'stopping'; readonly pid: number };

export interface Sidecar {
  readonly state: SidecarState;
  /** In a row; a healthy minute ends the row. */
  readonly failures: number;
  /** Since the supervisor started. */
  readonly restarts: number;
  /** How it ended the last time, for people. */
  readonly lastExit: string;
}

/** `atMs` is monotonic. */
export type SidecarEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'launched'; readonly pid: number; readonly atMs: number }
  | { readonly kind: 'launch-failed'; readonly reason: string }
  | { readonly kind: 'exited'; readonly reason: string; readonly atMs: number }
  | { readonly kind: 'backoff-over' }
  | { readonly kind: 'stop' };

export type SidecarEffect =
  | { readonly kind: 'launch' }
  | { readonly kind: 'terminate' }
  /** Wait by the rule for the n-th failure in a row, then say backoff-over. */
  | { readonly kind: 'wait'; readonly failures: number }
  | { readonly kind: 'cancel-wait' };

export interface Step {
  readonly sidecar: Sidecar;
  readonly effects: readonly SidecarEffect[];
}

/** An instance that lived this long was healthy: the next wait is short again. */
export const HEALTHY_MS = 60_000;

export const initialSidecar: Sidecar = { state: { kind: 'stopped' }, failures: 0, restarts: 0, lastExit: '' };

export function step(sidecar: Sidecar, event: SidecarEvent): Step {
  const { state } = sidecar;
  switch (event.kind) {
    case 'start':
      return state.kind === 'stopped' ? to(sidecar, { kind: 'starting' }, { kind: 'launch' }) : stay(sidecar);
    case 'launched':
      if (state.kind === 'starting') return to(sidecar, { kind: 'running', pid: event.pid, sinceMs: event.atMs });
      if (state.kind === 'stopping') return to(sidecar, { kind: 'stopping', pid: event.pid }, { kind: 'terminate' });
      return stay(sidecar);
    case 'launch-failed':
      return ended(sidecar, event.reason, false);
    case 'exited':
      return ended(sidecar, event.reason, state.kind === 'running' && event.atMs - state.sinceMs >= HEALTHY_MS);
    case 'backoff-over':
      if (state.kind !== 'backoff') return stay(sidecar);
      return to({ ...sidecar, restarts: sidecar.restarts + 1 }, { kind: 'starting' }, { kind: 'launch' });
    case 'stop':
      return stop(sidecar);
  }
}

function ended(sidecar: Sidecar, reason: string, wasHealthy: boolean): Step {
  const { state } = sidecar;
  if (state.kind === 'stopping') return to({ ...sidecar, lastExit: reason }, { kind: 'stopped' });
  if (state.kind !== 'starting' && state.kind !== 'running') return stay(sidecar);
  const failures = wasHealthy ? 1 : sidecar.failures + 1;
  return to({ ...sidecar, failures, lastExit: reason }, { kind: 'backoff' }, { kind: 'wait', failures });
}

function stop(sidecar: Sidecar): Step {
  const { state } = sidecar;
  switch (state.kind) {
    case 'starting':
      return to(sidecar, { kind: 'stopping', pid: 0 });
    case 'running':
      return to(sidecar, { kind: 'stopping', pid: state.pid }, { kind: 'terminate' });
    case 'backoff':
      return to(sidecar, { kind: 'stopped' }, { kind: 'cancel-wait' });
    case 'stopped':
    case 'stopping':
      return stay(sidecar);
  }
}

function to(sidecar: Sidecar, state: SidecarState, ...effects: SidecarEffect[]): Step {
  return { sidecar: { ...sidecar, state }, effects };
}

function stay(sidecar: Sidecar): Step {
  return { sidecar, effects: [] };
}
