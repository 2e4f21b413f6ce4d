// What becomes of a Pod's status when its edge reports: pure.
// Invariants: fields and conditions that an edge does not own stay as they are; a terminal phase, with its reason, is never left again, and
// what a terminal status tells is never taken away.
// Source of the rules: the kubelet's status manager, whose part the edge plays here.
import { objectMember, parseJsonObject } from '@skerry/common/controller/json';
import { SkerryError } from '@skerry/common/errors';
import type { Pod } from '@skerry/common/kube/resources';
import { byType, type Condition, edgeOwned, isCondition, mergeConditions, mergePatchOf } from './conditions.js';

export type PodStatus = NonNullable<Pod['status']>;
type Fields = Record<string, unknown>;

export interface PodReport {
  readonly status: PodStatus;
  /** No container of the Pod runs any longer, and the edge has seen its deletionTimestamp. */
  readonly stopped: boolean;
}

/** What an edge may set; all else (qosClass, nominatedNodeName, resize ...) belongs to others. */
const EDGE_FIELDS = [
  'phase',
  'message',
  'reason',
  'hostIP',
  'hostIPs',
  'podIP',
  'podIPs',
  'startTime',
  'initContainerStatuses',
  'containerStatuses',
  'ephemeralContainerStatuses',
] as const;

const isOwned = edgeOwned(['Initialized', 'Ready', 'ContainersReady', 'PodReadyToStartContainers']);
const PHASES = new Set(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']);

/** Throws `invalid_argument` for what is no report. */
export function parsePodReport(payload: Uint8Array): PodReport {
  const report = parseJsonObject(payload, 'the Pod status');
  const status = objectMember(report, 'status', 'the Pod status');
  const { phase, conditions } = status;
  if (typeof phase !== 'string' || !PHASES.has(phase))
    throw new SkerryError('invalid_argument', `the Pod status has no phase: want one of ${[...PHASES].join(', ')}`);
  if (conditions !== undefined && !(Array.isArray(conditions) && conditions.every(isCondition)))
    throw new SkerryError('invalid_argument', 'the Pod status has conditions without type and status');
  return { status: status as PodStatus, stopped: report['stopped'] === true };
}

export function isTerminal(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

export function mergePodStatus(live: PodStatus | undefined, reported: PodStatus): PodStatus {
  const before: Fields = { ...live };
  const merged: Fields = { ...live };
  // An edge that lost its store knows the phase of a finished Pod, and nothing else of it.
  const known: PodStatus = isTerminal(live?.phase) ? { ...live, ...reported } : reported;
  for (const field of EDGE_FIELDS) setOrDelete(merged, field, known[field]);
  if (live?.startTime) merged['startTime'] = live.startTime;
  if (isTerminal(live?.phase) && live?.phase !== reported.phase) {
    for (const field of ['phase', 'reason', 'message']) setOrDelete(merged, field, before[field]);
  }
  merged['conditions'] = mergeConditions(
    live?.conditions as Condition[] | undefined,
    known.conditions as Condition[] | undefined,
    isOwned,
  );
  return merged as PodStatus;
}

function setOrDelete(fields: Fields, name: string, value: unknown): void {
  if (value === undefined) delete fields[name];
  else fields[name] = value;
}

/** Merge patch of the status; undefined when the report changes nothing. */
export function podStatusPatch(live: PodStatus | undefined, reported: PodStatus): Fields | undefined {
  const before = { ...live, conditions: byType(live?.conditions as Condition[] | undefined) };
  return mergePatchOf(before, { ...mergePodStatus(live, reported) });
}

/** Status of the Ready condition. */
export function readyOf(status: PodStatus | undefined): string | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.status;
}
