// The Node object of this machine, as a pure function of facts, the engine's liveness and what was said before.
// Invariant: the transition time of a condition changes only when its status does.
import type { SidecarAlive } from '../supervisor/alive.js';
import type { NodeFacts } from './node-facts.js';

export interface ConditionState {
  readonly status: 'True' | 'False';
  /** Unix milliseconds. */
  readonly sinceMs: number;
}

/** By condition type: what was said last. */
export type ConditionStates = Readonly<Record<string, ConditionState>>;

export interface NodeStatusInput {
  readonly node: string;
  readonly runtime: string;
  readonly softwareVersion: string;
  readonly facts: NodeFacts;
  /** Undefined until the engine has said something since edgecore started. */
  readonly engine: SidecarAlive | undefined;
  /** Monotonic now, and when edgecore started. */
  readonly monotonicMs: number;
  readonly startedMs: number;
  /** The cloud's time, Unix milliseconds. */
  readonly nowMs: number;
  readonly before: ConditionStates;
}

export interface NodeStatus {
  /** The payload of the key node//<name>. */
  readonly object: object;
  readonly conditions: ConditionStates;
}

/** A reconcile that has not turned for so long is taken for dead. */
export const ALIVE_WITHIN_MS = 60_000;
const MAX_PODS = 110;
const MAX_MESSAGE = 500;

interface Verdict {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export function nodeStatus(input: NodeStatusInput): NodeStatus {
  const { facts, node, nowMs, before } = input;
  const verdicts = [readiness(input), ...pressures()];
  const conditions: Record<string, ConditionState> = {};
  for (const { type, status } of verdicts) {
    const known = before[type];
    conditions[type] = known?.status === status ? known : { status, sinceMs: nowMs };
  }
  const resources = {
    cpu: `${facts.cpus}`,
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(facts.storageBytes / 1024)}Ki`,
    pods: `${MAX_PODS}`,
  };
  const object = {
    metadata: { name: node, labels: labelsOf(input), annotations: { 'skerry.dev/version': input.softwareVersion } },
    status: {
      capacity: resources,
      allocatable: resources,
      conditions: verdicts.map((verdict) => ({
        ...verdict,
        lastHeartbeatTime: kubeTime(nowMs),
        lastTransitionTime: kubeTime(conditions[verdict.type]?.sinceMs ?? nowMs),
      })),
      addresses: [
        { type: 'InternalIP', address: facts.internalIp },
        { type: 'Hostname', address: facts.hostname },
      ],
      nodeInfo: nodeInfoOf(input),
    },
  };
  return { object, conditions };
}

/** While the engine starts, what was said before edgecore started stays: a restart of the agent is no outage of the node. */
function readiness({ engine, monotonicMs, startedMs, before }: NodeStatusInput): Verdict {
  const type = 'Ready';
  if (engine && monotonicMs - engine.atMs < ALIVE_WITHIN_MS) {
    if (engine.ok) return { type, status: 'True', reason: 'EngineReady', message: 'the engine reconciles Pods' };
    const message = engine.reason.slice(0, MAX_MESSAGE) || 'the engine cannot do its work';
    return { type, status: 'False', reason: 'EngineNotReady', message };
  }
  if (!engine && monotonicMs - startedMs < ALIVE_WITHIN_MS) {
    const status = before[type]?.status ?? 'False';
    return { type, status, reason: 'EngineStarting', message: 'the engine has not reported yet' };
  }
  const silentS = Math.round((monotonicMs - (engine?.atMs ?? startedMs)) / 1_000);
  // A message that changed at each look would be a write at each look.
  const message = `the engine has not finished a reconcile for more than ${Math.floor(silentS / 60)} min`;
  return { type, status: 'False', reason: 'EngineSilent', message };
}

/** Pressure is not measured by edgecore: it never evicts. */
function pressures(): Verdict[] {
  return ['MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
    ...{ type, status: 'False' as const },
    ...{ reason: 'EdgeHasNoPressure', message: 'the edge does not evict Pods' },
  }));
}

function labelsOf({ node, facts, runtime }: NodeStatusInput): Record<string, string> {
  return {
    'node-role.kubernetes.io/edge': '',
    'kubernetes.io/os': facts.operatingSystem,
    'kubernetes.io/arch': facts.architecture,
    'kubernetes.io/hostname': node,
    'skerry.dev/runtime': runtime,
  };
}

function nodeInfoOf({ facts, runtime, softwareVersion }: NodeStatusInput): object {
  return {
    machineID: facts.machineId,
    systemUUID: facts.machineId,
    bootID: facts.bootId,
    kernelVersion: facts.kernelVersion,
    osImage: facts.osImage,
    containerRuntimeVersion: `${runtime}://${softwareVersion}`,
    kubeletVersion: `v${softwareVersion}-skerry`,
    kubeProxyVersion: '',
    operatingSystem: facts.operatingSystem,
    architecture: facts.architecture,
  };
}

/** Kubernetes' times have whole seconds. */
function kubeTime(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, 19)}Z`;
}
