// The Kubernetes objects that the engine reads and writes, as JSON on the wire. Types only: the client library is not loaded on the edge.
import type { ObjectMeta } from '@skerry/common/kube/object';
import type { Pod as ApiPod, ConfigMap, Secret } from '@skerry/common/kube/resources';

type Present<T> = Exclude<T, undefined>;

/** A Pod as it is delivered: identity and spec are always there. */
export interface Pod {
  readonly metadata: ObjectMeta & { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly spec: PodSpec;
  /** Only of a Pod that the cloud knows to have ended: nothing of it is started. */
  readonly status?: { readonly phase?: string };
}

export type PodSpec = Present<ApiPod['spec']>;
export type ContainerDef = PodSpec['containers'][number];
export type VolumeDef = Present<PodSpec['volumes']>[number];
export type EnvVar = Present<ContainerDef['env']>[number];
export type PodStatus = Present<ApiPod['status']>;
export type ContainerStatus = Present<PodStatus['containerStatuses']>[number];
export type PodCondition = Present<PodStatus['conditions']>[number];
export type ContainerStateStatus = Present<ContainerStatus['state']>;

/** A ConfigMap or Secret by its state key; `null` when it is known not to exist. */
export type References = ReadonlyMap<string, ConfigMap | Secret | null>;

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
}

/** Why a whole Pod has failed: status.reason and status.message. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
}

export const initContainers = (pod: Pod): readonly ContainerDef[] => pod.spec.initContainers ?? [];

export const restartPolicyOf = (pod: Pod): string => pod.spec.restartPolicy ?? 'Always';

const DEFAULT_GRACE_SECONDS = 30;

/** How long the Pod's containers have between SIGTERM and SIGKILL. Kubernetes' minimum of a second keeps SIGTERM meaningful. */
export function graceMsOf(pod: Pod): number {
  const { metadata, spec } = pod;
  const seconds = metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  return Math.max(seconds, 1) * 1_000;
}

/** Kubernetes' metav1.Time: RFC 3339 with whole seconds. */
export const kubeTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
