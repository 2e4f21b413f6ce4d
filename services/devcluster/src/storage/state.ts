// What is visible now: the objects of every collection, in memory, in key order.
// Invariant: it changes only by whole changes that are already on disk.
import { type Change, localKey, type ObjectKey, type StoredObject } from './changes.js';

export interface StateView {
  get(key: ObjectKey): StoredObject | undefined;
  /** In key order; `namespace` undefined means all. */
  list(collection: string, namespace?: string): readonly StoredObject[];
}

export interface State extends StateView {
  apply(change: Change): void;
  all(): Iterable<StoredObject>;
  /** The number of objects. */
  size(): number;
  /** The length of all objects as JSON. */
  bytes(): number;
}

interface Collection {
  readonly objects: Map<string, StoredObject>;
  /** Sorted keys, made anew after an object came or went. */
  sorted: readonly string[] | undefined;
}

export function createState(): State {
  const collections = new Map<string, Collection>();
  let bytes = 0;

  function collectionOf(name: string): Collection {
    let collection = collections.get(name);
    if (collection === undefined) {
      collection = { objects: new Map(), sorted: undefined };
      collections.set(name, collection);
    }
    return collection;
  }

  function list(name: string, namespace?: string): readonly StoredObject[] {
    const collection = collections.get(name);
    if (collection === undefined) return [];
    collection.sorted ??= [...collection.objects.keys()].sort(compareKeys);
    const found: StoredObject[] = [];
    for (const key of collection.sorted) {
      const stored = collection.objects.get(key);
      if (stored !== undefined && (namespace === undefined || stored.key.namespace === namespace)) found.push(stored);
    }
    return found;
  }

  return {
    get: (key) => collections.get(key.collection)?.objects.get(localKey(key)),
    list,
    apply: (change) => {
      const collection = collectionOf(change.current.key.collection);
      const key = localKey(change.current.key);
      bytes -= change.previous?.json.length ?? 0;
      if (change.type === 'DELETED') collection.objects.delete(key);
      else {
        collection.objects.set(key, change.current);
        bytes += change.current.json.length;
      }
      if (change.type !== 'MODIFIED') collection.sorted = undefined;
    },
    all: function* () {
      for (const collection of collections.values()) yield* collection.objects.values();
    },
    bytes: () => bytes,
    size: () => [...collections.values()].reduce((sum, collection) => sum + collection.objects.size, 0),
  };
}

export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
