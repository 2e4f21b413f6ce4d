// What the node has to say to one controller: the newest value per key, from sidecars and edgecore itself. The source of the lane session.
// Invariants: absence means something only after every reporter has said all that it knows; an entry that was put durably stays on disk
// until the cloud has answered it or a newer value took its place.
import { SkerryError } from '@skerry/common/errors';
import type { Entry, Settlement, StateSource } from '@skerry/common/link/types';
import type { Change, MetaStore } from '../meta/types.js';

export type SettledListener = (key: string, version: string, settlement: Settlement) => void;

/** One stream of one reporter; what it says after it was replaced or closed is ignored. */
export interface Reporter {
  /** Throws `resource_exhausted` when the table is full. */
  put(key: string, entry: Entry): void;
  /** As put; resolves when the entry is on disk. */
  putDurable(key: string, entry: Entry): Promise<void>;
  delete(key: string): void;
  /** All was said: what this reporter said in an earlier stream and not in this one is forgotten. */
  complete(): void;
  close(): void;
}

/** The lane session that follows the table. */
export interface ObservedListener {
  dirty(key: string): void;
  compare(): void;
}

export interface ObservedState extends StateSource {
  open(reporter: string, onSettled: SettledListener): Reporter;
  follow(listener: ObservedListener): void;
  /** Keys whose newest version the cloud has not answered. */
  pending(): number;
  /** Answers of the cloud since the start. */
  answered(): bigint;
}

export interface ObservedStateOptions {
  readonly meta: MetaStore;
  /** Kinds of the keys that this table takes. */
  readonly kinds: readonly string[];
  /** Reporters without which the table is not complete. */
  readonly required: readonly string[];
  readonly onError: (error: unknown) => void;
}

const MAX_KEYS = 10_000;

interface Item {
  readonly entry: Entry;
  /** Undefined for what was found on disk until its reporter says it again. */
  readonly reporter: string | undefined;
  isSettled: boolean;
}

interface Session {
  readonly onSettled: SettledListener;
  readonly seen: Set<string>;
}

export function createObservedState(options: ObservedStateOptions): ObservedState {
  const { meta, required, onError } = options;
  const prefixes = options.kinds.map((kind) => `${kind}/`);
  const isOurs = (key: string): boolean => prefixes.some((prefix) => key.startsWith(prefix));
  const items = new Map<string, Item>();
  const sessions = new Map<string, Session>();
  const completed = new Set<string>();
  /** Durable puts whose commit is under way. */
  const writing = new Map<string, number>();
  let listener: ObservedListener | undefined;
  let answered = 0n;

  for (const [key, entry] of meta.entries('outbox')) {
    if (isOurs(key)) items.set(key, { entry, reporter: undefined, isSettled: false });
  }

  const complete = (): boolean => required.every((name) => completed.has(name));

  function set(key: string, entry: Entry, reporter: string): void {
    if (!isOurs(key))
      throw new SkerryError('invalid_argument', `"${key}" is not reported here: want ${prefixes.join(', ')}`);
    if (!items.has(key) && items.size >= MAX_KEYS)
      throw new SkerryError('resource_exhausted', `${MAX_KEYS} keys are reported already`);
    const before = items.get(key);
    items.set(key, {
      entry,
      reporter,
      isSettled: before?.isSettled === true && before.entry.version === entry.version,
    });
    listener?.dirty(key);
  }

  function remove(key: string): void {
    forgetOnDisk(key);
    if (items.delete(key)) listener?.dirty(key);
  }

  /** Commits take effect in order, so this never removes what was put durably afterwards. */
  function forgetOnDisk(key: string): void {
    const change: Change = { kind: 'delete', space: 'outbox', key };
    if (meta.get('outbox', key) || writing.has(key)) meta.commit([change]).catch(onError);
  }

  async function keep(key: string, entry: Entry): Promise<void> {
    writing.set(key, (writing.get(key) ?? 0) + 1);
    try {
      await meta.commit([{ kind: 'put', space: 'outbox', key, entry }]);
    } finally {
      const left = (writing.get(key) ?? 1) - 1;
      if (left === 0) writing.delete(key);
      else writing.set(key, left);
    }
  }

  function open(name: string, onSettled: SettledListener): Reporter {
    const session: Session = { onSettled, seen: new Set() };
    sessions.set(name, session);
    const isCurrent = (): boolean => sessions.get(name) === session;
    return {
      put(key, entry) {
        if (!isCurrent()) return;
        set(key, entry, name);
        session.seen.add(key);
        forgetOnDisk(key);
      },
      async putDurable(key, entry) {
        if (!isCurrent()) throw new SkerryError('cancelled', `a newer stream of ${name} took this one's place`);
        set(key, entry, name);
        session.seen.add(key);
        await keep(key, entry);
      },
      delete(key) {
        if (!isCurrent()) return;
        session.seen.delete(key);
        remove(key);
      },
      complete() {
        if (!isCurrent()) return;
        for (const [key, { reporter }] of items) {
          if (reporter !== name || session.seen.has(key)) continue;
          if (!meta.get('outbox', key)) remove(key);
        }
        const wasComplete = complete();
        completed.add(name);
        if (!wasComplete && complete()) listener?.compare();
      },
      close() {
        if (isCurrent()) sessions.delete(name);
      },
    };
  }

  function settled(key: string, version: string, settlement: Settlement): void {
    answered += 1n;
    const item = items.get(key);
    if (item?.entry.version !== version) return;
    item.isSettled = true;
    forgetOnDisk(key);
    if (item.reporter === undefined) items.delete(key);
    else sessions.get(item.reporter)?.onSettled(key, version, settlement);
  }

  return {
    open,
    follow(follower) {
      listener = follower;
      // What an earlier edgecore kept is delivered even if its reporter never comes back.
      for (const key of items.keys()) follower.dirty(key);
    },
    answered: () => answered,
    pending: () => [...items.values()].filter(({ isSettled }) => !isSettled).length,
    *versions() {
      for (const [key, { entry }] of items) yield [key, entry.version] as const;
    },
    read: (key) => items.get(key)?.entry,
    complete,
    confirmAbsent: async (key) => !items.has(key),
    settled,
    epoch: () => 0n,
  };
}
