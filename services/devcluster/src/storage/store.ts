// The store: serial transactions with group commit. A batch of transactions runs, is written to the journal in one frame, synced, made
// visible and then answered.
// Invariants: nothing is visible or answered before it is on disk; revisions never go back; after a failed write nothing more is taken.
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { type Change, decodeLines, encodeChange, type StoredObject, storedObject } from './changes.js';
import { createDraft, type Draft, type Transaction } from './draft.js';
import { createHistory, type History, type HistoryLimits } from './history.js';
import { type Journal, openJournal } from './journal.js';
import { type FolderLock, lockFolder } from './lock.js';
import { createState, type StateView } from './state.js';

export interface Store extends StateView {
  /** The newest visible revision. */
  revision(): number;
  /**
   * Runs `fn` alone and makes its changes durable before it resolves. What `fn` throws is thrown and nothing is changed.
   * `fn` may see changes of transactions that are not yet visible. `dryRun` runs it without keeping anything.
   * Throws `resource_exhausted` when too many transactions wait, `data_loss` after the disk failed.
   */
  transact<T>(fn: (tx: Transaction) => T, options?: { readonly dryRun?: boolean }): Promise<T>;
  history(collection: string): History;
  /** Called after each commit, before its transactions are answered. Must not throw. Returns its own removal. */
  onCommit(listener: (changes: readonly Change[]) => void): () => void;
  /** False after the disk failed: nothing more is written. */
  healthy(): boolean;
  stats(): StoreStats;
  close(): Promise<void>;
}

export interface StoreStats {
  readonly objects: number;
  readonly stateBytes: number;
  readonly journalBytes: number;
  readonly historyDropped: number;
  readonly rejected: number;
  readonly commits: number;
}

export interface StoreOptions {
  readonly dir: string;
  readonly logger: Logger;
  readonly history: HistoryLimits;
  /** Journal bytes after which the state is written anew. */
  readonly compactAtBytes: number;
  /** Bytes of objects past which no more are created. */
  readonly maxStateBytes: number;
  /** Transactions that may wait. */
  readonly maxWaiting: number;
}

const MAX_BATCH = 512;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const MAX_FRAME_BYTES = 1024 * 1024;

interface Job {
  /** Runs inside a draft; returns how to settle once the batch is on disk. */
  run(draft: Draft): () => void;
  fail(error: unknown): void;
}

