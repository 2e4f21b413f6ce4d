// What silence makes of a node: its conditions, and the taints that its conditions ask for. Pure.
import { at, isObject, type JsonObject, type KubeObject, objectsAt } from '../api/objects.js';
import { findCondition, withCondition } from '../controllers/conditions.js';

export interface SilenceLimits {
  /** Silence after which a node that had reported is no longer trusted, milliseconds. */
  readonly graceMs: number;
  /** The same for a node that never reported. */
  readonly startupGraceMs: number;
}

/** What a silent node can no longer vouch for. */
const VOUCHED = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'] as const;

/** Milliseconds until the node counts as silent, 0 when it does; undefined when that is already written down. */
export function trustLeftMs(node: KubeObject, silentMs: number, limits: SilenceLimits): number | undefined {
  const ready = findCondition(node.status, 'Ready');
  if (ready?.['status'] === 'Unknown') return undefined;
  return Math.max(0, (ready === undefined ? limits.startupGraceMs : limits.graceMs) - silentMs);
}

/** The status of a node that fell silent: Ready and the other conditions it had are Unknown. `now`: RFC 3339. */
export function silentStatus(node: KubeObject, now: string): JsonObject {
  let status: JsonObject = isObject(node.status) ? node.status : {};
  for (const type of VOUCHED) {
    const known = findCondition(status, type) !== undefined;
    if (!known && type !== 'Ready') continue;
    const [reason, message] = known
      ? ['NodeStatusUnknown', 'Kubelet stopped posting node status.']
      : ['NodeStatusNeverUpdated', 'Kubelet never posted node status.'];
    status = withCondition(status, { type, status: 'Unknown', reason, message }, now) ?? status;
  }
  return status;
}

interface ConditionTaint {
  readonly type: string;
  readonly status: string;
  readonly key: string;
  readonly effects: readonly string[];
}

const PREFIX = 'node.kubernetes.io/';
const CONDITION_TAINTS: readonly ConditionTaint[] = [
  { type: 'Ready', status: 'False', key: `${PREFIX}not-ready`, effects: ['NoSchedule', 'NoExecute'] },
  { type: 'Ready', status: 'Unknown', key: `${PREFIX}unreachable`, effects: ['NoSchedule', 'NoExecute'] },
  { type: 'MemoryPressure', status: 'True', key: `${PREFIX}memory-pressure`, effects: ['NoSchedule'] },
  { type: 'DiskPressure', status: 'True', key: `${PREFIX}disk-pressure`, effects: ['NoSchedule'] },
  { type: 'PIDPressure', status: 'True', key: `${PREFIX}pid-pressure`, effects: ['NoSchedule'] },
  { type: 'NetworkUnavailable', status: 'True', key: `${PREFIX}network-unavailable`, effects: ['NoSchedule'] },
];
const CORDONED = `${PREFIX}unschedulable`;
const MANAGED: ReadonlySet<unknown> = new Set([...CONDITION_TAINTS.map(({ key }) => key), CORDONED]);

/** Those of `key:effect` that the node's conditions and spec.unschedulable ask for. */
function wantedTaints(node: KubeObject): Set<string> {
  const wanted = new Set<string>();
  for (const { type, status, key, effects } of CONDITION_TAINTS) {
    if (findCondition(node.status, type)?.['status'] !== status) continue;
    for (const effect of effects) wanted.add(`${key}:${effect}`);
  }
  // Never heard of: it takes no Pods, but has none to lose.
  if (findCondition(node.status, 'Ready') === undefined) wanted.add(`${PREFIX}not-ready:NoSchedule`);
  if (at(node.spec, 'unschedulable') === true) wanted.add(`${CORDONED}:NoSchedule`);
  return wanted;
}

/** The node's taints as they ought to be; undefined when they are. Taints of others are kept. `now`: RFC 3339. */
export function correctedTaints(node: KubeObject, now: string): readonly JsonObject[] | undefined {
  const missing = wantedTaints(node);
  const taints = objectsAt(node.spec, 'taints');
  // Of those we manage, each that is still wanted stays as it is and is missing no longer.
  const kept = taints.filter(
    ({ key, effect }) => !MANAGED.has(key) || missing.delete(`${String(key)}:${String(effect)}`),
  );
  if (missing.size === 0 && kept.length === taints.length) return undefined;
  const added = [...missing].map((text) => {
    const [key, effect] = text.split(':');
    return { key, effect, timeAdded: now };
  });
  return [...kept, ...added];
}
