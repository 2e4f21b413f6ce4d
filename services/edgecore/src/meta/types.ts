// What the meta store keeps and promises. Entries are state by key in two spaces; records are a few small facts by name.
// Invariants: what a reader sees is on disk; commits take effect in the order they were made; a commit that failed may or may not be there
// after the next opening, every other one is.
import type { Entry } from '@skerry/common/link/types';

/** `desired`: what the cloud wants, by key. `outbox`: observed state that must not be lost before the cloud has it. */
export type Space = 'desired' | 'outbox';

export type Change =
  | { readonly kind: 'put'; readonly space: Space; readonly key: string; readonly entry: Entry }
  | { readonly kind: 'delete'; readonly space: Space; readonly key: string }
  /** `value` undefined removes the record. */
  | { readonly kind: 'record'; readonly name: string; readonly value: string | undefined };

/** Called after a change is on disk; `entry` is undefined for a delete. */
export type EntryListener = (space: Space, key: string, entry: Entry | undefined) => void;

export interface MetaStats {
  readonly entries: number;
  /** Files that were set aside since this store was opened. */
  readonly quarantined: number;
  readonly commits: number;
  /** Groups written: commits / groups is what group commit saves. */
  readonly groups: number;
  readonly failedCommits: number;
}

export interface MetaStore {
  get(space: Space, key: string): Entry | undefined;
  entries(space: Space): Iterable<readonly [key: string, entry: Entry]>;
  record(name: string): string | undefined;
  /**
   * Resolves when all changes are on disk, in their order. Rejects with `unavailable` when they could not be written,
   * `resource_exhausted` when too much is waiting.
   */
  commit(changes: readonly Change[]): Promise<void>;
  /** Returns the function that ends it. */
  subscribe(listener: EntryListener): () => void;
  stats(): MetaStats;
  /** Writes what waits, then lets go of the file. */
  close(): Promise<void>;
}

export type Body =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'record'; readonly value: string };

/** What a backend stores; an absent body is a deletion. */
export interface Document {
  readonly id: string;
  readonly body: Body | undefined;
}

/** How the store was found. After `torn` and `quarantined` something that was there is missing. */
export type Origin = 'new' | 'kept' | 'torn' | 'quarantined';

export interface Loaded {
  readonly documents: readonly Document[];
  readonly origin: Origin;
  readonly quarantined: number;
}

/** The durable part of a meta store: one caller at a time, nothing is read back before the next opening. */
export interface DocumentBackend {
  /** Throws `failed_precondition` when somebody else has it open or a newer software wrote it. */
  open(): Promise<Loaded>;
  /** Resolves when all documents are on disk. After a rejection the next write repairs first. */
  write(documents: readonly Document[]): Promise<void>;
  close(): Promise<void>;
}
