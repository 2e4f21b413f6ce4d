// The receiver of state without I/O: applies entries one at a time per key, answers each, tells what it has.
// Invariants: a key is never applied twice at once, not even across lane sessions; an entry that was overtaken while it waited is answered
// as superseded and not applied; what waits is bounded by the lane's credit, which is given back when an entry is answered.
import { type Delete, Done_Outcome, type InventoryRequest, type Put } from '@skerry/gen/skerry/link/v1/link';
import { inventoryPage, kindDigests, type Versions } from './digest.js';
import { STALE_EPOCH } from './state-sender.js';
import type { Body, Settlement } from './types.js';

/** A Put or Delete and what it cost of the credit. */
export type Operation =
  | { readonly kind: 'put'; readonly put: Put; readonly cost: number }
  | { readonly kind: 'delete'; readonly delete: Delete; readonly cost: number };

export type ReceiverInput =
  | { readonly kind: 'attach' }
  | { readonly kind: 'detach' }
  | Operation
  | { readonly kind: 'inventoryRequest'; readonly request: InventoryRequest }
  | { readonly kind: 'synced'; readonly epoch: bigint }
  /** Tell the peer what is here: at attach, every ten minutes, after a repair. */
  | { readonly kind: 'tell' }
  /** Answers to `apply`. */
  | { readonly kind: 'applied'; readonly key: string; readonly settlement: Settlement }
  /** Replies left: more may be applied. */
  | { readonly kind: 'room' };

export type ReceiverEffect =
  | { readonly kind: 'send'; readonly body: Body }
  | { readonly kind: 'apply'; readonly operation: Operation }
  | { readonly kind: 'synced'; readonly epoch: bigint }
  /** So much of the lane's credit may be granted anew. */
  | { readonly kind: 'refund'; readonly bytes: number };

export interface ReceiverView {
  versions(): Versions;
  unsynced(): boolean;
  /** True when replies leave: nothing is applied whose answer could not be sent. */
  room(): boolean;
}

export interface ReceiverStats {
  readonly receivedPuts: number;
  readonly receivedDeletes: number;
  readonly inventories: number;
  readonly refusedStale: number;
  readonly applying: number;
  readonly waiting: number;
}

export interface StateReceiver {
  step(input: ReceiverInput): ReceiverEffect[];
  stats(): ReceiverStats;
}

/** Entries that are applied at once: enough for one group commit, few enough for an API server. */
const MAX_APPLYING = 64;

interface Applying {
  readonly operation: Operation;
  /** Of a lane session that is over: applied to its end, answered to nobody. */
  readonly orphaned: boolean;
}

export function createStateReceiver(view: ReceiverView): StateReceiver {
  const applying = new Map<string, Applying>();
  const waiting = new Map<string, Operation>();
  let effects: ReceiverEffect[] = [];
  let attached = false;
  const counts = { receivedPuts: 0, receivedDeletes: 0, inventories: 0, refusedStale: 0 };

  function step(input: ReceiverInput): ReceiverEffect[] {
    effects = [];
    take(input);
    start();
    return effects;
  }

  function take(input: ReceiverInput): void {
    switch (input.kind) {
      case 'attach':
        attached = true;
        tell();
        return;
      case 'tell':
        tell();
        return;
      case 'detach':
        attached = false;
        waiting.clear();
        for (const [key, { operation }] of applying) applying.set(key, { operation, orphaned: true });
        return;
      case 'put':
        counts.receivedPuts++;
        takeOperation(input);
        return;
      case 'delete':
        counts.receivedDeletes++;
        takeOperation(input);
        return;
      case 'inventoryRequest':
        answerInventory(input.request);
        return;
      case 'synced':
        effects.push({ kind: 'synced', epoch: input.epoch });
        return;
      case 'applied':
        takeApplied(input.key, input.settlement);
        return;
      case 'room':
        return;
    }
  }

  function tell(): void {
    const kinds = kindDigests(view.versions());
    effects.push({ kind: 'send', body: { $case: 'digest', value: { kinds, unsynced: view.unsynced() } } });
  }

  function takeOperation(operation: Operation): void {
    const { key } = targetOf(operation);
    const overtaken = waiting.get(key);
    if (overtaken) answer(overtaken, SUPERSEDED);
    // Deleted first, so that the newest takes its turn behind the others.
    waiting.delete(key);
    waiting.set(key, operation);
  }

  function start(): void {
    if (waiting.size === 0) return;
    for (const [key, operation] of waiting) {
      if (applying.size >= MAX_APPLYING || !view.room()) return;
      if (applying.has(key)) continue;
      waiting.delete(key);
      applying.set(key, { operation, orphaned: false });
      effects.push({ kind: 'apply', operation });
    }
  }

  function takeApplied(key: string, settlement: Settlement): void {
    const work = applying.get(key);
    applying.delete(key);
    if (settlement.outcome === Done_Outcome.OUTCOME_REJECTED && settlement.code === STALE_EPOCH) counts.refusedStale++;
    if (work && !work.orphaned) answer(work.operation, settlement);
    // It landed after this session's digest was told: what the sender knows of us is no longer so.
    if (work?.orphaned && attached) tell();
  }

  function answer(operation: Operation, settlement: Settlement): void {
    const { key, version } = targetOf(operation);
    effects.push({ kind: 'send', body: { $case: 'done', value: { key, version, ...settlement } } });
    effects.push({ kind: 'refund', bytes: operation.cost });
  }

  function answerInventory({ kinds, after }: InventoryRequest): void {
    counts.inventories++;
    effects.push({ kind: 'send', body: { $case: 'inventory', value: inventoryPage(view.versions(), kinds, after) } });
  }

  return {
    step,
    stats: () => ({ ...counts, applying: applying.size, waiting: waiting.size }),
  };
}

const SUPERSEDED: Settlement = { outcome: Done_Outcome.OUTCOME_SUPERSEDED, code: '', reason: '' };

export function targetOf(operation: Operation): { readonly key: string; readonly version: string } {
  return operation.kind === 'put' ? operation.put : operation.delete;
}
