// Keeps what is known of the referenced objects of one resource current: read live when a reference is new, followed by watch from then on.
// Invariants: objects that nobody references are not kept; "absent" is only said after a 404, a deletion, or never before a complete list;
// what a live read answers never overwrites what the watch said while the read was under way.
import type { Clock } from '../clock.js';
import type { Kind } from '../keys.js';
import type { KubeClient } from '../kube/client.js';
import { isNotFound } from '../kube/kube-error.js';
import { type KubeObject, keyOf, parseKey } from '../kube/object.js';
import { createReconciler } from '../kube/reconciler.js';
import { createReflector, type ReflectorMetrics } from '../kube/reflector.js';
import type { Resource } from '../kube/resources.js';
import type { Component } from '../lifecycle.js';
import type { Entry } from '../link/types.js';
import type { Logger } from '../logger.js';
import type { DesiredIndex } from './desired-index.js';
import { ABSENT } from './entry.js';

/** A resource whose objects are delivered because others reference them. */
export interface Followed<K extends KubeObject> {
  readonly resource: Resource<K>;
  /** First segment of the targets' keys. */
  readonly kind: Kind;
  readonly entry: (object: K) => Entry;
}

export interface ReferenceFollowerOptions<K extends KubeObject> {
  readonly client: KubeClient;
  readonly followed: Followed<K>;
  readonly index: DesiredIndex;
  /** `current()` became true. */
  readonly onCurrent: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface ReferenceFollower extends Component {
  readonly kind: Kind;
  /** The index references a target that nothing is known of. */
  wanted(target: string): void;
  /** Every target that was referenced at the last complete list is known. */
  current(): boolean;
  /** The references are about to change wholesale: until `reload`, nothing is current and nothing is read one by one. */
  invalidate(): void;
  /** The references are known now: list them all. Starts to follow when it did not yet. */
  reload(): void;
  metrics(): ReflectorMetrics & { readonly liveReads: number };
}

/** Reads under way at once. */
const READERS = 8;
const BACKOFF = { baseMs: 250, maxMs: 30_000 };

export function createReferenceFollower<K extends KubeObject>(options: ReferenceFollowerOptions<K>): ReferenceFollower {
  const { client, followed, index, clock, random, logger } = options;
  const { resource, kind } = followed;
  const targetOf = (storeKey: string): string => `${kind}/${storeKey}`;
  const storeKeyOf = (target: string): string => target.slice(kind.length + 1);
  /** Live reads under way; `overtaken` when the watch spoke of the target meanwhile. */
  const reading = new Map<string, { overtaken: boolean }>();
  /** What the last complete list left open. */
  const open = new Set<string>();
  let listed = false;
  let following: Promise<void> | undefined;
  let liveReads = 0;

  const reflector = createReflector<K, Entry>({
    client,
    resource,
    project: (object) => (index.isReferenced(targetOf(keyOf(object))) ? followed.entry(object) : undefined),
    handler: {
      upsert: (key, entry) => learned(targetOf(key), entry),
      remove: (key) => learned(targetOf(key), ABSENT),
      removedUnseen: (key) => learned(targetOf(key), ABSENT),
      synced: onListed,
      desynced: () => {
        listed = false;
      },
    },
    clock,
    random,
    logger,
  });

  const reads = createReconciler({
    name: `read ${resource.plural}`,
    workers: READERS,
    reconcile: readTarget,
    backoff: BACKOFF,
    clock,
    random,
    logger,
  });

  function learned(target: string, entry: Entry): void {
    const read = reading.get(target);
    if (read) read.overtaken = true;
    index.settle(target, entry);
    closed(target);
  }

  function closed(target: string): void {
    if (open.delete(target) && current()) options.onCurrent();
  }

  function current(): boolean {
    return listed && open.size === 0;
  }

  /** What the list did not show is absent, unless it came into being, or was referenced, while the list was under way. */
  function onListed(): void {
    for (const target of index.targets()) {
      if (!target.startsWith(`${kind}/`)) continue;
      const entry = reflector.store.get(storeKeyOf(target));
      if (entry) index.settle(target, entry);
      else {
        open.add(target);
        reads.add(target);
      }
    }
    listed = true;
    if (current()) options.onCurrent();
  }

  function invalidate(): void {
    listed = false;
    open.clear();
  }

  async function readTarget(target: string, signal: AbortSignal): Promise<undefined> {
    if (index.isReferenced(target)) {
      const followedEntry = reflector.store.get(storeKeyOf(target));
      if (followedEntry) index.settle(target, followedEntry);
      else await readLive(target, signal);
    }
    closed(target);
  }

  async function readLive(target: string, signal: AbortSignal): Promise<void> {
    const read = { overtaken: false };
    reading.set(target, read);
    liveReads += 1;
    try {
      const entry = await client.get(resource, parseKey(storeKeyOf(target)), { signal }).then(followed.entry, orAbsent);
      if (!read.overtaken) index.settle(target, entry);
    } finally {
      reading.delete(target);
    }
  }

  return {
    name: `references to ${resource.plural}`,
    kind,
    // Before the first list there is no need to ask one by one.
    wanted: (target) => {
      if (listed) reads.add(target);
    },
    current,
    invalidate,
    reload() {
      invalidate();
      if (following) reflector.relist();
      else following = reflector.start();
    },
    start: () => reads.start(),
    async stop(deadline) {
      await reads.stop(deadline);
      await reflector.stop(deadline);
    },
    metrics: () => ({ ...reflector.metrics(), liveReads }),
  };
}

function orAbsent(error: unknown): Entry {
  if (isNotFound(error)) return ABSENT;
  throw error;
}
