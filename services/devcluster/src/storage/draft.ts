// The changes of a batch of transactions before they are on disk: an overlay on the visible state.
// Invariant: a transaction that throws leaves nothing behind; a later one of the same batch sees what the earlier ones did.
import { SkerryError } from '@skerry/common/errors';
import type { KubeObject } from '../api/objects.js';
import { type Change, localKey, type ObjectKey, type StoredObject, storedObject } from './changes.js';
import { compareKeys, type State, type StateView } from './state.js';

export interface Transaction extends StateView {
  /** Creates or replaces. Returns what will be stored, with its resourceVersion. */
  put(key: ObjectKey, object: KubeObject): StoredObject;
  /** Removes an object that exists; returns its last state under the revision of the deletion. */
  remove(key: ObjectKey): StoredObject;
}

export interface Draft {
  /** Runs `fn` against the draft; undone when it throws or when `discard` is set (a dry run). */
  run<T>(fn: (tx: Transaction) => T, discard: boolean): T;
  readonly changes: readonly Change[];
  /** About the length of the changes as they are written. */
  bytes(): number;
}

/** `maxStateBytes`: past this, nothing new is created (throws `resource_exhausted`); what exists can be changed and removed. */
export function createDraft(
  state: Pick<State, 'get' | 'list' | 'bytes'>,
  firstRevision: number,
  maxStateBytes = Number.POSITIVE_INFINITY,
): Draft {
  const changes: Change[] = [];
  const overlay = new Map<string, StoredObject | null>();
  let bytes = 0;
  let undo: [string, StoredObject | null | undefined][] = [];

  const fullKey = (key: ObjectKey): string => `${key.collection}\n${localKey(key)}`;

  function get(key: ObjectKey): StoredObject | undefined {
    const overlaid = overlay.get(fullKey(key));
    return overlaid === undefined ? state.get(key) : (overlaid ?? undefined);
  }

  function record(change: Change): StoredObject {
    const key = fullKey(change.current.key);
    undo.push([key, overlay.get(key)]);
    overlay.set(key, change.type === 'DELETED' ? null : change.current);
    changes.push(change);
    bytes += change.current.json.length;
    return change.current;
  }

  function list(collection: string, namespace?: string): readonly StoredObject[] {
    const base = state.list(collection, namespace);
    if (changes.every((change) => change.current.key.collection !== collection)) return base;
    const merged = new Map(base.map((stored) => [localKey(stored.key), stored]));
    for (const { current } of changes) {
      if (current.key.collection !== collection) continue;
      if (namespace !== undefined && current.key.namespace !== namespace) continue;
      const now = get(current.key);
      if (now === undefined) merged.delete(localKey(current.key));
      else merged.set(localKey(current.key), now);
    }
    return [...merged.entries()].sort(([a], [b]) => compareKeys(a, b)).map(([, stored]) => stored);
  }

  const nextRevision = (): number => firstRevision + changes.length;

  const transaction: Transaction = {
    get,
    list,
    put: (key, object) => {
      const previous = get(key);
      if (previous === undefined && state.bytes() > maxStateBytes) {
        throw new SkerryError('resource_exhausted', `the store is full (${maxStateBytes} bytes): delete objects first`);
      }
      const current = storedObject(key, nextRevision(), object);
      return record(previous === undefined ? { type: 'ADDED', current } : { type: 'MODIFIED', current, previous });
    },
    remove: (key) => {
      const previous = get(key);
      if (previous === undefined) throw new Error(`no object ${fullKey(key)} to remove`);
      return record({ type: 'DELETED', current: storedObject(key, nextRevision(), previous.object), previous });
    },
  };

  function rollback(mark: number): void {
    for (const change of changes.splice(mark)) bytes -= change.current.json.length;
    for (const [key, before] of undo.reverse()) {
      if (before === undefined) overlay.delete(key);
      else overlay.set(key, before);
    }
  }

  return {
    changes,
    bytes: () => bytes,
    run: (fn, discard) => {
      const mark = changes.length;
      undo = [];
      try {
        const value = fn(transaction);
        if (discard) rollback(mark);
        return value;
      } catch (error) {
        rollback(mark);
        throw error;
      }
    },
  };
}
