// The desired state of the nodes that this replica serves, kept current from the API: the placed objects (Pods, Devices) and what they
// reference. Hands each lane session its StateSource.
// Invariants: `complete` only while a full list of the placed objects and then one of every referenced resource was applied and no event
// may have been missed since; a key is absent only when a live read says so; objects of nodes that are not served are not kept.
import type { Clock } from '../clock.js';
import { SkerryError } from '../errors.js';
import { type Kind, kindOf, parseKey } from '../keys.js';
import type { KubeClient } from '../kube/client.js';
import { isNotFound } from '../kube/kube-error.js';
import type { KubeObject } from '../kube/object.js';
import { createReflector, type ReflectorMetrics } from '../kube/reflector.js';
import type { Resource } from '../kube/resources.js';
import { shardOf } from '../kube/shard.js';
import type { Component } from '../lifecycle.js';
import type { Entry, Settlement, StateSource } from '../link/types.js';
import type { Logger } from '../logger.js';
import { createDesiredIndex, type DesiredIndex, type Placed } from './desired-index.js';
import { createReferenceFollower, type Followed, type ReferenceFollower } from './reference-follower.js';

export interface PlacedObject extends Placed {
  readonly key: string;
}

/** The resource whose objects name their node. */
export interface Placement<K extends KubeObject, T extends PlacedObject> {
  readonly resource: Resource<K>;
  /** First segment of the keys. */
  readonly kind: Kind;
  /** What is kept of an object; undefined when it is on no node. `wants` says whether its node's objects are kept here at all. */
  readonly place: (object: K, wants: (node: string) => boolean) => T | undefined;
  /** Narrows a list to one node's objects, where the API can. */
  readonly nodeSelector?: (node: string) => string;
}

/** Which shards are served here; see kube/shard-claims. */
export interface Claims {
  epochOf(shard: number): number | undefined;
}

