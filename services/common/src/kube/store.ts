// What a reflector remembers: per key the projection, the UID and the resourceVersion it was made from; never the object itself.
// Invariant: an entry leaves only by a DELETED event, by a project() that no longer wants it, or by a sweep after a complete list.

/** What readers see. Keys are `<namespace>/<name>` (or `<name>`). */
export interface StoreView<T> {
  get(key: string): T | undefined;
  has(key: string): boolean;
  uid(key: string): string | undefined;
  keys(): IterableIterator<string>;
  entries(): IterableIterator<[key: string, value: T]>;
  readonly size: number;
}

export interface StoreEntry<T> {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly value: T;
}

export interface Store<T> extends StoreView<T> {
  entry(key: string): StoreEntry<T> | undefined;
  set(key: string, entry: StoreEntry<T>): void;
  delete(key: string): void;
  /** Opens a list pass; keys that are set or touched from now on survive its sweep. */
  beginPass(): void;
  /** The key was listed, nothing about it changed. */
  touch(key: string): void;
  /** Keys that were neither set nor touched since `beginPass`. They are not removed here. */
  unseen(): string[];
}

export function createStore<T>(): Store<T> {
  const entries = new Map<string, StoreEntry<T> & { pass: number }>();
  let pass = 0;

  function* values(): IterableIterator<[string, T]> {
    for (const [key, entry] of entries) yield [key, entry.value];
  }

  return {
    get: (key) => entries.get(key)?.value,
    has: (key) => entries.has(key),
    uid: (key) => entries.get(key)?.uid,
    keys: () => entries.keys(),
    entries: values,
    get size() {
      return entries.size;
    },
    entry: (key) => entries.get(key),
    set: (key, { uid, resourceVersion, value }) => void entries.set(key, { uid, resourceVersion, value, pass }),
    delete: (key) => void entries.delete(key),
    beginPass() {
      pass += 1;
    },
    touch(key) {
      const entry = entries.get(key);
      if (entry) entry.pass = pass;
    },
    unseen: () => [...entries].filter(([, entry]) => entry.pass !== pass).map(([key]) => key),
  };
}
