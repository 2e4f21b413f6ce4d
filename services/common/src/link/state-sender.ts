// The sender of state without I/O: which key is read, sent, confirmed or compared next.
// Invariants: one version of a key is under way at a time and the newest is read when its turn comes, so nothing queues; nothing is
// deleted while the source is incomplete, and never on absence alone without a confirmation; Synced is said only when all that a
// comparison found different has been settled; all sets are bounded by the keys of the two sides and MAX_DIRTY.
import { Done_Outcome, type InventoryEntry, type KindDigest } from '@skerry/gen/skerry/link/v1/link';
import { asBuffer } from './bytes.js';
import { type Comparison, diffPage, pageProblem } from './comparison.js';
import { compareText, kindDigests, unequalKinds, type Versions } from './digest.js';
import { unfitness } from './entry-check.js';
import type { Body, Entry, Settlement } from './types.js';

export type SenderInput =
  /** A lane session begins or is over. */
  | { readonly kind: 'attach' }
  | { readonly kind: 'detach' }
  | { readonly kind: 'dirty'; readonly key: string }
  /** The source became complete or changed wholesale. */
  | { readonly kind: 'compare' }
  /** There may be room to send. */
  | { readonly kind: 'room' }
  /** Answers to effects. */
  | { readonly kind: 'read'; readonly key: string; readonly turn: number; readonly entry: Entry | undefined }
  | { readonly kind: 'confirmed'; readonly key: string; readonly turn: number; readonly absent: boolean }
  | { readonly kind: 'failed'; readonly key: string; readonly turn: number }
  | { readonly kind: 'retry' }
  /** From the peer. */
  | { readonly kind: 'digest'; readonly kinds: readonly KindDigest[] }
  | { readonly kind: 'inventory'; readonly entries: readonly InventoryEntry[]; readonly last: boolean }
  | { readonly kind: 'done'; readonly key: string; readonly version: string; readonly settlement: Settlement };

export type SenderEffect =
  | { readonly kind: 'send'; readonly body: Body }
  | { readonly kind: 'read'; readonly key: string; readonly turn: number }
  | { readonly kind: 'confirm'; readonly key: string; readonly turn: number }
  /** Give the input `retry` after a while. */
  | { readonly kind: 'retryLater' }
  | { readonly kind: 'settled'; readonly key: string; readonly version: string; readonly settlement: Settlement }
  | { readonly kind: 'violation'; readonly message: string };

/** What the core may look at; pure for the time of one step. */
export interface SenderView {
  versions(): Versions;
  complete(): boolean;
  epoch(): bigint;
  /** True when another Put or Delete may be prepared. */
  room(): boolean;
}

export interface SenderStats {
  readonly dirty: number;
  readonly outstanding: number;
  readonly sentPuts: number;
  readonly sentDeletes: number;
  readonly rejected: number;
  readonly digestsEqual: number;
  readonly digestsUnequal: number;
  readonly staleEpochs: number;
  /** Answers to nothing that is under way. */
  readonly strays: number;
  /** Dirty keys given up to the next comparison because there were too many. */
  readonly forgotten: number;
}

export interface StateSender {
  step(input: SenderInput): SenderEffect[];
  stats(): SenderStats;
}

/** Keys being read or confirmed at once. */
const MAX_PREPARING = 8;
/** Keys under way at once. */
const MAX_OUTSTANDING = 1_024;
/** Past so many dirty keys the next comparison finds them more cheaply. */
const MAX_DIRTY = 20_000;

export const STALE_EPOCH = 'StaleEpoch';

/** Where a key is that is no longer dirty. `confirm`: a delete follows from absence alone. */
interface Busy {
  readonly phase: 'reading' | 'confirming' | 'outstanding';
  readonly turn: number;
  readonly confirm: boolean;
  readonly version: string;
}

/** A version that the peer refused: not sent again. `theirs` is what it has instead, once an inventory told. */
interface Rejected {
  readonly version: string;
  readonly theirs: string | undefined;
}

