// A store without a disk, for tests of controllers: the real state and drafts, commits at the next microtask.
// It has the namespace `default`.
import type { JsonObject, KubeObject } from '../../api/objects.js';
import { type Change, type ObjectKey, storedObject } from '../../storage/changes.js';
import { createDraft, type Transaction } from '../../storage/draft.js';
import { createState } from '../../storage/state.js';
import type { ClusterAccess } from '../access.js';

export interface MemoryCluster extends ClusterAccess {
  /** Creates or replaces an object; its uid is `<collection>/<name>` unless given. */
  put(collection: string, object: JsonObject): Promise<void>;
  /** Removes an object as it is. */
  drop(collection: string, name: string, namespace?: string): Promise<void>;
  object(collection: string, name: string, namespace?: string): KubeObject | undefined;
  names(collection: string): string[];
  commits(): number;
}

export function memoryCluster(): MemoryCluster {
  const state = createState();
  const listeners = new Set<(changes: readonly Change[]) => void>();
  let revision = 0;
  let commits = 0;
  const home = { metadata: { name: 'default', uid: 'namespaces/default' }, spec: { finalizers: ['kubernetes'] } };
  state.apply({ type: 'ADDED', current: storedObject(keyOf('namespaces', 'default'), 0, home) });

  async function transact<T>(fn: (tx: Transaction) => T): Promise<T> {
    await Promise.resolve();
    const draft = createDraft(state, revision + 1);
    const value = draft.run(fn, false);
    for (const change of draft.changes) state.apply(change);
    revision += draft.changes.length;
    if (draft.changes.length > 0) commits += 1;
    if (draft.changes.length > 0) for (const listener of listeners) listener(draft.changes);
    return value;
  }

  return {
    get: state.get,
    list: state.list,
    transact,
    onCommit: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    put: async (collection, object) => {
      const given = object as KubeObject;
      const { name = '', namespace = '' } = given.metadata;
      const metadata = { uid: `${collection}/${name}`, creationTimestamp: '2023-11-14T22:13:20Z', ...given.metadata };
      await transact((tx) => void tx.put(keyOf(collection, name, namespace), { ...given, metadata }));
    },
    drop: async (collection, name, namespace) => {
      await transact((tx) => void tx.remove(keyOf(collection, name, namespace)));
    },
    object: (collection, name, namespace) => state.get(keyOf(collection, name, namespace))?.object,
    names: (collection) => state.list(collection).map(({ key }) => key.name),
    commits: () => commits,
  };
}

function keyOf(collection: string, name: string, namespace = ''): ObjectKey {
  return { collection, namespace, name };
}
