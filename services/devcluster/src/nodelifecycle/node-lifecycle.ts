// The life of nodes: a node that is silent becomes Unknown, its taints follow its conditions, its Pods are told, driven away in time, and
// collected when the node is gone.
// Wiring: `createNodeLifecycle({ cluster: store, clock, logger, newUid, deleteObject })` is a Component; start it after the store is open.
// `deleteObject` comes from `createDeleter` in controllers/deleter.ts. Nodes show life by their Lease in kube-node-lease or by their status.
// Invariants: a pass is one transaction; ages are monotonic and begin anew with the process, so that a restart never drives Pods away early.
import type { Component } from '@skerry/common/lifecycle';
import { at, equalJson, type KubeObject, textAt } from '../api/objects.js';
import { rfc3339 } from '../api/time.js';
import { type ControllerOptions, type DeleteObject, NODES, PODS } from '../controllers/access.js';
import { findCondition } from '../controllers/conditions.js';
import { recordEvent } from '../controllers/events.js';
import { createPassLoop } from '../controllers/pass-loop.js';
import type { Taint } from '../controllers/taints.js';
import type { Change, StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import { drivingTaints, stayMs } from './eviction.js';
import { correctedTaints, type SilenceLimits, silentStatus, trustLeftMs } from './health.js';
import { collect, evict, markNotReady, NODE_CONTROLLER, type PodWriteContext } from './pods.js';
import { createSightings } from './sightings.js';

export interface NodeLifecycleOptions extends ControllerOptions {
  readonly deleteObject: DeleteObject;
  /** Without sign of life, a node becomes Unknown after this. */
  readonly graceMs?: number;
  /** The same for a node that never posted its status. */
  readonly startupGraceMs?: number;
  /** Pods of a node that is gone stay this long, in case it comes back. */
  readonly orphanMs?: number;
}

/** Kubernetes' own defaults. */
const GRACE_MS = 40_000;
const STARTUP_GRACE_MS = 60_000;
const ORPHAN_MS = 40_000;

/** Since when (monotonic) what lasts has lasted. Made anew by each pass: it holds nothing that is over. */
interface Memory {
  /** Pods on nodes that drive Pods away, by UID. */
  readonly driven: ReadonlyMap<string, number>;
  /** Nodes that Pods are bound to and that do not exist, by name. */
  readonly missing: ReadonlyMap<string, number>;
}

interface PassContext extends PodWriteContext {
  readonly monotonicMs: number;
  readonly silentMs: (node: string) => number;
  readonly limits: SilenceLimits;
  readonly orphanMs: number;
}

interface PassResult extends Memory {
  /** When time alone will change something. */
  readonly againMs: number;
  /** Nodes whose Pods need looking after when they change. */
  readonly troubled: ReadonlySet<string>;
}

/** One look at all nodes and Pods; writes what is due. */
function lookAfter(tx: Transaction, memory: Memory, context: PassContext): PassResult {
  let againMs = Number.POSITIVE_INFINITY;
  const due = (ms: number): boolean => {
    if (ms > 0) againMs = Math.min(againMs, ms);
    return ms <= 0;
  };
  const nodes = new Map<string, NodeFacts>();
  for (const stored of tx.list(NODES)) {
    const leftMs = trustLeftMs(stored.object, context.silentMs(stored.key.name), context.limits);
    nodes.set(stored.key.name, correctNode(tx, stored, leftMs !== undefined && due(leftMs), context));
  }
  const driven = new Map<string, number>();
  const missing = new Map<string, number>();
  for (const stored of tx.list(PODS)) {
    const name = textAt(stored.object.spec, 'nodeName');
    const node = nodes.get(name);
    if (name === '') continue;
    if (node === undefined) {
      const sinceMs = memory.missing.get(name) ?? context.monotonicMs;
      missing.set(name, sinceMs);
      if (due(sinceMs + context.orphanMs - context.monotonicMs)) collect(tx, stored, context);
      continue;
    }
    if (!node.ready) markNotReady(tx, stored, context);
    const { uid = '', deletionTimestamp } = stored.object.metadata;
    if (node.driving.length === 0 || deletionTimestamp !== undefined) continue;
    const sinceMs = memory.driven.get(uid) ?? context.monotonicMs;
    driven.set(uid, sinceMs);
    if (due(sinceMs + stayMs(stored.object, node.driving) - context.monotonicMs)) evict(tx, stored, context);
  }
  const troubled = [...nodes].filter(([, { ready, driving }]) => !ready || driving.length > 0).map(([name]) => name);
  return { driven, missing, againMs, troubled: new Set([...troubled, ...missing.keys()]) };
}

interface NodeFacts {
  /** False only when the node says so or is silent: a node that never reported has no Pods to take from Ready. */
  readonly ready: boolean;
  readonly driving: readonly Taint[];
}

/** Brings conditions and taints up to date. */
function correctNode(tx: Transaction, stored: StoredObject, silent: boolean, context: PassContext): NodeFacts {
  const { now } = context;
  let node: KubeObject = stored.object;
  if (silent) {
    node = { ...node, status: silentStatus(node, now) };
    const message = `Node ${stored.key.name} status is now: NodeNotReady`;
    recordEvent(
      tx,
      stored,
      { kind: 'Node', type: 'Normal', reason: 'NodeNotReady', message, component: NODE_CONTROLLER },
      context,
    );
  }
  const taints = correctedTaints(node, now);
  if (taints !== undefined) node = { ...node, spec: { ...node.spec, taints } };
  if (node !== stored.object) tx.put(stored.key, node);
  const ready = findCondition(node.status, 'Ready');
  return { ready: ready === undefined || ready['status'] === 'True', driving: drivingTaints(node) };
}

/** Whether a change can call for work at once; Leases only defer it. */
function callsForWork({ type, current, previous }: Change, troubled: ReadonlySet<string>): boolean {
  const { collection } = current.key;
  if (collection === NODES)
    return type !== 'MODIFIED' || !equalJson(nodeFacts(current.object), nodeFacts(previous.object));
  if (collection !== PODS || type === 'DELETED') return false;
  return (
    type === 'ADDED' ||
    troubled.has(textAt(current.object.spec, 'nodeName')) ||
    !equalJson(current.object.spec, previous.object.spec)
  );
}

/** What passes look at; heartbeats leave it as it is. */
function nodeFacts(node: KubeObject): unknown {
  const conditions = at(node.status, 'conditions');
  const states = Array.isArray(conditions) ? conditions.map((item) => [at(item, 'type'), at(item, 'status')]) : [];
  return [node.spec, states];
}

export function createNodeLifecycle(options: NodeLifecycleOptions): Component {
  const { cluster, clock, newUid, deleteObject, orphanMs = ORPHAN_MS } = options;
  const limits = { graceMs: options.graceMs ?? GRACE_MS, startupGraceMs: options.startupGraceMs ?? STARTUP_GRACE_MS };
  const logger = options.logger.child({ controller: 'nodelifecycle' });
  const sightings = createSightings();
  let memory: Memory = { driven: new Map(), missing: new Map() };
  let troubled: ReadonlySet<string> = new Set();
  let unsubscribe = (): void => {};

  async function pass(): Promise<number | undefined> {
    const result = await cluster.transact((tx) => {
      const monotonicMs = clock.monotonicMs();
      const nowMs = clock.nowMs();
      const silentMs = (name: string): number => sightings.silentMs(name, monotonicMs);
      const context = { now: rfc3339(nowMs), nowMs, monotonicMs, newUid, silentMs, limits, orphanMs, deleteObject };
      return lookAfter(tx, memory, context);
    });
    memory = result;
    troubled = result.troubled;
    return Number.isFinite(result.againMs) ? result.againMs : undefined;
  }

  const loop = createPassLoop({ clock, logger, pass });

  return {
    name: 'nodelifecycle',
    start: async () => {
      for (const { key } of cluster.list(NODES)) sightings.expect(key.name, clock.monotonicMs());
      unsubscribe = cluster.onCommit((changes) => {
        for (const change of changes) sightings.note(change, clock.monotonicMs());
        if (changes.some((change) => callsForWork(change, troubled))) loop.trigger();
      });
      loop.start();
    },
    stop: async () => {
      unsubscribe();
      await loop.stop();
    },
  };
}
