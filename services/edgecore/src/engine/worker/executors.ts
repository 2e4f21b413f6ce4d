// How each step of a plan is carried out. Effects only: what to do was decided by the plan.
// Invariant: a step that fails leaves a note in the worker's memory that paces the next try, and an Event; the steps after it are not tried.
import type { Clock } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { DesiredPod } from '../desired/desired-state.js';
import type { CrashBackoff } from '../plan/backoff.js';
import type { Executors, Step } from '../plan/steps.js';
import { containerSpec, type SpecResult, specHashOf } from '../pod/container-spec.js';
import type { PodFacts } from '../pod/env.js';
import { type ContainerDef, graceMsOf, initContainers } from '../pod/types.js';
import type { ContainerLabels, PodRef, Runtime, Sandbox } from '../runtime/runtime.js';
import type { Volumes } from '../volume/volumes.js';
import { nextFailure, type Pace, type WorkerMemory } from './memory.js';
import type { PodEvents } from './pod-events.js';

export interface ExecutorContext {
  readonly ref: PodRef;
  readonly runtime: Runtime;
  readonly volumes: Volumes;
  readonly events: PodEvents;
  readonly memory: WorkerMemory;
  readonly backoff: CrashBackoff;
  readonly clock: Clock;
  readonly nodeName: string;
  readonly hostIPs: () => readonly string[];
  /** What is wanted now; undefined for a Pod that is being removed. */
  readonly desired: () => DesiredPod | undefined;
  readonly onFilesRemoved: () => void;
}

/** Source of the numbers: the kubelet's exponential back-off of volume operations. */
const MOUNT_PACE: Pace = { baseMs: 500, maxMs: 122_000 };

type StartStep = Extract<Step, { kind: 'startContainer' }>;

export function createExecutors(context: ExecutorContext): Executors {
  const { ref, runtime, volumes, events, memory, clock } = context;

  async function mountVolumes(): Promise<void> {
    const desired = wanted(context);
    try {
      await volumes.mount(desired.pod, desired.references);
    } catch (error) {
      const what = { reason: 'FailedMount', retryReason: 'FailedMount', message: messageOf(error) };
      memory.mountFailure = nextFailure(memory.mountFailure, what, clock.monotonicMs(), MOUNT_PACE);
      events.mountFailed(what.message);
      throw error;
    }
    memory.mountFailure = undefined;
    memory.mountedStamp = desired.referencesStamp;
  }

  async function ensureSandbox(): Promise<void> {
    const { pod } = wanted(context);
    try {
      await runtime.ensureSandbox({
        pod: ref,
        annotations: pod.metadata.annotations ?? {},
        hostNetwork: pod.spec.hostNetwork ?? false,
        graceMs: graceMsOf(pod),
      });
    } catch (error) {
      events.sandboxFailed(messageOf(error));
      throw error;
    }
  }

  async function startContainer(step: StartStep): Promise<void> {
    const { container: name } = step;
    const desired = wanted(context);
    const def = definitionOf(desired, name);
    await attempt(step, 'ErrImagePull', 'ImagePullBackOff', () =>
      runtime.ensureImage({ image: def.image ?? '', pod: ref, container: name }),
    );
    const sandbox = (await runtime.inspect(ref.uid))?.sandbox;
    const built = specFor(context, desired, def, sandbox);
    // The plan asked before; what changed since is the next plan's business.
    if (built.kind === 'missing') throw new SkerryError('failed_precondition', built.message);
    if (built.skippedEnv.length > 0) events.badEnvNames(name, built.skippedEnv);
    const labels = labelsOf(ref, step, def);
    const id = await attempt(step, 'CreateContainerError', 'CreateContainerError', () =>
      runtime.createContainer({ ...built.spec, labels }),
    );
    events.created(name);
    await attempt(step, 'RunContainerError', 'RunContainerError', () => runtime.startContainer(id));
    memory.failures.delete(name);
    await tellStart(id, name);
  }

  async function tellStart(id: string, name: string): Promise<void> {
    const started = (await runtime.inspect(ref.uid))?.containers.find((container) => container.id === id);
    const exit = started?.state.kind === 'exited' ? started.state.exit : undefined;
    if (exit?.reason === 'StartError') events.failed(name, exit.message ?? 'it could not be started');
    else events.started(name);
  }

  /** One of the things that go before a running container; its failure is told and paced. */
  async function attempt<T>(step: StartStep, reason: string, retryReason: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { container: name } = step;
      const what = { reason, retryReason, message: messageOf(error) };
      memory.failures.set(name, nextFailure(memory.failures.get(name), what, clock.monotonicMs(), context.backoff));
      if (reason === 'ErrImagePull')
        events.pullFailed(name, definitionOf(wanted(context), name).image ?? '', what.message);
      else events.failed(name, what.message);
      throw error;
    }
  }

  return {
    mountVolumes,
    ensureSandbox,
    startContainer,
    async stopContainer({ id, container, graceMs, why }) {
      await runtime.stopContainer(id, graceMs);
      memory.stops.set(id, { atMs: clock.monotonicMs() });
      events.stopping(container, why);
    },
    async killContainer({ id }) {
      await runtime.killContainer(id);
      const nowMs = clock.monotonicMs();
      memory.stops.set(id, { atMs: memory.stops.get(id)?.atMs ?? nowMs, killedAtMs: nowMs });
    },
    removeContainer: ({ id }) => runtime.removeContainer(id),
    removeSandbox: () => runtime.removeSandbox(ref.uid),
    async removeFiles() {
      await volumes.remove(ref.uid);
      context.onFilesRemoved();
    },
  };
}

/** The container's spec as it would be created now, or what it lacks. */
export function specFor(
  context: Pick<ExecutorContext, 'runtime' | 'volumes' | 'nodeName' | 'hostIPs'>,
  desired: DesiredPod,
  container: ContainerDef,
  sandbox: Sandbox | undefined,
): SpecResult {
  const { pod, references } = desired;
  const hostIPs = context.hostIPs();
  const podIPs = pod.spec.hostNetwork ? hostIPs : (sandbox?.ips ?? []);
  const facts: PodFacts = { nodeName: context.nodeName, hostIPs, podIPs };
  return containerSpec({
    pod,
    container,
    references,
    facts,
    environment: context.runtime.environment(pod.metadata.uid, container.name),
    volumePath: (volume) => context.volumes.path(pod, volume),
  });
}

function labelsOf(pod: PodRef, step: StartStep, def: ContainerDef): ContainerLabels {
  const { container, containerKind: kind, attempt, sandboxAttempt, backoffMs } = step;
  return { pod, container, kind, attempt, sandboxAttempt, backoffMs, specHash: specHashOf(def) };
}

function wanted(context: ExecutorContext): DesiredPod {
  const desired = context.desired();
  if (!desired) throw new SkerryError('cancelled', `Pod ${context.ref.uid} is not wanted any more`);
  return desired;
}

function definitionOf({ pod }: DesiredPod, name: string): ContainerDef {
  const found = [...initContainers(pod), ...pod.spec.containers].find((container) => container.name === name);
  if (!found) throw new SkerryError('cancelled', `Pod ${pod.metadata.uid} has no container ${name} any more`);
  return found;
}
