// The scheduler: binds Pods that wait, tells why others can not be bound.
// Wiring: `createScheduler({ cluster: store, clock, logger, newUid })` is a Component; start it after the store is open, stop it before the
// store closes. It writes spec.nodeName, the PodScheduled condition and Events (Scheduled, FailedScheduling), all in one transaction.
// Invariant: a Pod is decided on inside the transaction that binds it, against the Pods bound before it.
import type { Component } from '@skerry/common/lifecycle';
import { equalJson, type KubeObject } from '../api/objects.js';
import { rfc3339 } from '../api/time.js';
import { type ControllerOptions, NODES, PODS } from '../controllers/access.js';
import { withCondition } from '../controllers/conditions.js';
import { recordEvent } from '../controllers/events.js';
import { createPassLoop } from '../controllers/pass-loop.js';
import type { Change, ObjectKey, StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import { hasEnded, isPending, SCHEDULER, schedule, viewNodes, withPod } from './schedule.js';

/** Pods a transaction: long enough to pay for looking at all nodes once, short enough not to hold up other writes. */
const BATCH = 200;

/** Pods that could not be placed are looked at again at least this often, which repeats their Event before it expires. */
const REPEAT_MS = 300_000;

export interface SchedulingContext {
  readonly nowMs: number;
  readonly newUid: () => string;
}

/** Decides on each of the Pods that still waits, and writes the outcome. Returns how many could not be placed. */
export function scheduleBatch(tx: Transaction, keys: readonly ObjectKey[], context: SchedulingContext): number {
  const objects = (collection: string): KubeObject[] => tx.list(collection).map(({ object }) => object);
  const views = viewNodes(objects(NODES), objects(PODS));
  let unplaced = 0;
  for (const key of keys) {
    const stored = tx.get(key);
    if (stored === undefined || !isPending(stored.object)) continue;
    const decision = schedule(stored.object, views.values());
    if (decision.kind === 'unschedulable') {
      unplaced += 1;
      refuse(tx, stored, decision.message, context);
      continue;
    }
    bind(tx, stored, decision.node, context);
    const view = views.get(decision.node);
    if (view !== undefined) views.set(decision.node, withPod(view, stored.object));
  }
  return unplaced;
}

function bind(tx: Transaction, stored: StoredObject, node: string, context: SchedulingContext): void {
  const { key, object } = stored;
  const condition = { type: 'PodScheduled', status: 'True' } as const;
  const status = withCondition(object.status, condition, rfc3339(context.nowMs)) ?? object.status ?? {};
  tx.put(key, { ...object, spec: { ...object.spec, nodeName: node }, status });
  const message = `Successfully assigned ${key.namespace}/${key.name} to ${node}`;
  recordEvent(tx, stored, { kind: 'Pod', type: 'Normal', reason: 'Scheduled', message, component: SCHEDULER }, context);
}

function refuse(tx: Transaction, stored: StoredObject, message: string, context: SchedulingContext): void {
  const { key, object } = stored;
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message } as const;
  const status = withCondition(object.status, condition, rfc3339(context.nowMs));
  if (status !== undefined) tx.put(key, { ...object, status });
  const text = { kind: 'Pod', type: 'Warning', reason: 'FailedScheduling', message, component: SCHEDULER } as const;
  recordEvent(tx, stored, text, { ...context, quietMs: REPEAT_MS });
}

/** By priority, then by age. */
function pendingKeys(pods: readonly StoredObject[]): ObjectKey[] {
  const priority = ({ object }: StoredObject): number => Number(object.spec?.['priority'] ?? 0);
  const created = ({ object }: StoredObject): number => Date.parse(object.metadata.creationTimestamp ?? '') || 0;
  const pending = pods.filter(({ object }) => isPending(object));
  return pending.sort((a, b) => priority(b) - priority(a) || created(a) - created(b)).map(({ key }) => key);
}

/** Whether a change can alter what is scheduled; the status that nodes send all the time can not. */
export function concernsScheduling({ type, current, previous }: Change): boolean {
  const { collection } = current.key;
  if (collection !== PODS && collection !== NODES) return false;
  if (type !== 'MODIFIED') return true;
  const [next, old] = [current.object, previous.object];
  if (!equalJson(next.spec, old.spec)) return true;
  if (collection === PODS) return hasEnded(next) !== hasEnded(old);
  const facts = ({ metadata, status }: KubeObject) => [metadata.labels, status?.['allocatable'], status?.['capacity']];
  return !equalJson(facts(next), facts(old));
}

export function createScheduler(options: ControllerOptions): Component {
  const { cluster, clock, newUid } = options;
  const logger = options.logger.child({ controller: 'scheduler' });

  async function pass(): Promise<number | undefined> {
    const keys = pendingKeys(cluster.list(PODS));
    let unplaced = 0;
    for (let start = 0; start < keys.length; start += BATCH) {
      const batch = keys.slice(start, start + BATCH);
      unplaced += await cluster.transact((tx) => scheduleBatch(tx, batch, { nowMs: clock.nowMs(), newUid }));
    }
    return unplaced > 0 ? REPEAT_MS : undefined;
  }

  const loop = createPassLoop({ clock, logger, pass });
  let unsubscribe = (): void => {};

  return {
    name: 'scheduler',
    start: async () => {
      unsubscribe = cluster.onCommit((changes) => {
        if (changes.some(concernsScheduling)) loop.trigger();
      });
      loop.start();
    },
    stop: async () => {
      unsubscribe();
      await loop.stop();
    },
  };
}