export async function openStore(options: StoreOptions): Promise<Store> {
  const { logger } = options;
  const state = createState();
  const histories = new Map<string, History>();
  const listeners = new Set<(changes: readonly Change[]) => void>();
  let revision = 0;
  let floor = 0;
  let historyDropped = 0;
  let rejected = 0;
  let commits = 0;

  function history(collection: string): History {
    let found = histories.get(collection);
    if (found === undefined) {
      found = createHistory(options.history, floor, () => {
        historyDropped += 1;
      });
      histories.set(collection, found);
    }
    return found;
  }

  function show(change: Change): void {
    state.apply(change);
    history(change.current.key.collection).push(change);
    revision = change.current.revision;
  }

  function replayPayload(payload: string, from: 'snapshot' | 'journal'): void {
    for (const line of decodeLines(payload)) {
      if (line.key.collection === '') {
        revision = line.revision;
        floor = line.revision;
        continue;
      }
      const previous = state.get(line.key);
      const change = toChange(line.revision, line, previous);
      if (change === undefined) continue;
      if (from === 'snapshot') state.apply(change);
      else show(change);
    }
  }

  const lock: FolderLock = await lockFolder(options.dir);
  let journal: Journal;
  try {
    journal = await openJournal({ dir: options.dir, logger, onPayload: replayPayload });
  } catch (error) {
    await lock.release();
    throw error;
  }

  const waiting: Job[] = [];
  let committing: Promise<void> | undefined;
  let broken: SkerryError | undefined;
  let closing: Promise<void> | undefined;

  async function commitAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch: Job[] = [];
      try {
        await commit(batch);
      } catch (error) {
        broken = new SkerryError('data_loss', `the state folder can not be written: ${messageOf(error)}`, {
          cause: error,
        });
        logger.error('write to the journal failed; no more writes are taken', { error: messageOf(error) });
        for (const job of [...batch, ...waiting.splice(0)]) job.fail(broken);
      }
    }
    // In the same turn as the last look at `waiting`: a transaction that comes later starts a new round.
    committing = undefined;
  }

  /** Takes waiting jobs into `batch` and runs them, until there are none or the frame is large enough. */
  function runBatch(batch: Job[], draft: Draft): (() => void)[] {
    const settle: (() => void)[] = [];
    while (batch.length < MAX_BATCH && draft.bytes() < MAX_BATCH_BYTES) {
      const job = waiting.shift();
      if (job === undefined) break;
      batch.push(job);
      settle.push(job.run(draft));
    }
    return settle;
  }

  async function commit(batch: Job[]): Promise<void> {
    const draft = createDraft(state, revision + 1, options.maxStateBytes);
    const settle = runBatch(batch, draft);
    if (draft.changes.length > 0) {
      await journal.append(`[${draft.changes.map(encodeChange).join(',')}]`);
      for (const change of draft.changes) show(change);
      commits += 1;
      for (const listener of listeners) listener(draft.changes);
    }
    for (const answer of settle) answer();
    if (journal.bytes() > options.compactAtBytes && !journal.compacting()) {
      await journal.compact(snapshotPayloads(revision, [...state.all()]));
    }
  }

  function transact<T>(fn: (tx: Transaction) => T, { dryRun = false } = {}): Promise<T> {
    if (broken !== undefined) return Promise.reject(broken);
    if (closing !== undefined) return Promise.reject(new SkerryError('unavailable', 'the store is closed'));
    if (waiting.length >= options.maxWaiting) {
      rejected += 1;
      return Promise.reject(new SkerryError('resource_exhausted', 'too many writes are waiting; try again later'));
    }
    return new Promise<T>((resolve, reject) => {
      waiting.push({
        run: (draft) => {
          try {
            const value = draft.run(fn, dryRun);
            return () => resolve(value);
          } catch (error) {
            return () => reject(error);
          }
        },
        fail: reject,
      });
      committing ??= Promise.resolve().then(commitAll);
    });
  }

  async function close(): Promise<void> {
    await committing;
    await journal.close();
    await lock.release();
  }

  return {
    get: state.get,
    list: state.list,
    revision: () => revision,
    transact,
    history,
    onCommit: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    healthy: () => broken === undefined,
    stats: () => ({
      objects: state.size(),
      stateBytes: state.bytes(),
      journalBytes: journal.bytes(),
      historyDropped,
      rejected,
      commits,
    }),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function toChange(
  revision: number,
  line: ReturnType<typeof decodeLines>[number],
  previous: StoredObject | undefined,
): Change | undefined {
  if (line.object !== null) {
    const current = storedObject(line.key, revision, line.object);
    return previous === undefined ? { type: 'ADDED', current } : { type: 'MODIFIED', current, previous };
  }
  if (previous === undefined) return undefined;
  return { type: 'DELETED', current: storedObject(line.key, revision, previous.object), previous };
}

/** The first line names the revision, the others the objects. Lazy: a large state is not held twice. */
function* snapshotPayloads(revision: number, objects: readonly StoredObject[]): Iterable<string> {
  yield JSON.stringify([[revision, '', '', '', null]]);
  let lines: string[] = [];
  let bytes = 0;
  for (const current of objects) {
    lines.push(encodeChange({ type: 'ADDED', current }));
    bytes += current.json.length;
    if (bytes < MAX_FRAME_BYTES) continue;
    yield `[${lines.join(',')}]`;
    lines = [];
    bytes = 0;
  }
  if (lines.length > 0) yield `[${lines.join(',')}]`;
}
