// Taints of nodes and tolerations of Pods, by the rules of Kubernetes. Pure.
import { type JsonObject, objectsAt, textAt } from '../api/objects.js';

export interface Taint {
  readonly key: string;
  readonly value: string;
  readonly effect: string;
}

export interface Toleration {
  /** Empty (with operator Exists) = every key. */
  readonly key: string;
  readonly operator: string;
  readonly value: string;
  /** Empty = every effect. */
  readonly effect: string;
  /** For NoExecute: how long; undefined = for ever. */
  readonly seconds?: number;
}

export function taintsOf(node: unknown): readonly Taint[] {
  return objectsAt(node, 'spec', 'taints').map((taint) => ({
    key: textAt(taint, 'key'),
    value: textAt(taint, 'value'),
    effect: textAt(taint, 'effect'),
  }));
}

export function tolerationsOf(pod: unknown): readonly Toleration[] {
  return objectsAt(pod, 'spec', 'tolerations').map(readToleration);
}

function readToleration(toleration: JsonObject): Toleration {
  const seconds = toleration['tolerationSeconds'];
  return {
    key: textAt(toleration, 'key'),
    operator: textAt(toleration, 'operator') || 'Equal',
    value: textAt(toleration, 'value'),
    effect: textAt(toleration, 'effect'),
    ...(typeof seconds === 'number' ? { seconds } : {}),
  };
}

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect !== '' && toleration.effect !== taint.effect) return false;
  if (toleration.key !== '' && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return toleration.key !== '' && toleration.operator === 'Equal' && toleration.value === taint.value;
}

/** The first taint that none of the tolerations covers. */
export function firstUntolerated(taints: readonly Taint[], tolerations: readonly Toleration[]): Taint | undefined {
  return taints.find((taint) => !tolerations.some((toleration) => tolerates(toleration, taint)));
}
