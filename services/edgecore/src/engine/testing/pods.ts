// Pods for tests.
import type { ContainerDef, Pod, PodSpec } from '../pod/types.js';

export function podOf(uid: string, spec: Partial<PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  return {
    metadata: { name: 'web', namespace: 'default', uid, ...metadata },
    spec: { containers: [containerDef()], ...spec },
  };
}

export function containerDef(more: Partial<ContainerDef> = {}): ContainerDef {
  return { name: 'app', image: 'app:1', ...more };
}

export function deleting(pod: Pod, graceSeconds = 30): Pod {
  const deletionTimestamp = '2030-01-01T00:00:00Z';
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds } };
}
