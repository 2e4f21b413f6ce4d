// Digests of keyed state: eight bytes a kind that are equal on both sides when all keys and versions are.
// Invariant: the same set gives the same digest whatever its order.
import { createHash } from 'node:crypto';
import type { InventoryEntry, KindDigest } from '@skerry/gen/skerry/link/v1/link';
import { kindOf } from '../keys.js';
import { INVENTORY_PAGE } from './limits.js';

export type Versions = Iterable<readonly [key: string, version: string]>;

/** The digest of every kind that has keys, sorted by kind. Linear in the number of keys but for the sort. */
export function kindDigests(versions: Versions): KindDigest[] {
  const kinds = new Map<string, [string, string][]>();
  for (const [key, version] of versions) {
    const kind = kindOf(key);
    const entries = kinds.get(kind);
    if (entries) entries.push([key, version]);
    else kinds.set(kind, [[key, version]]);
  }
  return [...kinds].sort(([a], [b]) => compareText(a, b)).map(([kind, entries]) => digestOf(kind, entries));
}

function digestOf(kind: string, entries: [string, string][]): KindDigest {
  entries.sort(([a], [b]) => compareText(a, b));
  const hash = createHash('sha256');
  for (const [key, version] of entries) hash.update(`${key}\0${version}\n`);
  return { kind, count: entries.length, digest: hash.digest().readBigUInt64BE(0) };
}

/** The kinds in which two sides differ; a kind that one side does not name is empty there. */
export function unequalKinds(mine: readonly KindDigest[], theirs: readonly KindDigest[]): string[] {
  const other = new Map(theirs.map((kind) => [kind.kind, kind]));
  const unequal = mine
    .filter((kind) => {
      const same = other.get(kind.kind);
      other.delete(kind.kind);
      return same?.count !== kind.count || same.digest !== kind.digest;
    })
    .map((kind) => kind.kind);
  const onlyTheirs = [...other.values()].filter((kind) => kind.count > 0).map((kind) => kind.kind);
  return [...unequal, ...onlyTheirs].sort(compareText);
}

export interface InventoryPage {
  readonly entries: InventoryEntry[];
  readonly last: boolean;
}

/** The page of these kinds' keys that follows `after`, sorted by key. */
export function inventoryPage(versions: Versions, kinds: readonly string[], after: string): InventoryPage {
  const wanted = new Set(kinds);
  const entries: InventoryEntry[] = [];
  for (const [key, version] of versions) {
    if (compareText(key, after) > 0 && wanted.has(kindOf(key))) entries.push({ key, version });
  }
  entries.sort((a, b) => compareText(a.key, b.key));
  return { entries: entries.slice(0, INVENTORY_PAGE), last: entries.length <= INVENTORY_PAGE };
}

/** The order of keys on the wire: by UTF-16 units, which other languages can do as well for the ASCII that keys are made of. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
