// Namespaces and CustomResourceDefinitions in deletion: what they hold is deleted, then they are let go.
// Invariant: Pods of a namespace go before everything else, since they may need it while they stop.
import { type JsonObject, type KubeObject, listAt } from '../api/objects.js';
import { type DeleteObject, PODS, putOrFinish } from '../controllers/access.js';
import { withCondition } from '../controllers/conditions.js';
import { CLEANUP_FINALIZER } from '../registry/crd.js';
import type { StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import { withoutFinalizer } from './owners.js';

export interface EmptyingContext {
  /** RFC 3339. */
  readonly now: string;
  /** All collections of namespaced objects. */
  readonly namespaced: Iterable<string>;
  readonly deleteObject: DeleteObject;
}

/** Held in spec.finalizers of a namespace until it is empty. */
const NAMESPACE_FINALIZER = 'kubernetes';

/** Deletes what a namespace in deletion holds; lets go of it when that is nothing. */
export function emptyNamespace(tx: Transaction, stored: StoredObject, context: EmptyingContext): void {
  const { key, object } = stored;
  const content = [...context.namespaced].flatMap((collection) => tx.list(collection, key.name));
  const pods = content.filter((item) => item.key.collection === PODS);
  const left = deleteAll(tx, pods.length > 0 ? pods : content, context);
  if (left.length > 0) {
    const status = remainingStatus(object, left, context.now);
    if (status !== undefined) tx.put(key, { ...object, status });
    return;
  }
  const held = listAt(object.spec, 'finalizers');
  if (!held.includes(NAMESPACE_FINALIZER)) return;
  const finalizers = held.filter((item) => item !== NAMESPACE_FINALIZER);
  putOrFinish(tx, key, { ...object, spec: { ...object.spec, finalizers } });
}

/** The same for a definition and its objects. */
export function emptyDefinition(tx: Transaction, stored: StoredObject, context: EmptyingContext): void {
  // A definition has the name of its collection.
  const left = deleteAll(tx, tx.list(stored.key.name), context);
  if (left.length === 0 && stored.object.metadata.finalizers?.includes(CLEANUP_FINALIZER) === true) {
    putOrFinish(tx, stored.key, withoutFinalizer(stored.object, CLEANUP_FINALIZER));
  }
}

/** Deletes those that are not in deletion yet; returns what is still there. */
function deleteAll(
  tx: Transaction,
  content: readonly StoredObject[],
  { deleteObject }: EmptyingContext,
): readonly StoredObject[] {
  for (const item of content) {
    if (item.object.metadata.deletionTimestamp === undefined) deleteObject(tx, item, { propagation: 'Background' });
  }
  return content.flatMap(({ key }) => tx.get(key) ?? []);
}

/** The status that tells what keeps a namespace; undefined when it says so already. */
function remainingStatus(namespace: KubeObject, left: readonly StoredObject[], now: string): JsonObject | undefined {
  const resources = countBy(left.map(({ key }) => key.collection));
  const message = `Some resources are remaining: ${resources}`;
  const content = {
    type: 'NamespaceContentRemaining',
    status: 'True',
    reason: 'SomeResourcesRemain',
    message,
  } as const;
  const status = withCondition(namespace.status, content, now);
  const held = countBy(left.flatMap(({ object }) => object.metadata.finalizers ?? []));
  if (held === '') return status;
  const finalizers = { type: 'NamespaceFinalizersRemaining', status: 'True', reason: 'SomeFinalizersRemain' } as const;
  const text = `Some content has finalizers remaining: ${held}`;
  return withCondition(status ?? namespace.status, { ...finalizers, message: text }, now) ?? status;
}

function countBy(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} (${count})`).join(', ');
}
