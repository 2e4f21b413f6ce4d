// The one-line summary of a Pod, as kubectl shows it.
import { at, isObject, type JsonObject, type KubeObject, objectsAt, showValue, textAt } from '../api/objects.js';
import { AGE, ageOf, column, NAME, type TableColumn } from './columns.js';

const NONE = '<none>';

interface Restarts {
  count: number;
  /** Milliseconds since 1970; 0 = never. */
  lastMs: number;
}

function countRestarts(statuses: readonly JsonObject[]): Restarts {
  const restarts: Restarts = { count: 0, lastMs: 0 };
  for (const status of statuses) {
    restarts.count += Number(status['restartCount'] ?? 0);
    const finished = Date.parse(textAt(status, 'lastState', 'terminated', 'finishedAt'));
    if (finished > restarts.lastMs) restarts.lastMs = finished;
  }
  return restarts;
}

function restartsCell(pod: KubeObject, nowMs: number): string {
  const inits = objectsAt(pod.status, 'initContainerStatuses');
  const initializing = podStatus(pod).startsWith('Init:');
  const { count, lastMs } = countRestarts(initializing ? inits : objectsAt(pod.status, 'containerStatuses'));
  if (count === 0 || lastMs === 0) return String(count);
  return `${count} (${ageOf(new Date(lastMs).toISOString(), nowMs)} ago)`;
}

/** The STATUS column: the phase, or what keeps it from going on. */
export function podStatus(pod: KubeObject): string {
  const base = textAt(pod.status, 'reason') || textAt(pod.status, 'phase') || 'Unknown';
  const gated = objectsAt(pod.status, 'conditions').some(
    (condition) => condition['type'] === 'PodScheduled' && condition['reason'] === 'SchedulingGated',
  );
  const status = initStatus(pod) ?? containerStatus(pod) ?? (gated ? 'SchedulingGated' : base);
  if (pod.metadata.deletionTimestamp === undefined) return status;
  return base === 'NodeLost' ? 'Unknown' : 'Terminating';
}

function initStatus(pod: KubeObject): string | undefined {
  const statuses = objectsAt(pod.status, 'initContainerStatuses');
  const total = objectsAt(pod.spec, 'initContainers').length;
  for (const [index, status] of statuses.entries()) {
    const terminated = at(status, 'state', 'terminated');
    if (isObject(terminated) && terminated['exitCode'] === 0) continue;
    if (isSidecar(pod, textAt(status, 'name')) && status['started'] === true) continue;
    if (isObject(terminated)) return `Init:${endOf(terminated)}`;
    const waiting = textAt(status, 'state', 'waiting', 'reason');
    if (waiting !== '' && waiting !== 'PodInitializing') return `Init:${waiting}`;
    return `Init:${index}/${total}`;
  }
  return undefined;
}

function isSidecar(pod: KubeObject, name: string): boolean {
  return objectsAt(pod.spec, 'initContainers').some(
    (item) => item['name'] === name && item['restartPolicy'] === 'Always',
  );
}

function endOf(terminated: JsonObject): string {
  const reason = textAt(terminated, 'reason');
  if (reason !== '') return reason;
  return terminated['signal']
    ? `Signal:${showValue(terminated['signal'])}`
    : `ExitCode:${showValue(terminated['exitCode'])}`;
}

function containerStatus(pod: KubeObject): string | undefined {
  let status: string | undefined;
  let running = false;
  // The first container decides: go from the last to the first.
  for (const item of [...objectsAt(pod.status, 'containerStatuses')].reverse()) {
    const waiting = textAt(item, 'state', 'waiting', 'reason');
    const terminated = at(item, 'state', 'terminated');
    if (waiting !== '') status = waiting;
    else if (isObject(terminated)) status = endOf(terminated);
    else if (item['ready'] === true && isObject(at(item, 'state', 'running'))) running = true;
  }
  if (status !== 'Completed' || !running) return status;
  const ready = objectsAt(pod.status, 'conditions').some(
    (item) => item['type'] === 'Ready' && item['status'] === 'True',
  );
  return ready ? 'Running' : 'NotReady';
}

function readyCell(pod: KubeObject): string {
  const sidecars = objectsAt(pod.spec, 'initContainers').filter((item) => item['restartPolicy'] === 'Always');
  const total = objectsAt(pod.spec, 'containers').length + sidecars.length;
  const statuses = [
    ...objectsAt(pod.status, 'containerStatuses'),
    ...objectsAt(pod.status, 'initContainerStatuses').filter((item) => isSidecar(pod, textAt(item, 'name'))),
  ];
  return `${statuses.filter((item) => item['ready'] === true).length}/${total}`;
}

function gatesCell(pod: KubeObject): string {
  const gates = objectsAt(pod.spec, 'readinessGates');
  if (gates.length === 0) return NONE;
  const passed = gates.filter((gate) =>
    objectsAt(pod.status, 'conditions').some(
      (item) => item['type'] === gate['conditionType'] && item['status'] === 'True',
    ),
  );
  return `${passed.length}/${gates.length}`;
}

const wide = { priority: 1 };

export const POD_COLUMNS: readonly TableColumn[] = [
  NAME,
  column('Ready', readyCell),
  column('Status', podStatus),
  column('Restarts', restartsCell),
  AGE,
  column('IP', (pod) => textAt(objectsAt(pod.status, 'podIPs')[0], 'ip') || textAt(pod.status, 'podIP') || NONE, wide),
  column('Node', (pod) => textAt(pod.spec, 'nodeName') || NONE, wide),
  column('Nominated Node', (pod) => textAt(pod.status, 'nominatedNodeName') || NONE, wide),
  column('Readiness Gates', gatesCell, wide),
];
