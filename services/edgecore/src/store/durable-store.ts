// A durable map from keys to texts on nedb-promises, for whatever a part of the edge must not forget.
// Invariants: commit resolves after fsync of everything in it; changes made while a commit is under way share the next fsync (group commit);
// commits take effect in order. nedb only appends and never syncs, so a put is an insert under a new number and the removal of the old one:
// one append a group, and the highest number of a key counts wherever a crash left two.
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { privateFolder } from '../disk/files.js';
import { createGroupCommit } from '../disk/group-commit.js';
import { checkDataFile } from './check-data-file.js';
import { type NedbFile, nedbFile } from './nedb-file.js';

/** `value` undefined deletes the key. */
export interface Change {
  readonly key: string;
  readonly value: string | undefined;
}

export interface LoadReport {
  /** Everything that the file holds. */
  readonly entries: ReadonlyMap<string, string>;
  /** The file did not exist: a new store. */
  readonly created: boolean;
  /** Lines that could not be read; the damaged file was set aside and what could be read was kept. */
  readonly corrupt: number;
}

export interface DurableStore {
  /** Opens the file, repairing it first if need be. Throws when the disk refuses. Called again after a failed commit, it reads anew. */
  load(): Promise<LoadReport>;
  /**
   * Resolves when the changes are on disk; of several changes of a key the last counts. Rejects with `unavailable` when the disk refused: the
   * changes may or may not be there after the next `load`, and every commit fails until then.
   */
  commit(changes: readonly Change[]): Promise<void>;
  /** Waits for commits under way. */
  close(): Promise<void>;
  stats(): DurableStoreStats;
}

export interface DurableStoreStats {
  readonly keys: number;
  readonly groups: number;
  readonly commits: number;
  readonly compactions: number;
  readonly failures: number;
}

export interface DurableStoreOptions {
  readonly file: string;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** The file is rewritten when it has grown by this many bytes and by more than its live content. Default 8 MiB. */
  readonly compactAfterBytes?: number;
}

/** One line of the file, beside nedb's own lines for removals; line-file.ts adds a checksum to each. */
interface StoredDocument {
  /** A number that rises with every put: of two documents of a key the higher one counts. */
  readonly _id: string;
  readonly k: string;
  readonly v: string;
}

/** nedb compares every removed document with every id of a query, so queries stay short. */
const REMOVE_AT_ONCE = 64;

interface Live {
  readonly number: number;
  readonly bytes: number;
}

interface OpenFile {
  readonly db: NedbFile<StoredDocument>;
  readonly handle: FileHandle;
}

export function createDurableStore(options: DurableStoreOptions): DurableStore {
  const { file, logger } = options;
  const compactAfterBytes = options.compactAfterBytes ?? 8 * 1024 * 1024;
  const live = new Map<string, Live>();
  const counts = { groups: 0, commits: 0, compactions: 0, failures: 0 };
  let opened: OpenFile | undefined;
  let lastNumber = 0;
  let appendedBytes = 0;
  let liveBytes = 0;
  const groups = createGroupCommit({ write: writeGroup });

  async function load(): Promise<LoadReport> {
    await groups.idle();
    await release();
    await privateFolder(dirname(file));
    const check = await checkDataFile(file, options.nowMs());
    if (check.corrupt > 0) {
      logger.error('damaged store repaired', { file, corrupt: check.corrupt, aside: check.aside });
    }
    const { db, entries } = await openDatastore();
    // Opened after nedb, which replaces the file while it loads.
    opened = { db, handle: await open(file, 'r+') };
    return { entries, created: !check.existed, corrupt: check.corrupt };
  }

  async function openDatastore(): Promise<{ db: NedbFile<StoredDocument>; entries: Map<string, string> }> {
    const db = nedbFile<StoredDocument>(file);
    await db.load();
    const entries = new Map<string, string>();
    const superseded: string[] = [];
    live.clear();
    liveBytes = 0;
    lastNumber = 0;
    for (const doc of await db.find({})) {
      const number = Number(doc._id);
      lastNumber = Math.max(lastNumber, number);
      const other = live.get(doc.k);
      if (other) superseded.push(String(Math.min(other.number, number)));
      if (other && other.number > number) continue;
      setLive(doc.k, { number, bytes: sizeOf(doc.k, doc.v) });
      entries.set(doc.k, doc.v);
    }
    await removeDocuments(db, superseded);
    appendedBytes = 0;
    return { db, entries };
  }

  function commit(changes: readonly Change[]): Promise<void> {
    counts.commits += 1;
    return groups.add(changes);
  }

  async function writeGroup(group: ReadonlyArray<readonly Change[]>): Promise<void> {
    try {
      await write(new Map(group.flat().map(({ key, value }) => [key, value])));
    } catch (error) {
      counts.failures += 1;
      await release().catch(() => {});
      logger.error('cannot write the store', { file, error: messageOf(error) });
      const advice = `cannot write ${file}: ${messageOf(error)}; free or repair the disk`;
      throw new SkerryError('unavailable', advice, { cause: error });
    }
  }

  async function write(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    // An empty commit only waits for those before it.
    if (changes.size === 0) return;
    if (!opened) throw new SkerryError('failed_precondition', 'the store is not loaded');
    const { db, handle } = opened;
    const documents: StoredDocument[] = [];
    const removed: string[] = [];
    for (const [key, value] of changes) {
      const old = live.get(key);
      if (old) removed.push(String(old.number));
      if (value === undefined) clearLive(key);
      else documents.push(documentFor(key, value));
    }
    if (documents.length > 0) await db.insert(documents);
    await removeDocuments(db, removed);
    await handle.datasync();
    counts.groups += 1;
    if (appendedBytes > compactAfterBytes && appendedBytes > liveBytes) await compact();
  }

  function documentFor(key: string, value: string): StoredDocument {
    lastNumber += 1;
    const bytes = sizeOf(key, value);
    appendedBytes += bytes;
    setLive(key, { number: lastNumber, bytes });
    return { _id: String(lastNumber), k: key, v: value };
  }

  /** nedb rewrites its file, with fsync and rename, when it loads; the handle of the old file must not be synced any more. */
  async function compact(): Promise<void> {
    await release();
    counts.compactions += 1;
    const { db } = await openDatastore();
    opened = { db, handle: await open(file, 'r+') };
  }

  function setLive(key: string, entry: Live): void {
    clearLive(key);
    live.set(key, entry);
    liveBytes += entry.bytes;
  }

  function clearLive(key: string): void {
    liveBytes -= live.get(key)?.bytes ?? 0;
    live.delete(key);
  }

  async function release(): Promise<void> {
    const handle = opened?.handle;
    opened = undefined;
    await handle?.close();
  }

  async function close(): Promise<void> {
    await groups.idle();
    await release();
  }

  return { load, commit, close, stats: () => ({ keys: live.size, ...counts }) };
}

async function removeDocuments(db: NedbFile<StoredDocument>, ids: readonly string[]): Promise<void> {
  for (let from = 0; from < ids.length; from += REMOVE_AT_ONCE) {
    await db.remove({ _id: { $in: ids.slice(from, from + REMOVE_AT_ONCE) } }, { multi: true });
  }
}

/** Roughly the line's length: what matters is that growth is seen. */
function sizeOf(key: string, value: string): number {
  return key.length + value.length + 64;
}
