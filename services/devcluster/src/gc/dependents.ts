// Who names whom as owner: the dependents by the UID of their owner. Invariant: follows the visible state, one entry a reference.
import type { KubeObject } from '../api/objects.js';
import { type Change, localKey, type ObjectKey, type StoredObject } from '../storage/changes.js';
import { ownersOf } from './owners.js';

export interface Dependents {
  add(stored: StoredObject): void;
  apply(change: Change): void;
  /** Keys of the objects that name the owner; some may have changed since. */
  of(owner: string): readonly ObjectKey[];
}

export function createDependents(): Dependents {
  const byOwner = new Map<string, Map<string, ObjectKey>>();

  function add({ key, object }: StoredObject): void {
    for (const { uid } of ownersOf(object)) {
      const known = byOwner.get(uid) ?? new Map<string, ObjectKey>();
      byOwner.set(uid, known.set(fullKey(key), key));
    }
  }

  function remove(key: ObjectKey, object: KubeObject): void {
    for (const { uid } of ownersOf(object)) {
      const known = byOwner.get(uid);
      known?.delete(fullKey(key));
      if (known?.size === 0) byOwner.delete(uid);
    }
  }

  return {
    add,
    apply: ({ type, current, previous }) => {
      if (previous !== undefined) remove(current.key, previous.object);
      if (type !== 'DELETED') add(current);
    },
    of: (owner) => [...(byOwner.get(owner)?.values() ?? [])],
  };
}

/** Unique over all collections. */
export function fullKey(key: ObjectKey): string {
  return `${key.collection}\n${localKey(key)}`;
}