export function createStateSender(view: SenderView): StateSender {
  const dirty = new Map<string, boolean>();
  const busy = new Map<string, Busy>();
  const rejected = new Map<string, Rejected>();
  const parked = new Set<string>();
  const failed = new Map<string, boolean>();
  let attached = false;
  let turn = 0;
  let preparing = 0;
  let theirs: readonly KindDigest[] | undefined;
  /** Nothing was settled since `theirs` was told. */
  let fresh = false;
  let compareWanted = false;
  let comparison: Comparison | undefined;
  let pageAwaited = false;
  let effects: SenderEffect[] = [];
  const counts = {
    sentPuts: 0,
    sentDeletes: 0,
    rejected: 0,
    digestsEqual: 0,
    digestsUnequal: 0,
    staleEpochs: 0,
    strays: 0,
    forgotten: 0,
  };

  function step(input: SenderInput): SenderEffect[] {
    effects = [];
    take(input);
    unpark();
    compare();
    pump();
    return effects;
  }

  function take(input: SenderInput): void {
    switch (input.kind) {
      case 'attach':
        attached = true;
        return;
      case 'detach':
        detach();
        return;
      case 'dirty':
        markDirty(input.key, false);
        return;
      case 'compare':
        compareWanted = true;
        return;
      case 'room':
        return;
      case 'read':
        takeRead(input.key, input.turn, input.entry);
        return;
      case 'confirmed':
        takeConfirmed(input.key, input.turn, input.absent);
        return;
      case 'failed':
        takeFailed(input.key, input.turn);
        return;
      case 'retry':
        for (const [key, confirm] of failed) markDirty(key, confirm);
        failed.clear();
        return;
      case 'digest':
        theirs = input.kinds;
        fresh = true;
        compareWanted = true;
        return;
      case 'inventory':
        takeInventory(input.entries, input.last);
        return;
      case 'done':
        takeDone(input.key, input.version, input.settlement);
        return;
    }
  }

  /** Everything that was not settled is dirty again; what is known of the peer is forgotten. */
  function detach(): void {
    attached = false;
    for (const [key, { confirm }] of busy) markDirty(key, confirm);
    for (const [key, confirm] of failed) markDirty(key, confirm);
    busy.clear();
    failed.clear();
    preparing = 0;
    rejected.clear();
    theirs = undefined;
    fresh = false;
    compareWanted = false;
    comparison = undefined;
    pageAwaited = false;
  }

  /** What the source said itself needs no confirmation, whatever a comparison said before. */
  function markDirty(key: string, confirm: boolean): void {
    const known = dirty.get(key);
    if (known === undefined && dirty.size >= MAX_DIRTY) {
      counts.forgotten++;
      fresh = false;
      compareWanted = true;
      comparison?.unresolved.delete(key);
      return;
    }
    dirty.set(key, confirm && known !== false);
  }

  /** Absence means something again; it was noticed before, so it is confirmed. */
  function unpark(): void {
    if (parked.size === 0 || !view.complete()) return;
    for (const key of parked) markDirty(key, true);
    parked.clear();
  }

  /** Starts as many keys as there is room for. */
  function pump(): void {
    if (!attached) return;
    for (const [key, confirm] of dirty) {
      if (preparing >= MAX_PREPARING || busy.size >= MAX_OUTSTANDING || !view.room()) return;
      if (busy.has(key)) continue;
      dirty.delete(key);
      preparing++;
      busy.set(key, { phase: 'reading', turn: ++turn, confirm, version: '' });
      effects.push({ kind: 'read', key, turn });
    }
  }

  /** The work of this turn, if it is still wanted. */
  function prepared(key: string, ofTurn: number): Busy | undefined {
    const work = busy.get(key);
    if (work?.turn !== ofTurn || work.phase === 'outstanding') return undefined;
    preparing--;
    busy.delete(key);
    return work;
  }

  function takeRead(key: string, ofTurn: number, entry: Entry | undefined): void {
    const work = prepared(key, ofTurn);
    if (!work) return;
    if (entry) {
      sendPut(key, entry);
      return;
    }
    if (!view.complete()) {
      parked.add(key);
      return;
    }
    if (!work.confirm) {
      sendDelete(key, false);
      return;
    }
    preparing++;
    busy.set(key, { ...work, phase: 'confirming' });
    effects.push({ kind: 'confirm', key, turn: work.turn });
  }

  function takeConfirmed(key: string, ofTurn: number, absent: boolean): void {
    if (!prepared(key, ofTurn)) return;
    if (!absent) {
      resolve(key);
      return;
    }
    if (view.complete()) sendDelete(key, true);
    else parked.add(key);
  }

  function takeFailed(key: string, ofTurn: number): void {
    const work = prepared(key, ofTurn);
    if (!work) return;
    if (failed.size === 0) effects.push({ kind: 'retryLater' });
    failed.set(key, work.confirm);
  }

  function sendPut(key: string, entry: Entry): void {
    if (rejected.get(key)?.version === entry.version) {
      resolve(key);
      return;
    }
    const unfit = unfitness(key, entry);
    if (unfit) {
      settleRejected(key, entry.version, unfit);
      return;
    }
    rejected.delete(key);
    counts.sentPuts++;
    underWay(key, entry.version, true);
    const { version, absent } = entry;
    const references = [...entry.references];
    effects.push({
      kind: 'send',
      body: {
        $case: 'put',
        value: {
          key,
          version,
          payload: asBuffer(entry.payload),
          absent,
          references,
          shardEpoch: view.epoch(),
          encoding: '',
        },
      },
    });
  }

  function sendDelete(key: string, confirm: boolean): void {
    rejected.delete(key);
    counts.sentDeletes++;
    underWay(key, '', confirm);
    effects.push({
      kind: 'send',
      body: { $case: 'delete', value: { key, version: '', shardEpoch: view.epoch() } },
    });
  }

  function underWay(key: string, version: string, confirm: boolean): void {
    busy.set(key, { phase: 'outstanding', turn: ++turn, confirm, version });
  }

  function takeDone(key: string, version: string, settlement: Settlement): void {
    const work = busy.get(key);
    if (work?.phase !== 'outstanding' || work.version !== version) {
      counts.strays++;
      return;
    }
    busy.delete(key);
    fresh = false;
    if (settlement.outcome === Done_Outcome.OUTCOME_REJECTED) {
      settleRejected(key, version, settlement);
      return;
    }
    settle(key, version, settlement);
  }

  function settleRejected(key: string, version: string, settlement: Settlement): void {
    counts.rejected++;
    // An owner that is stale may own the node again: nothing is wrong with the value.
    if (settlement.code === STALE_EPOCH) counts.staleEpochs++;
    else rejected.set(key, { version, theirs: undefined });
    settle(key, version, settlement);
  }

  function settle(key: string, version: string, settlement: Settlement): void {
    if (dirty.has(key)) return;
    effects.push({ kind: 'settled', key, version, settlement });
    resolve(key);
  }

  function resolve(key: string): void {
    if (dirty.has(key)) return;
    comparison?.unresolved.delete(key);
  }

  /** Ends a comparison that has nothing left, or begins the one that is wanted. */
  function compare(): void {
    if (!attached) return;
    if (comparison?.allPages && comparison.unresolved.size === 0) endComparison();
    if (comparison || pageAwaited || !compareWanted || !theirs || !view.complete()) return;
    compareWanted = false;
    const mine = kindDigests(expected());
    const kinds = fresh ? unequalKinds(mine, theirs) : allKinds(mine, theirs);
    if (kinds.length === 0) {
      counts.digestsEqual++;
      sendSynced();
      return;
    }
    if (fresh) counts.digestsUnequal++;
    comparison = { kinds: new Set(kinds), after: '', allPages: false, unresolved: new Set() };
    requestPage(comparison);
  }

  function endComparison(): void {
    comparison = undefined;
    // When another one is wanted the set may not be full: that one will say so.
    if (!compareWanted) sendSynced();
  }

  function sendSynced(): void {
    effects.push({ kind: 'send', body: { $case: 'synced', value: { shardEpoch: view.epoch() } } });
  }

  /** What the peer should have: where it refused our version, what it has instead. */
  function* expected(): Versions {
    for (const [key, version] of view.versions()) {
      const refused = rejected.get(key);
      if (refused?.version !== version) yield [key, version];
      else if (refused.theirs !== undefined) yield [key, refused.theirs];
    }
  }

  function requestPage({ kinds, after }: Comparison): void {
    pageAwaited = true;
    effects.push({ kind: 'send', body: { $case: 'inventoryRequest', value: { kinds: [...kinds], after } } });
  }

  function takeInventory(entries: readonly InventoryEntry[], last: boolean): void {
    if (!pageAwaited) {
      effects.push({ kind: 'violation', message: 'an inventory came that was not asked for' });
      return;
    }
    pageAwaited = false;
    const current = comparison;
    if (!current) return;
    const problem = pageProblem(entries, last, current);
    if (problem) {
      effects.push({ kind: 'violation', message: problem });
      return;
    }
    if (!view.complete()) {
      // Absence means nothing any more: start over when it does again.
      comparison = undefined;
      compareWanted = true;
      fresh = false;
      return;
    }
    const end = last ? undefined : entries.at(-1)?.key;
    for (const { key, wanted, has } of diffPage(view.versions(), current, entries, last))
      differs(current, key, wanted, has);
    if (end === undefined) current.allPages = true;
    else {
      current.after = end;
      requestPage(current);
    }
  }

  function differs(current: Comparison, key: string, wanted: string | undefined, has: string | undefined): void {
    const refused = rejected.get(key);
    if (refused && refused.version === wanted && !busy.has(key)) {
      rejected.set(key, { version: refused.version, theirs: has });
      return;
    }
    current.unresolved.add(key);
    if (!busy.has(key) && !failed.has(key)) markDirty(key, true);
  }

  function stats(): SenderStats {
    return { dirty: dirty.size + failed.size + parked.size, outstanding: busy.size, ...counts };
  }

  return { step, stats };
}

function allKinds(mine: readonly KindDigest[], theirs: readonly KindDigest[]): string[] {
  return [...new Set([...mine, ...theirs].map((kind) => kind.kind))].sort(compareText);
}
