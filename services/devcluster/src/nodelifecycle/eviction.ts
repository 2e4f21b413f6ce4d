// How long a Pod may stay on a node that drives Pods away. Pure.
import type { KubeObject } from '../api/objects.js';
import { type Taint, type Toleration, taintsOf, tolerates, tolerationsOf } from '../controllers/taints.js';

/** The taints of a node that act on Pods that already run. */
export function drivingTaints(node: KubeObject): readonly Taint[] {
  return taintsOf(node).filter((taint) => taint.effect === 'NoExecute');
}

/**
 * Milliseconds that a Pod may stay, counted from when its node got the first of the taints; Infinity = as long as it likes. One taint that
 * is not tolerated ends it at once; of several that are, the shortest time counts.
 */
export function stayMs(pod: KubeObject, taints: readonly Taint[]): number {
  const tolerations = tolerationsOf(pod);
  return Math.min(...taints.map((taint) => toleratedMs(tolerations, taint)));
}

function toleratedMs(tolerations: readonly Toleration[], taint: Taint): number {
  const toleration = tolerations.find((candidate) => tolerates(candidate, taint));
  if (toleration === undefined) return 0;
  return toleration.seconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, toleration.seconds) * 1000;
}
