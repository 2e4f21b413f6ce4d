// The latest changes of one collection, for watches and for lists at an older revision.
// Invariants: bounded by count and by bytes; readers hold a position and no copy, one that was overtaken by the bound is told so.
import { type Change, localKey, type StoredObject } from './changes.js';
import { compareKeys } from './state.js';

export interface HistoryLimits {
  readonly maxChanges: number;
  readonly maxBytes: number;
}

export interface History {
  push(change: Change): void;
  /** The position just after `revision`; undefined when changes after it are already dropped. */
  positionAfter(revision: number): number | undefined;
  /** The position after the newest change. */
  end(): number;
  /** The change at a position; undefined at the end; 'dropped' when the reader was too slow. */
  read(position: number): Change | undefined | 'dropped';
  /** The collection as it was at `revision`, from how it is now; undefined when too old. */
  rewind(now: readonly StoredObject[], revision: number): readonly StoredObject[] | undefined;
}

/** `floor`: the revision before which nothing is known. `onDrop` is called for each change that the bound drops. */
export function createHistory(limits: HistoryLimits, floor: number, onDrop: () => void): History {
  let changes: Change[] = [];
  let first = 0; // position of the oldest change kept
  let head = 0; // its index in `changes`
  let bytes = 0;
  let knownSince = floor;

  const count = (): number => changes.length - head;

  function dropOldest(): void {
    const oldest = changes[head];
    if (oldest === undefined) return;
    bytes -= oldest.current.json.length;
    knownSince = oldest.current.revision;
    head += 1;
    first += 1;
    onDrop();
    // Give the array's dropped half back now and then, not on each drop.
    if (head > 1_024 && head * 2 > changes.length) {
      changes = changes.slice(head);
      head = 0;
    }
  }

  return {
    push: (change) => {
      changes.push(change);
      bytes += change.current.json.length;
      while (count() > limits.maxChanges || (bytes > limits.maxBytes && count() > 1)) dropOldest();
    },
    positionAfter: (revision) => {
      if (revision < knownSince) return undefined;
      let low = head;
      let high = changes.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        const change = changes[middle];
        if (change !== undefined && change.current.revision <= revision) low = middle + 1;
        else high = middle;
      }
      return first + (low - head);
    },
    end: () => first + count(),
    read: (position) => (position < first ? 'dropped' : changes[head + position - first]),
    rewind: (now, revision) => {
      if (revision < knownSince) return undefined;
      const objects = new Map(now.map((stored) => [localKey(stored.key), stored]));
      for (let index = changes.length - 1; index >= head; index--) {
        const change = changes[index];
        if (change === undefined || change.current.revision <= revision) break;
        const key = localKey(change.current.key);
        if (change.previous === undefined) objects.delete(key);
        else objects.set(key, change.previous);
      }
      return [...objects.entries()].sort(([a], [b]) => compareKeys(a, b)).map(([, stored]) => stored);
    },
  };
}
