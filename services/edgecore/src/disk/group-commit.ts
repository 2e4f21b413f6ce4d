// Group commit: what is asked for while a write is under way shares the next one, so that many callers cost one fsync.
// Invariants: one write at a time, in the order of asking; a caller hears of exactly the write that its item was in. What waits is bounded by
// the caller, who knows how large an item is.

export interface GroupCommit<T> {
  /** Resolves when the group with `item` is written; rejects with what its write threw. */
  add(item: T): Promise<void>;
  /** Something is being written or waits. */
  busy(): boolean;
  /** Resolves when nothing is. */
  idle(): Promise<void>;
}

export interface GroupCommitOptions<T> {
  /** Resolves when all are on disk. A failure is that group's only; the next group is tried again. */
  readonly write: (group: readonly T[]) => Promise<void>;
  /** How many of those that wait go together, at least one; all when not given. */
  readonly take?: (waiting: readonly T[]) => number;
}

interface Waiting<T> {
  readonly item: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function createGroupCommit<T>({ write, take }: GroupCommitOptions<T>): GroupCommit<T> {
  let waiting: Waiting<T>[] = [];
  let writing: Promise<void> | undefined;

  async function drain(): Promise<void> {
    // Lets callers of the same turn join the first group.
    await Promise.resolve();
    while (waiting.length > 0) await writeNext();
    // In the same turn as the last look: an item either joined the loop or starts a new one.
    writing = undefined;
  }

  async function writeNext(): Promise<void> {
    const items = waiting.map(({ item }) => item);
    const count = take ? take(items) : items.length;
    const group = waiting.slice(0, count);
    waiting = waiting.slice(count);
    try {
      await write(items.slice(0, count));
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        writing ??= drain();
      }),
    busy: () => writing !== undefined,
    idle: async () => writing,
  };
}
