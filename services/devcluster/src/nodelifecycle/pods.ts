// What befalls the Pods of a node that is not ready, drives them away or is gone: status, Event and deletion, in an open transaction.
import { at, equalJson } from '../api/objects.js';
import type { DeleteObject } from '../controllers/access.js';
import { findCondition, withCondition } from '../controllers/conditions.js';
import { recordEvent } from '../controllers/events.js';
import type { ObjectKey, StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';

export interface PodWriteContext {
  /** RFC 3339 of `nowMs`. */
  readonly now: string;
  readonly nowMs: number;
  readonly newUid: () => string;
  readonly deleteObject: DeleteObject;
}

export const NODE_CONTROLLER = 'node-controller';

/** Nobody vouches any more for a Pod that was ready. */
export function markNotReady(tx: Transaction, { key }: StoredObject, context: PodWriteContext): void {
  const stored = tx.get(key);
  const old = findCondition(stored?.object.status, 'Ready');
  if (stored === undefined || old?.['status'] !== 'True') return;
  const status = withCondition(stored.object.status, { type: 'Ready', status: 'False' }, context.now);
  if (status !== undefined) tx.put(key, { ...stored.object, status });
  const text = { reason: 'NodeNotReady', message: 'Node is not ready', component: NODE_CONTROLLER } as const;
  recordEvent(tx, stored, { kind: 'Pod', type: 'Warning', ...text }, context);
}

/** The Pod may not stay: it is deleted with its own grace. */
export function evict(tx: Transaction, { key }: StoredObject, context: PodWriteContext): void {
  const message = 'Taint manager: deleting due to NoExecute taint';
  const stored = disrupt(tx, key, { reason: 'DeletionByTaintManager', message }, context);
  if (stored === undefined) return;
  const text = `Marking for deletion Pod ${key.namespace}/${key.name}`;
  const said = { reason: 'TaintManagerEviction', message: text, component: 'taint-eviction-controller' } as const;
  recordEvent(tx, stored, { kind: 'Pod', type: 'Normal', ...said }, context);
  context.deleteObject(tx, stored, {});
}

/** Nobody is left to end the Pod: it is declared failed and removed at once. */
export function collect(tx: Transaction, { key }: StoredObject, context: PodWriteContext): void {
  const message = 'PodGC: node no longer exists';
  const stored = disrupt(tx, key, { reason: 'DeletionByPodGC', message, ended: true }, context);
  if (stored !== undefined) context.deleteObject(tx, stored, { graceSeconds: 0 });
}

interface Disruption {
  readonly reason: string;
  readonly message: string;
  readonly ended?: boolean;
}

/** Says in the Pod's status why it is deleted. */
function disrupt(
  tx: Transaction,
  key: ObjectKey,
  { reason, message, ended = false }: Disruption,
  { now }: PodWriteContext,
): StoredObject | undefined {
  const stored = tx.get(key);
  if (stored === undefined) return undefined;
  const phase = at(stored.object.status, 'phase');
  const failed = ended && phase !== 'Succeeded' && phase !== 'Failed' ? { phase: 'Failed' } : {};
  const status = { ...stored.object.status, ...failed };
  const next = withCondition(status, { type: 'DisruptionTarget', status: 'True', reason, message }, now) ?? status;
  return equalJson(next, stored.object.status) ? stored : tx.put(key, { ...stored.object, status: next });
}
