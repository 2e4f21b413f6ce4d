// Keeps the sidecars running: performs what the machine decides for each of them.
// Invariants: sidecars do not wait for one another; stop resolves when no instance is left, by force if need be.
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { backoffMs } from '@skerry/common/kube/backoff';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { Instance, Launcher } from './launcher.js';
import { initialSidecar, type Sidecar, type SidecarEffect, type SidecarEvent, step } from './machine.js';

export interface SupervisorOptions<Name extends string> {
  readonly names: readonly Name[];
  readonly launch: Launcher<Name>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
  /** How long a sidecar may take to stop before it is ended by force. */
  readonly stopGraceMs?: number;
}

export interface Supervisor extends Component {
  /** In the order of `names`. */
  sidecars(): ReadonlyArray<Sidecar & { readonly name: string }>;
}

/** A node without its engine is not a node: even one that keeps crashing is tried again soon. */
const BACKOFF = { baseMs: 500, maxMs: 10_000 };
const STOP_GRACE_MS = 5_000;

interface Watched<Name extends string> {
  readonly name: Name;
  sidecar: Sidecar;
  instance: Instance | undefined;
  wait: Timer | undefined;
  whenStopped: (() => void) | undefined;
}

export function createSupervisor<Name extends string>(options: SupervisorOptions<Name>): Supervisor {
  const { launch, clock, logger, random = Math.random, stopGraceMs = STOP_GRACE_MS } = options;
  const stopping = new AbortController();
  let stopDeadline: AbortSignal | undefined;
  const all = options.names.map((name): Watched<Name> => {
    return { name, sidecar: initialSidecar, instance: undefined, wait: undefined, whenStopped: undefined };
  });

  function handle(watched: Watched<Name>, event: SidecarEvent): void {
    const before = watched.sidecar.state.kind;
    const { sidecar, effects } = step(watched.sidecar, event);
    watched.sidecar = sidecar;
    if (sidecar.state.kind !== before) tell(watched);
    for (const effect of effects) perform(watched, effect);
    if (sidecar.state.kind === 'stopped') watched.whenStopped?.();
  }

  function perform(watched: Watched<Name>, effect: SidecarEffect): void {
    switch (effect.kind) {
      case 'launch':
        start(watched);
        return;
      case 'terminate':
        watched.instance?.terminate(stopGraceMs, stopDeadline);
        return;
      case 'wait':
        watched.wait = clock.after(backoffMs(effect.failures, BACKOFF, random), () =>
          handle(watched, { kind: 'backoff-over' }),
        );
        return;
      case 'cancel-wait':
        watched.wait?.cancel();
        return;
    }
  }

  function start(watched: Watched<Name>): void {
    launch(watched.name, stopping.signal).then(
      (instance) => {
        watched.instance = instance;
        handle(watched, { kind: 'launched', pid: instance.pid, atMs: clock.monotonicMs() });
        void instance.exited.then((reason) => {
          watched.instance = undefined;
          handle(watched, { kind: 'exited', reason, atMs: clock.monotonicMs() });
        });
      },
      (error: unknown) => handle(watched, { kind: 'launch-failed', reason: messageOf(error) }),
    );
  }

  function tell({ name, sidecar }: Watched<Name>): void {
    const { state, restarts, failures, lastExit } = sidecar;
    const fields = { sidecar: name, state: state.kind, restarts };
    if (state.kind === 'backoff') logger.warn('sidecar ended', { ...fields, failures, reason: lastExit });
    else logger.info('sidecar', { ...fields, ...('pid' in state ? { pid: state.pid } : {}) });
  }

  async function stop(deadline: AbortSignal): Promise<void> {
    stopDeadline = deadline;
    const stopped = all.map(
      (watched) =>
        new Promise<void>((resolve) => {
          watched.whenStopped = resolve;
          handle(watched, { kind: 'stop' });
        }),
    );
    // A launch that waits for an old instance gives up.
    stopping.abort();
    await Promise.all(stopped);
  }

  return {
    name: 'supervisor',
    async start() {
      for (const watched of all) handle(watched, { kind: 'start' });
    },
    stop,
    sidecars: () => all.map(({ name, sidecar }) => ({ ...sidecar, name })),
  };
}
