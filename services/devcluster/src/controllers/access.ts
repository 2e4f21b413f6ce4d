// What the controllers of the cluster (scheduler, node lifecycle, garbage collection) are given: the store, time, and how to delete.
// Invariant: every decision is made inside the transaction that writes it, so no controller acts on what has changed meanwhile.
import type { Clock } from '@skerry/common/clock';
import type { Logger } from '@skerry/common/logger';
import type { KubeObject } from '../api/objects.js';
import type { Propagation } from '../operations/delete.js';
import { isGone } from '../operations/write.js';
import type { ObjectKey, StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import type { Store } from '../storage/store.js';

/** The part of the store that controllers use; a `Store` fits as it is. */
export type ClusterAccess = Pick<Store, 'get' | 'list' | 'transact' | 'onCommit'>;

export interface ControllerOptions {
  readonly cluster: ClusterAccess;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A fresh UUID for objects that a controller creates (Events). */
  readonly newUid: () => string;
}

export interface DeleteRequest {
  /** Undefined: what the object itself asks for; 0: at once. */
  readonly graceSeconds?: number;
  /** Undefined: the default of the kind (Background). */
  readonly propagation?: Propagation;
}

/**
 * Does inside an open transaction what a client's DELETE does: grace of Pods, finalizers, removal when nothing holds the object.
 * Deleting what is in deletion already must be harmless.
 */
export type DeleteObject = (tx: Transaction, stored: StoredObject, request: DeleteRequest) => void;

export const PODS = 'pods';
export const NODES = 'nodes';
export const EVENTS = 'events';
export const NAMESPACES = 'namespaces';
export const LEASES = 'leases.coordination.k8s.io';

/** Stores `next`, or removes it when it is in deletion and nothing holds it any more, as an update by a client would do. */
export function putOrFinish(tx: Transaction, key: ObjectKey, next: KubeObject): void {
  if (isGone(next)) tx.remove(key);
  else tx.put(key, next);
}
