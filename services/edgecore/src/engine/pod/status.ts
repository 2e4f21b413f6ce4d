// The Pod's status as the kubelet computes it: phase, conditions, container statuses.
// Invariants: a pure function; a condition's lastTransitionTime changes only with its status; a Pod that has failed or succeeded as a whole
// stays so, because its verdict or its exits stay.
import { isLive, type RuntimePod } from '../runtime/runtime.js';
import { containerStatus } from './container-status.js';
import { qosClassOf } from './qos.js';
import {
  type ContainerDef,
  type ContainerStatus,
  initContainers,
  kubeTime,
  type Pod,
  type PodCondition,
  type PodStatus,
  restartPolicyOf,
  type Verdict,
  type Waiting,
} from './types.js';

export interface StatusInputs {
  readonly pod: Pod;
  readonly runtime: RuntimePod | undefined;
  readonly runtimeName: string;
  readonly waiting: ReadonlyMap<string, Waiting>;
  readonly verdict: Verdict | undefined;
  /** The Pod is on its way out: what does not run will not run again. */
  readonly ending: boolean;
  readonly hostIPs: readonly string[];
  /** When the node accepted the Pod, Unix ms. */
  readonly startedAtMs: number;
  /** For the transition times. */
  readonly previous: PodStatus | undefined;
  readonly nowMs: number;
}

export function podStatus(inputs: StatusInputs): PodStatus {
  const { pod, verdict } = inputs;
  const inits = initContainers(pod);
  const initStatuses = inits.map((def) => statusOf(inputs, def));
  const statuses = pod.spec.containers.map((def) => statusOf(inputs, def));
  const phase = phaseOf(inputs, initStatuses, statuses);
  return {
    phase,
    ...(verdict ? { reason: verdict.reason, message: verdict.message } : {}),
    conditions: conditionsOf(inputs, phase, initStatuses, statuses),
    ...addressesOf(inputs),
    startTime: kubeTime(inputs.startedAtMs),
    qosClass: qosClassOf(pod),
    ...(inits.length > 0 ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: statuses,
  };
}

/** A Pod that was refused before anything of it started: there are no containers to tell of. */
export function refusedStatus(pod: Pod, verdict: Verdict, startedAtMs: number): PodStatus {
  return { phase: 'Failed', ...verdict, startTime: kubeTime(startedAtMs), qosClass: qosClassOf(pod) };
}

export const isTerminalPhase = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed';

function statusOf(inputs: StatusInputs, def: ContainerDef): ContainerStatus {
  return containerStatus({
    def,
    attempts: (inputs.runtime?.containers ?? []).filter(({ labels }) => labels.container === def.name),
    waiting: inputs.waiting.get(def.name),
    initialReason: initContainers(inputs.pod).length > 0 ? 'PodInitializing' : 'ContainerCreating',
    runtimeName: inputs.runtimeName,
  });
}

function phaseOf(
  inputs: StatusInputs,
  inits: readonly ContainerStatus[],
  mains: readonly ContainerStatus[],
): NonNullable<PodStatus['phase']> {
  const live = (inputs.runtime?.containers ?? []).some(isLive);
  const policy = restartPolicyOf(inputs.pod);
  if (inputs.verdict) return live ? runningPhase(policy, inits, mains) : 'Failed';
  if (inputs.ending && !live) return mains.every(succeeded) ? 'Succeeded' : 'Failed';
  return runningPhase(policy, inits, mains);
}

function runningPhase(policy: string, inits: readonly ContainerStatus[], mains: readonly ContainerStatus[]) {
  const initFailed = inits.some((status) => (exitCodeOf(status) ?? 0) !== 0);
  if (initFailed && policy === 'Never') return 'Failed';
  const begun = mains.some((status) => status.state?.running || exitCodeOf(status) !== undefined);
  if (!begun && !inits.every(succeeded)) return 'Pending';
  if (mains.some((status) => status.state?.waiting && !status.lastState?.terminated)) return 'Pending';
  if (mains.some((status) => status.state?.running)) return 'Running';
  if (policy === 'Always') return 'Running';
  if (mains.every(succeeded)) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

/** Of a container that has ended, or waits after an end. */
function exitCodeOf(status: ContainerStatus): number | undefined {
  if (status.state?.terminated) return status.state.terminated.exitCode;
  return status.state?.waiting ? status.lastState?.terminated?.exitCode : undefined;
}

const succeeded = (status: ContainerStatus): boolean => status.state?.terminated?.exitCode === 0;

function conditionsOf(
  inputs: StatusInputs,
  phase: string,
  inits: readonly ContainerStatus[],
  mains: readonly ContainerStatus[],
): PodCondition[] {
  const sandbox = inputs.runtime?.sandbox?.ready ?? false;
  const uninitialized = mains.some((status) => status.started) ? [] : inits.filter((status) => !status.ready);
  const ready = readiness(phase, mains);
  return [
    condition(inputs, 'PodReadyToStartContainers', { met: sandbox && !isTerminalPhase(phase) }),
    condition(
      inputs,
      'Initialized',
      phase === 'Succeeded'
        ? { met: true, reason: 'PodCompleted' }
        : lacking('ContainersNotInitialized', 'incomplete', uninitialized),
    ),
    condition(inputs, 'Ready', ready),
    condition(inputs, 'ContainersReady', ready),
    condition(inputs, 'PodScheduled', { met: true }),
  ];
}

interface Fact {
  readonly met: boolean;
  readonly reason?: string;
  readonly message?: string;
}

function readiness(phase: string, mains: readonly ContainerStatus[]): Fact {
  if (phase === 'Succeeded') return { met: false, reason: 'PodCompleted' };
  if (phase === 'Failed') return { met: false, reason: 'PodFailed' };
  return lacking(
    'ContainersNotReady',
    'unready',
    mains.filter((status) => !status.ready),
  );
}

function lacking(reason: string, what: string, statuses: readonly ContainerStatus[]): Fact {
  if (statuses.length === 0) return { met: true };
  return {
    met: false,
    reason,
    message: `containers with ${what} status: [${statuses.map(({ name }) => name).join(' ')}]`,
  };
}

function condition(inputs: StatusInputs, type: string, fact: Fact): PodCondition {
  const status = fact.met ? 'True' : 'False';
  const before = inputs.previous?.conditions?.find((other) => other.type === type);
  const since = before?.status === status ? before.lastTransitionTime : undefined;
  return {
    type,
    status,
    ...(fact.reason === undefined ? {} : { reason: fact.reason }),
    ...(fact.message === undefined ? {} : { message: fact.message }),
    lastTransitionTime: since ?? kubeTime(inputs.nowMs),
  };
}

function addressesOf({
  pod,
  runtime,
  hostIPs,
}: StatusInputs): Pick<PodStatus, 'hostIP' | 'hostIPs' | 'podIP' | 'podIPs'> {
  const ips = runtime?.sandbox ? (pod.spec.hostNetwork ? hostIPs : runtime.sandbox.ips) : [];
  return {
    ...(hostIPs[0] === undefined ? {} : { hostIP: hostIPs[0], hostIPs: hostIPs.map((ip) => ({ ip })) }),
    ...(ips[0] === undefined ? {} : { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
  };
}