export interface DesiredStateOptions<K extends KubeObject, T extends PlacedObject> {
  readonly client: KubeClient;
  readonly claims: Claims;
  readonly placement: Placement<K, T>;
  /** Builders, so that each may have an object type of its own. */
  readonly followed: readonly ((build: BuildFollower) => ReferenceFollower)[];
  /** Objects on other nodes are not kept; every served node when left out. */
  readonly wantsNode?: (node: string) => boolean;
  readonly onDirty: (node: string, key: string) => void;
  /** `complete()` became true. */
  readonly onComplete: () => void;
  readonly onPlaced?: (object: T) => void;
  readonly onRemoved?: (object: T) => void;
  readonly onSettled?: (node: string, key: string, settlement: Settlement) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export type BuildFollower = <R extends KubeObject>(followed: Followed<R>) => ReferenceFollower;

export interface DesiredState<T extends PlacedObject> extends Component {
  readonly index: DesiredIndex;
  /** A placed object that is kept, by key. */
  object(key: string): T | undefined;
  complete(): boolean;
  source(node: string): StateSource;
  /** What is wanted has changed (claims, nodes): lists anew. Until that is through, `complete` is false. */
  reload(): void;
  metrics(): DesiredStateMetrics;
}

export interface DesiredStateMetrics {
  readonly sizes: ReturnType<DesiredIndex['sizes']>;
  readonly reflector: ReflectorMetrics;
  readonly liveReads: number;
}

const PAGE = 500;

export function createDesiredState<K extends KubeObject, T extends PlacedObject>(
  options: DesiredStateOptions<K, T>,
): DesiredState<T> {
  const { client, claims, placement, clock, random, logger } = options;
  const objects = new Map<string, T>();
  let placedCurrent = false;

  const index = createDesiredIndex({
    dirty: options.onDirty,
    wanted: (target) => followers.find((follower) => follower.kind === kindOf(target))?.wanted(target),
  });
  const build: BuildFollower = (followed) =>
    createReferenceFollower({ client, followed, index, onCurrent: announce, clock, random, logger });
  const followers = options.followed.map((follow) => follow(build));

  const reflector = createReflector<K, T>({
    client,
    resource: placement.resource,
    project: (object) => placement.place(object, wants),
    handler: {
      upsert: (_key, object) => {
        objects.set(object.key, object);
        index.place(object.key, object);
        options.onPlaced?.(object);
      },
      remove: (_key, _uid, last) => {
        objects.delete(last.key);
        index.remove(last.key);
        options.onRemoved?.(last);
      },
      synced: onListed,
      desynced: () => {
        placedCurrent = false;
      },
    },
    clock,
    random,
    logger,
  });

  function wants(node: string): boolean {
    return claims.epochOf(shardOf(node)) !== undefined && (options.wantsNode?.(node) ?? true);
  }

  function complete(): boolean {
    return placedCurrent && followers.every((follower) => follower.current());
  }

  function announce(): void {
    if (complete()) options.onComplete();
  }

  /** Only now is it known which references there are. */
  function onListed(): void {
    placedCurrent = true;
    for (const follower of followers) if (!follower.current()) follower.reload();
    announce();
  }

  /**
   * What the other side deletes when it gets undefined. That an object is missing here may follow from a list alone, so the API has the
   * last word. Throws `unavailable` when the object is there after all: the watch is behind.
   */
  async function readAbsent(node: string, key: string): Promise<Entry | undefined> {
    if (!complete() || (await confirmAbsent(node, key))) return undefined;
    const entry = index.read(node, key);
    if (entry) return entry;
    throw new SkerryError('unavailable', `${key} is on node ${node}, but not heard of yet: try again`);
  }

  async function confirmAbsent(node: string, key: string): Promise<boolean> {
    if (!complete() || index.desires(node, key)) return false;
    return kindOf(key) === placement.kind ? !(await isPlaced(node, key)) : !(await isReferencedLive(node, key));
  }

  /** Whether the object that the key names, by UID where it has one, is on that node. */
  async function isPlaced(node: string, key: string): Promise<boolean> {
    const { namespace, name } = parseKey(key);
    try {
      const live = placement.place(await client.get(placement.resource, { namespace, name }), () => true);
      return live?.node === node && live.key === key;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** A target is only ever referenced from its own namespace. */
  async function isReferencedLive(node: string, target: string): Promise<boolean> {
    const { namespace } = parseKey(target);
    const fieldSelector = placement.nodeSelector?.(node);
    for (let continueToken: string | undefined, first = true; first || continueToken; first = false) {
      const page = await client.list(placement.resource, {
        namespace,
        limit: PAGE,
        ...(fieldSelector !== undefined && { fieldSelector }),
        ...(continueToken !== undefined && { continueToken }),
      });
      const users = page.items.flatMap((object) => placement.place(object, (name) => name === node) ?? []);
      if (users.some((user) => user.entry.references.includes(target))) return true;
      continueToken = page.metadata.continue;
    }
    return false;
  }

  return {
    name: `desired ${placement.resource.plural}`,
    index,
    object: (key) => objects.get(key),
    complete,
    source: (node) => ({
      versions: () => index.versions(node),
      read: (key) => index.read(node, key) ?? readAbsent(node, key),
      complete,
      confirmAbsent: (key) => confirmAbsent(node, key),
      settled: (key, _version, settlement) => options.onSettled?.(node, key, settlement),
      epoch: () => BigInt(claims.epochOf(shardOf(node)) ?? 0),
    }),
    reload() {
      placedCurrent = false;
      for (const follower of followers) follower.invalidate();
      reflector.relist();
    },
    async start() {
      for (const follower of followers) await follower.start();
      await reflector.start();
    },
    async stop(deadline) {
      await reflector.stop(deadline);
      for (const follower of followers) await follower.stop(deadline);
    },
    metrics: () => ({
      sizes: index.sizes(),
      reflector: reflector.metrics(),
      liveReads: followers.reduce((sum, follower) => sum + follower.metrics().liveReads, 0),
    }),
  };
}
