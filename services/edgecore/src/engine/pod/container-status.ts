// A container's part of the Pod's status, as the kubelet tells it.
// Invariant: derived from what the runtime says and why the plan waits; nothing is remembered here.
import type { Container, ExitInfo } from '../runtime/runtime.js';
import { type ContainerDef, type ContainerStateStatus, type ContainerStatus, kubeTime, type Waiting } from './types.js';

export interface ContainerView {
  readonly def: ContainerDef;
  /** All attempts that the runtime still has. */
  readonly attempts: readonly Container[];
  /** Why the plan does not start it. */
  readonly waiting: Waiting | undefined;
  /** Told of a container that was never started. */
  readonly initialReason: string;
  readonly runtimeName: string;
}

export function containerStatus(view: ContainerView): ContainerStatus {
  const attempts = view.attempts
    .filter(({ state }) => state.kind !== 'created')
    .sort((a, b) => a.labels.attempt - b.labels.attempt);
  const latest = attempts.at(-1);
  const before = attempts.at(-2);
  const state = stateOf(view, latest);
  // A container that waits after an exit tells of that exit; any other of the one before it.
  const last = state.waiting && latest?.state.kind === 'exited' ? latest : before;
  const running = state.running !== undefined;
  return {
    name: view.def.name,
    state,
    ...(last?.state.kind === 'exited' ? { lastState: { terminated: terminated(view, last, last.state.exit) } } : {}),
    ready: latest?.labels.kind === 'init' ? state.terminated?.exitCode === 0 : running,
    started: running,
    restartCount: latest?.labels.attempt ?? 0,
    image: view.def.image ?? '',
    imageID: latest?.imageId ?? '',
    ...(latest ? { containerID: containerId(view, latest) } : {}),
  };
}

function stateOf(view: ContainerView, latest: Container | undefined): ContainerStateStatus {
  if (latest?.state.kind === 'running') return { running: { startedAt: kubeTime(latest.state.startedAtMs) } };
  if (latest?.state.kind === 'exited' && !view.waiting)
    return { terminated: terminated(view, latest, latest.state.exit) };
  if (latest?.state.kind === 'starting') return { waiting: { reason: 'ContainerCreating' } };
  const { reason, message } = view.waiting ?? { reason: view.initialReason };
  return { waiting: { reason, ...(message === undefined ? {} : { message }) } };
}

function terminated(
  view: ContainerView,
  container: Container,
  exit: ExitInfo,
): NonNullable<ContainerStateStatus['terminated']> {
  const startedAtMs = exit.startedAtMs ?? exit.finishedAtMs;
  return {
    exitCode: exit.exitCode,
    reason: exit.reason ?? (exit.oom ? 'OOMKilled' : exit.exitCode === 0 ? 'Completed' : 'Error'),
    ...(exit.message === undefined ? {} : { message: exit.message }),
    startedAt: kubeTime(startedAtMs),
    finishedAt: kubeTime(exit.finishedAtMs),
    containerID: containerId(view, container),
  };
}

const containerId = (view: ContainerView, container: Container): string => `${view.runtimeName}://${container.id}`;
