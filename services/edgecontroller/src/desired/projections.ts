// What edges get of Pods, ConfigMaps and Secrets, and under which versions. Pure.
// Invariant: what others write without meaning for an edge (status, managedFields, resourceVersion) changes no version, so our own status
// writes never echo down. A terminal phase is delivered: an edge that lost its store must not run a finished Pod again. Whoever changes what is delivered raises the number of that projection: a paced resync follows.

import type { PlacedObject } from '@skerry/common/controller/desired-state';
import { deliveredAnnotations, entryOf } from '@skerry/common/controller/entry';
import { podKey } from '@skerry/common/keys';
import type { ConfigMap, Pod, Secret } from '@skerry/common/kube/resources';
import type { Entry } from '@skerry/common/link/types';
import { liftTolerations } from '../autonomy/tolerations.js';
import { isTerminal, readyOf } from '../status/pod-status.js';
import { references } from './references.js';

const POD_PROJECTION = 2;
const CONFIG_MAP_PROJECTION = 1;
const SECRET_PROJECTION = 1;

/** A Pod on a served node. */
export interface PlacedPod extends PlacedObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Autonomy would change its tolerations. */
  readonly liftable: boolean;
  /** Status of its Ready condition in the API. */
  readonly ready: string | undefined;
}

/** Undefined for a Pod that is bound to no wanted node. */
export function placePod(pod: Pod, wants: (node: string) => boolean): PlacedPod | undefined {
  const node = pod.spec?.nodeName;
  if (!node || !wants(node)) return undefined;
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  return {
    key: podKey(namespace, name, uid),
    node,
    entry: podEntry(pod, uid),
    namespace,
    name,
    uid,
    liftable: liftTolerations(pod.spec?.tolerations) !== undefined,
    ready: readyOf(pod.status),
  };
}

function podEntry(pod: Pod, uid: string): Entry {
  const { name, namespace, labels, creationTimestamp, deletionTimestamp, ...meta } = pod.metadata ?? {};
  const content = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid,
      labels,
      annotations: deliveredAnnotations(meta.annotations),
      creationTimestamp,
      deletionTimestamp,
      deletionGracePeriodSeconds: meta.deletionGracePeriodSeconds,
      ownerReferences: meta.ownerReferences,
    },
    spec: pod.spec,
    status: isTerminal(pod.status?.phase) ? { phase: pod.status?.phase } : undefined,
  };
  return entryOf({ projection: POD_PROJECTION, uid, content, references: references(pod) });
}

export function configMapEntry(configMap: ConfigMap): Entry {
  const { name, namespace, uid = '' } = configMap.metadata ?? {};
  const content = { metadata: { name, namespace, uid }, data: configMap.data, binaryData: configMap.binaryData };
  return entryOf({ projection: CONFIG_MAP_PROJECTION, uid, content });
}

/** Versioned by resourceVersion: a hash of a short secret could be guessed at. */
export function secretEntry(secret: Secret): Entry {
  const { name, namespace, uid = '', resourceVersion = '' } = secret.metadata ?? {};
  const content = { metadata: { name, namespace, uid }, type: secret.type, data: secret.data };
  return entryOf({ projection: SECRET_PROJECTION, uid, content, revision: resourceVersion });
}
