// What becomes of a Node when its edge reports: pure.
// Invariants: an edge sets labels and annotations from the allow-list only, never taints; conditions it does not own stay; a report that
// differs in nothing but heartbeat times is written once in five minutes.
import { objectMember, parseJsonObject, textMembers } from '@skerry/common/controller/json';
import { SkerryError } from '@skerry/common/errors';
import type { Node } from '@skerry/common/kube/resources';
import { AUTONOMY_ANNOTATION } from '../autonomy/tolerations.js';
import {
  byType,
  type Condition,
  edgeOwned,
  isCondition,
  mergeConditions,
  mergePatchOf,
  sameJson,
} from './conditions.js';

export type NodeStatus = NonNullable<Node['status']>;
type Texts = Record<string, string>;

export interface NodeReport {
  readonly labels: Texts;
  readonly annotations: Texts;
  readonly status: NodeStatus;
  /** Labels and annotations that an edge may not set; they are left out above. */
  readonly ignored: readonly string[];
}

export const EDGE_ROLE_LABEL = 'node-role.kubernetes.io/edge';
const OWN_LABELS = new Set([EDGE_ROLE_LABEL, 'kubernetes.io/arch', 'kubernetes.io/os', 'kubernetes.io/hostname']);
const OWN_PREFIXES = ['skerry.dev/', 'node.skerry.dev/'];
const EDGE_FIELDS = ['capacity', 'allocatable', 'addresses', 'nodeInfo'] as const;
/** The kubelet's nodeStatusReportFrequency. */
const HEARTBEAT_MS = 300_000;

const isOwned = edgeOwned(['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure', 'NetworkUnavailable']);

/** Throws `invalid_argument` for what is no report. */
export function parseNodeReport(payload: Uint8Array): NodeReport {
  const what = 'the Node status';
  const report = parseJsonObject(payload, what);
  const metadata = objectMember(report, 'metadata', what);
  const status = objectMember(report, 'status', what);
  const { conditions } = status;
  if (conditions !== undefined && !(Array.isArray(conditions) && conditions.every(isCondition)))
    throw new SkerryError('invalid_argument', `${what} has conditions without type and status`);
  const labels = textMembers(objectMember(metadata, 'labels', what));
  const annotations = textMembers(objectMember(metadata, 'annotations', what));
  return {
    labels: { ...pick(labels, mayLabel), [EDGE_ROLE_LABEL]: '' },
    annotations: pick(annotations, mayAnnotate),
    status: status as NodeStatus,
    ignored: [
      ...Object.keys(labels).filter((name) => !mayLabel(name)),
      ...Object.keys(annotations).filter((name) => !mayAnnotate(name)),
    ],
  };
}

function mayLabel(name: string): boolean {
  return OWN_LABELS.has(name) || OWN_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** Autonomy is for the owner of the cluster to grant: it decides about evictions. */
function mayAnnotate(name: string): boolean {
  return name !== AUTONOMY_ANNOTATION && OWN_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function pick(texts: Texts, wanted: (name: string) => boolean): Texts {
  return Object.fromEntries(Object.entries(texts).filter(([name]) => wanted(name)));
}

/** The Node object of an edge that has none yet; its status is written afterwards. */
export function nodeToRegister(name: string, report: NodeReport): Node {
  return { metadata: { name, labels: { ...report.labels }, annotations: { ...report.annotations } } };
}

/** Merge patch of the metadata; undefined when the Node has all that was reported. */
export function nodeMetadataPatch(live: Node, report: NodeReport): object | undefined {
  const labels = differing(live.metadata?.labels, report.labels);
  const annotations = differing(live.metadata?.annotations, report.annotations);
  if (!labels && !annotations) return undefined;
  return { ...(labels && { labels }), ...(annotations && { annotations }) };
}

function differing(live: Texts | undefined, wanted: Texts): Texts | undefined {
  const changed = Object.entries(wanted).filter(([name, value]) => live?.[name] !== value);
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

/** Merge patch of the status; undefined when there is nothing worth a write. */
export function nodeStatusPatch(live: NodeStatus | undefined, reported: NodeStatus, nowMs: number): object | undefined {
  const before = { ...live, conditions: byType(live?.conditions as Condition[] | undefined) };
  const next: Record<string, unknown> = { ...before };
  for (const field of EDGE_FIELDS) if (reported[field] !== undefined) next[field] = reported[field];
  next['conditions'] = mergeConditions(before.conditions, reported.conditions as Condition[] | undefined, isOwned);
  const patch = mergePatchOf(before, next);
  const onlyHeartbeats =
    patch !== undefined &&
    Object.keys(patch).every((field) => field === 'conditions') &&
    sameJson(before.conditions.map(withoutHeartbeat), (next['conditions'] as Condition[]).map(withoutHeartbeat));
  return onlyHeartbeats && nowMs - newestHeartbeat(before.conditions) < HEARTBEAT_MS ? undefined : patch;
}

function withoutHeartbeat({ lastHeartbeatTime: _beat, ...rest }: Condition): Omit<Condition, 'lastHeartbeatTime'> {
  return rest;
}

/** Unix ms; 0 when there is none. */
function newestHeartbeat(conditions: readonly Condition[]): number {
  return Math.max(0, ...conditions.map(({ lastHeartbeatTime }) => Date.parse(lastHeartbeatTime ?? '') || 0));
}

/** Status of every condition that the edge owns, by type: what others may have changed meanwhile. */
export function ownConditions(status: NodeStatus | undefined): ReadonlyMap<string, string> {
  const owned = (status?.conditions ?? []).filter(({ type }) => isOwned(type));
  return new Map(owned.map((condition) => [condition.type, condition.status]));
}
