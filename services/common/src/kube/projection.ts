// Objects in, projections out: keeps a store current and tells a handler what changed. The object itself is let go on return.
// Invariants: the store changes before the handler hears of it; another UID under a known key is a removal and then an arrival; an
// object that cannot be projected keeps its last projection (it exists, so it is never reported as gone).
import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import { type KubeObject, keyOf } from './object.js';
import type { Store } from './store.js';

/** Called synchronously, one call at a time. It must not throw: what it throws is logged and counted, and the change is not repeated. */
export interface ReflectorHandler<T> {
  /** New or changed. `previous` is the last projection of the same UID. Not called for an object whose resourceVersion is known. */
  upsert(key: string, value: T, previous: T | undefined): void;
  /** Gone, or no longer wanted by project(). `uid` and `last` are those that were known. */
  remove(key: string, uid: string, last: T): void;
  /** Gone without ever having been in the store: for those who wanted it only after its last change and read it by themselves. */
  removedUnseen?(key: string): void;
  /** The store equals a complete list: after the first list, and again after every later one. */
  synced(): void;
  /** Events may have been missed: the store is behind, until `synced` is called again. */
  desynced?(): void;
}

/** What is kept of an object; `undefined` = nothing. Depends on the object alone, except for whether it is wanted at all. */
export type Project<K extends KubeObject, T> = (object: K) => T | undefined;

export interface Projection<K extends KubeObject> {
  upsert(object: K): void;
  remove(object: K): void;
  /** A complete list is through: removes what it did not show. */
  sweep(): void;
  desynced(): void;
  /** Calls of project() and of the handler that threw. */
  errors(): number;
}

export function createProjection<K extends KubeObject, T>(options: {
  readonly project: Project<K, T>;
  readonly handler: ReflectorHandler<T>;
  readonly store: Store<T>;
  readonly logger: Logger;
}): Projection<K> {
  const { project, handler, store, logger } = options;
  let errors = 0;

  function failed(message: string, key: string, error: unknown): void {
    errors += 1;
    logger.error(message, { key, error: messageOf(error) });
  }

  function tell(key: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      failed('reflector handler failed', key, error);
    }
  }

  function drop(key: string): void {
    const known = store.entry(key);
    if (!known) return;
    store.delete(key);
    tell(key, () => handler.remove(key, known.uid, known.value));
  }

  function upsert(object: K): void {
    const key = keyOf(object);
    const { uid = '', resourceVersion = '' } = object.metadata ?? {};
    let value: T | undefined;
    try {
      value = project(object);
    } catch (error) {
      store.touch(key);
      failed('object could not be projected; its last projection stays', key, error);
      return;
    }
    if (value === undefined) {
      drop(key);
      return;
    }
    const wanted = value;
    if (store.entry(key)?.uid !== uid) drop(key);
    const known = store.entry(key);
    if (known?.resourceVersion === resourceVersion) {
      store.touch(key);
      return;
    }
    store.set(key, { uid, resourceVersion, value: wanted });
    tell(key, () => handler.upsert(key, wanted, known?.value));
  }

  return {
    upsert,
    remove(object) {
      const key = keyOf(object);
      if (store.has(key)) drop(key);
      else tell(key, () => handler.removedUnseen?.(key));
    },
    sweep() {
      for (const key of store.unseen()) drop(key);
      tell('', () => handler.synced());
    },
    desynced: () => tell('', () => handler.desynced?.()),
    errors: () => errors,
  };
}
