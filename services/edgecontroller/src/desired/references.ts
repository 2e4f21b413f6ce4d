// Which ConfigMaps and Secrets a Pod needs. Pure.
// Invariant: whatever a container of the Pod could read through its spec is listed, optional or not: the edge starts nothing before it
// knows of each whether it is there.

import { configMapKey, secretKey } from '@skerry/common/keys';
import type { Pod } from '@skerry/common/kube/resources';

type PodSpec = NonNullable<Pod['spec']>;
type Volume = NonNullable<PodSpec['volumes']>[number];
/** What init, ordinary and ephemeral containers have in common here. */
type Container = Pick<PodSpec['containers'][number], 'env' | 'envFrom'>;

/** Names of one Pod's targets; all are in the Pod's namespace. */
interface Names {
  readonly configMaps: Set<string>;
  readonly secrets: Set<string>;
}

/** Keys of the ConfigMaps and Secrets that a Pod references, sorted, each once. */
export function references(pod: Pod): string[] {
  const namespace = pod.metadata?.namespace ?? '';
  const { spec } = pod;
  const names: Names = { configMaps: new Set(), secrets: new Set() };
  for (const volume of spec?.volumes ?? []) ofVolume(volume, names);
  for (const container of containersOf(spec)) ofContainer(container, names);
  for (const { name } of spec?.imagePullSecrets ?? []) add(names.secrets, name);
  return [
    ...[...names.configMaps].map((name) => configMapKey(namespace, name)),
    ...[...names.secrets].map((name) => secretKey(namespace, name)),
  ].sort();
}

function containersOf(spec: PodSpec | undefined): Container[] {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])];
}

function ofVolume(volume: Volume, names: Names): void {
  add(names.configMaps, volume.configMap?.name);
  add(names.secrets, volume.secret?.secretName);
  for (const source of volume.projected?.sources ?? []) {
    add(names.configMaps, source.configMap?.name);
    add(names.secrets, source.secret?.name);
  }
}

function ofContainer(container: Container, names: Names): void {
  for (const { valueFrom } of container.env ?? []) {
    add(names.configMaps, valueFrom?.configMapKeyRef?.name);
    add(names.secrets, valueFrom?.secretKeyRef?.name);
  }
  for (const source of container.envFrom ?? []) {
    add(names.configMaps, source.configMapRef?.name);
    add(names.secrets, source.secretRef?.name);
  }
}

function add(names: Set<string>, name: string | undefined): void {
  if (name) names.add(name);
}
