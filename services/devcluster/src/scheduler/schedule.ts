// The decision where a Pod runs. Pure and deterministic: the same cluster gives the same node.
// Looked at, and nothing else: node.spec.unschedulable, taints and tolerations (NoSchedule, NoExecute), nodeSelector, required node affinity,
// resource requests. A Pod that demands more than that is not placed, and told why; preferences are not weighed.
import { at, type KubeObject, objectsAt } from '../api/objects.js';
import { firstUntolerated, type Taint, type Toleration, taintsOf, tolerationsOf } from '../controllers/taints.js';
import { wantsNode } from './affinity.js';
import { add, nodeResources, podRequests, type Resources } from './resources.js';

/** A node as far as scheduling looks at it, with what runs on it. Never changed. */
export interface NodeView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly unschedulable: boolean;
  /** Those that keep Pods away. */
  readonly taints: readonly Taint[];
  readonly total: Resources;
  readonly used: Resources;
  readonly pods: number;
}

export type Decision =
  | { readonly kind: 'bind'; readonly node: string }
  /** `message` in the form that users know from Kubernetes. */
  | { readonly kind: 'unschedulable'; readonly message: string };

/** The views of all nodes with the Pods bound to them. Pods that have ended occupy nothing. */
export function viewNodes(nodes: readonly KubeObject[], pods: readonly KubeObject[]): Map<string, NodeView> {
  const views = new Map(nodes.map((node) => [node.metadata.name ?? '', viewNode(node)]));
  for (const pod of pods) {
    const view = views.get(String(pod.spec?.['nodeName']));
    if (view !== undefined && !hasEnded(pod)) views.set(view.name, withPod(view, pod));
  }
  return views;
}

function viewNode(node: KubeObject): NodeView {
  return {
    name: node.metadata.name ?? '',
    labels: node.metadata.labels ?? {},
    unschedulable: node.spec?.['unschedulable'] === true,
    taints: taintsOf(node).filter((taint) => taint.effect === 'NoSchedule' || taint.effect === 'NoExecute'),
    total: nodeResources(node),
    used: new Map(),
    pods: 0,
  };
}

/** The node after the Pod was put on it. */
export function withPod(view: NodeView, pod: KubeObject): NodeView {
  return { ...view, used: add(view.used, podRequests(pod)), pods: view.pods + 1 };
}

export function hasEnded(pod: KubeObject): boolean {
  const phase = pod.status?.['phase'];
  return phase === 'Succeeded' || phase === 'Failed';
}

/** The least requested node of those that fit; of equals the one with fewer Pods, then the first by name. */
export function schedule(pod: KubeObject, nodes: Iterable<NodeView>): Decision {
  const views = [...nodes];
  if (views.length === 0) return unschedulable('no nodes available to schedule pods');
  const refused = unsupported(pod);
  if (refused !== undefined) return unschedulable(`0/${views.length} nodes are available: ${refused}.`);
  const requests = podRequests(pod);
  const tolerations = tolerationsOf(pod);
  const counts = new Map<string, number>();
  let best: { readonly view: NodeView; readonly score: number } | undefined;
  for (const view of views) {
    const reasons = whyNot(pod, requests, tolerations, view);
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    if (reasons.length > 0) continue;
    const candidate = { view, score: freeShare(view, requests) };
    if (best === undefined || isBetter(candidate, best)) best = candidate;
  }
  if (best !== undefined) return { kind: 'bind', node: best.view.name };
  const texts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return unschedulable(`0/${views.length} nodes are available: ${texts.join(', ')}.`);
}

function unschedulable(message: string): Decision {
  return { kind: 'unschedulable', message };
}

/** What a Pod demands that this scheduler can not keep. */
function unsupported(pod: KubeObject): string | undefined {
  const { spec } = pod;
  const hard = 'requiredDuringSchedulingIgnoredDuringExecution';
  if (['podAffinity', 'podAntiAffinity'].some((kind) => objectsAt(spec, 'affinity', kind, hard).length > 0)) {
    return 'required pod affinity is not supported by this scheduler';
  }
  // DoNotSchedule is also what a constraint without whenUnsatisfiable means.
  if (objectsAt(spec, 'topologySpreadConstraints').some((item) => item['whenUnsatisfiable'] !== 'ScheduleAnyway')) {
    return 'topologySpreadConstraints with DoNotSchedule are not supported by this scheduler';
  }
  if (
    objectsAt(spec, 'volumes').some(
      (volume) => volume['persistentVolumeClaim'] !== undefined || volume['ephemeral'] !== undefined,
    )
  ) {
    return 'persistent volume claims are not supported by this scheduler';
  }
  if (objectsAt(spec, 'resourceClaims').length > 0) return 'resource claims are not supported by this scheduler';
  return undefined;
}

const UNSCHEDULABLE_TAINT: Taint = { key: 'node.kubernetes.io/unschedulable', value: '', effect: 'NoSchedule' };

/** The reasons of the first rule that the node breaks; none when the Pod may run there. */
function whyNot(
  pod: KubeObject,
  requests: Resources,
  tolerations: readonly Toleration[],
  view: NodeView,
): readonly string[] {
  if (view.unschedulable && firstUntolerated([UNSCHEDULABLE_TAINT], tolerations) !== undefined) {
    return ['node(s) were unschedulable'];
  }
  const taint = firstUntolerated(view.taints, tolerations);
  if (taint !== undefined) return [`node(s) had untolerated taint {${taint.key}: ${taint.value}}`];
  if (!wantsNode(pod.spec, view)) return ["node(s) didn't match Pod's node affinity/selector"];
  return lacking(requests, view);
}

const MILLI = 1000;

function lacking(requests: Resources, view: NodeView): readonly string[] {
  const reasons: string[] = [];
  if ((view.pods + 1) * MILLI > (view.total.get('pods') ?? 0)) reasons.push('Too many pods');
  for (const [name, wanted] of requests) {
    const free = (view.total.get(name) ?? 0) - (view.used.get(name) ?? 0);
    if (wanted > 0 && wanted > free) reasons.push(`Insufficient ${name}`);
  }
  return reasons;
}

/** The mean share of cpu and memory that stays free, 0 to 1. */
function freeShare(view: NodeView, requests: Resources): number {
  const shares = ['cpu', 'memory'].map((name) => {
    const total = view.total.get(name) ?? 0;
    const used = (view.used.get(name) ?? 0) + (requests.get(name) ?? 0);
    return total === 0 ? 0 : Math.max(0, (total - used) / total);
  });
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

interface Candidate {
  readonly view: NodeView;
  readonly score: number;
}

function isBetter(a: Candidate, b: Candidate): boolean {
  if (a.score !== b.score) return a.score > b.score;
  if (a.view.pods !== b.view.pods) return a.view.pods < b.view.pods;
  return a.view.name < b.view.name;
}

/** The Pod waits for this scheduler: unbound, not gated, not in deletion, not for another scheduler. */
export function isPending(pod: KubeObject): boolean {
  return (
    !at(pod.spec, 'nodeName') &&
    pod.metadata.deletionTimestamp === undefined &&
    !hasEnded(pod) &&
    (at(pod.spec, 'schedulerName') ?? SCHEDULER) === SCHEDULER &&
    objectsAt(pod.spec, 'schedulingGates').length === 0
  );
}

export const SCHEDULER = 'default-scheduler';
