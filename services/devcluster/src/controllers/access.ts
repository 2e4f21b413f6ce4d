// What the controllers of the cluster (scheduler, node lifecycle, garbage collection) are given: the store, time, and how to delete.
// Invariant: every decision is made inside the transaction that writes it, so no controller acts on what has changed meanwhile.
import type { Clock } from '@skerry/common/clock';
import type { Logger } from '@skerry/common/logger';
import type { KubeObject } from '../api/objects.js';
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

export type Propagation = 'Background' | 'Foreground' | 'Orphan';

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

/** RFC 3339 with seconds, as metadata and conditions have it. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/**
 * Stores `next`; an object in deletion that no finalizer and no grace period holds any more is removed instead, as an update by a client
 * would do.
 */
export function putOrFinish(tx: Transaction, key: ObjectKey, next: KubeObject): void {
  const stored = tx.put(key, next);
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = stored.object.metadata;
  if (deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && finalizers.length === 0) tx.remove(key);
}
