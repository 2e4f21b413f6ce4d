// The garbage collector: deletes what has lost its owners, ends foreground and orphaning deletions, empties namespaces and definitions.
// Wiring: `createGarbageCollector({ cluster: store, registry, clock, logger, deleteObject })` is a Component; start it after the store is
// open and the registry follows its commits. `deleteObject` comes from `createDeleter` in controllers/deleter.ts.
// Invariants: an object is judged inside the transaction that deletes it; an owner whose kind is not served is never taken for absent.

import { messageOf } from '@skerry/common/errors';
import type { Component } from '@skerry/common/lifecycle';
import { equalJson, type OwnerReference } from '../api/objects.js';
import { rfc3339 } from '../api/time.js';
import { type ControllerOptions, type DeleteObject, NAMESPACES, putOrFinish } from '../controllers/access.js';
import { createPassLoop } from '../controllers/pass-loop.js';
import { FOREGROUND, ORPHAN } from '../operations/delete.js';
import { CRDS } from '../registry/crd.js';
import type { Registry } from '../registry/registry.js';
import { keyOf } from '../registry/types.js';
import type { Change, ObjectKey, StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import { createDependents, fullKey } from './dependents.js';
import { emptyDefinition, emptyNamespace } from './emptying.js';
import {
  awaitsDependents,
  blocks,
  hasFinalizer,
  judge,
  type OwnerState,
  ownersOf,
  unblocking,
  withoutFinalizer,
  withoutOwners,
} from './owners.js';

export interface GarbageCollectorOptions extends Omit<ControllerOptions, 'newUid'> {
  readonly registry: Pick<Registry, 'all' | 'findKind'>;
  readonly deleteObject: DeleteObject;
}

/** Objects a transaction. */
const BATCH = 200;

export function createGarbageCollector(options: GarbageCollectorOptions): Component {
  const { cluster, clock, registry, deleteObject } = options;
  const logger = options.logger.child({ controller: 'gc' });
  const dependents = createDependents();
  // Keys of objects to look at: never more than there are objects.
  const dirty = new Map<string, ObjectKey>();
  let unsubscribe = (): void => {};

  function mark(key: ObjectKey | undefined): void {
    if (key !== undefined) dirty.set(fullKey(key), key);
  }

  const dependentsOf = (tx: Transaction, uid: string): StoredObject[] =>
    dependents
      .of(uid)
      .flatMap((key) => tx.get(key) ?? [])
      .filter(({ object }) => ownersOf(object).some((owner) => owner.uid === uid));

  /** Where an owner is; undefined when its kind is not served, or namespaced while the dependent is not. */
  function ownerKey({ key }: StoredObject, owner: OwnerReference): ObjectKey | undefined {
    const type = registry.findKind(groupOf(owner.apiVersion), owner.kind);
    if (type === undefined || (type.namespaced && key.namespace === '')) return undefined;
    return keyOf(type, key.namespace, owner.name);
  }

  function stateOf(tx: Transaction, dependent: StoredObject, owner: OwnerReference): OwnerState {
    const key = ownerKey(dependent, owner);
    if (key === undefined) return 'unknown';
    const found = tx.get(key)?.object;
    if (found?.metadata.uid !== owner.uid) return 'absent';
    return awaitsDependents(found) ? 'waiting' : 'present';
  }

  function collect(tx: Transaction, stored: StoredObject): void {
    const { key, object } = stored;
    const children = dependentsOf(tx, object.metadata.uid ?? '');
    const verdict = judge(object, (owner) => stateOf(tx, stored, owner), children.length > 0);
    if (verdict.kind === 'keep') return;
    if (verdict.kind === 'release') {
      putOrFinish(tx, key, withoutOwners(object, verdict.owners));
      return;
    }
    const circle = verdict.propagation === 'Foreground' && children.some((child) => awaitsDependents(child.object));
    const last = circle ? tx.put(key, unblocking(object)) : stored;
    deleteObject(tx, last, { propagation: verdict.propagation });
  }

  function orphan(tx: Transaction, { key, object }: StoredObject): void {
    const uid = object.metadata.uid ?? '';
    for (const child of dependentsOf(tx, uid)) putOrFinish(tx, child.key, withoutOwners(child.object, new Set([uid])));
    putOrFinish(tx, key, withoutFinalizer(object, ORPHAN));
  }

  function endForeground(tx: Transaction, { key, object }: StoredObject): void {
    const uid = object.metadata.uid ?? '';
    if (dependentsOf(tx, uid).some((child) => blocks(child.object, uid))) return;
    putOrFinish(tx, key, withoutFinalizer(object, FOREGROUND));
  }

  function lookAt(tx: Transaction, key: ObjectKey): void {
    const stored = tx.get(key);
    if (stored === undefined) return;
    if (stored.object.metadata.deletionTimestamp === undefined) {
      collect(tx, stored);
      return;
    }
    if (hasFinalizer(stored.object, ORPHAN)) orphan(tx, stored);
    else if (hasFinalizer(stored.object, FOREGROUND)) endForeground(tx, stored);
    empty(tx, key);
  }

  /** An object that may not be deleted must not hold up the others; it is looked at again when it changes. */
  function tryToLookAt(tx: Transaction, key: ObjectKey): void {
    try {
      lookAt(tx, key);
    } catch (error) {
      logger.warn('an object could not be collected', { object: fullKey(key), error: messageOf(error) });
    }
  }

  function empty(tx: Transaction, key: ObjectKey): void {
    const stored = tx.get(key);
    if (stored === undefined || (key.collection !== NAMESPACES && key.collection !== CRDS)) return;
    const namespaced = new Set(registry.all().flatMap((type) => (type.namespaced ? [type.collection] : [])));
    const context = { now: rfc3339(clock.nowMs()), namespaced, deleteObject };
    if (key.collection === NAMESPACES) emptyNamespace(tx, stored, context);
    else emptyDefinition(tx, stored, context);
  }

  async function pass(): Promise<undefined> {
    while (dirty.size > 0) {
      const batch = [...dirty].slice(0, BATCH);
      for (const [name] of batch) dirty.delete(name);
      try {
        await cluster.transact((tx) => {
          for (const [, key] of batch) tryToLookAt(tx, key);
        });
      } catch (error) {
        for (const [, key] of batch) mark(key);
        throw error;
      }
    }
    return undefined;
  }

  const loop = createPassLoop({ clock, logger, pass });

  /** What a change can make due. */
  function follow(change: Change): void {
    const { type, current, previous } = change;
    dependents.apply(change);
    if (type !== 'DELETED' && needsLook(current)) mark(current.key);
    if (type === 'DELETED' || (awaitsDependents(current.object) && !awaitsDependents(previous?.object))) {
      for (const key of dependents.of(current.object.metadata.uid ?? '')) mark(key);
    }
    if (
      previous !== undefined &&
      (type === 'DELETED' || !equalJson(ownersOf(current.object), ownersOf(previous.object)))
    ) {
      for (const owner of ownersOf(previous.object)) mark(ownerKey(previous, owner));
    }
    if (type !== 'MODIFIED') markHolders(current.key);
    if (current.key.collection === CRDS) scan();
  }

  /** The namespace and the definition that may be waiting to become empty. */
  function markHolders({ collection, namespace }: ObjectKey): void {
    for (const key of [
      { collection: NAMESPACES, namespace: '', name: namespace },
      { collection: CRDS, namespace: '', name: collection },
    ]) {
      if (cluster.get(key)?.object.metadata.deletionTimestamp !== undefined) mark(key);
    }
  }

  /** Everything that may need something: at the start, and when kinds came or went. */
  function scan(): void {
    for (const collection of new Set(registry.all().map((type) => type.collection))) {
      for (const stored of cluster.list(collection)) {
        dependents.add(stored);
        if (needsLook(stored)) mark(stored.key);
      }
    }
  }

  return {
    name: 'garbage-collector',
    start: async () => {
      unsubscribe = cluster.onCommit((changes) => {
        for (const change of changes) follow(change);
        if (dirty.size > 0) loop.trigger();
      });
      scan();
      loop.start();
    },
    stop: async () => {
      unsubscribe();
      await loop.stop();
    },
  };
}

function needsLook({ object }: StoredObject): boolean {
  return ownersOf(object).length > 0 || object.metadata.deletionTimestamp !== undefined;
}

/** "" for `v1`. */
function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash === -1 ? '' : apiVersion.slice(0, slash);
}
