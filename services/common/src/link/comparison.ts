// Comparing two sets of keyed state page by page: what an inventory of the peer says against what it should have.
// Invariants: a page covers exactly the keys of its kinds between the page before and its own last key, so absence in it means absence there;
// a page that is not sorted or not of the kinds that were asked for is refused.
import type { InventoryEntry } from '@skerry/gen/skerry/link/v1/link';
import { kindOf } from '../keys.js';
import { compareText, type Versions } from './digest.js';

/** A comparison under way. */
export interface Comparison {
  readonly kinds: ReadonlySet<string>;
  /** Last key of the page before; empty at first. */
  after: string;
  allPages: boolean;
  /** Different keys that are not settled. */
  readonly unresolved: Set<string>;
}

/** A key in which the sides differ: the version that is wanted and the one that the peer has, if any. */
export interface Difference {
  readonly key: string;
  readonly wanted: string | undefined;
  readonly has: string | undefined;
}

/** The differences in one page. */
export function diffPage(
  versions: Versions,
  { after, kinds }: Comparison,
  entries: readonly InventoryEntry[],
  last: boolean,
): Difference[] {
  const end = last ? undefined : entries.at(-1)?.key;
  const mine = new Map<string, string>();
  for (const [key, version] of versions) {
    const inPage = compareText(key, after) > 0 && (end === undefined || compareText(key, end) <= 0);
    if (inPage && kinds.has(kindOf(key))) mine.set(key, version);
  }
  const differences: Difference[] = [];
  for (const { key, version } of entries) {
    const wanted = mine.get(key);
    mine.delete(key);
    if (wanted !== version) differences.push({ key, wanted, has: version });
  }
  for (const [key, version] of mine) differences.push({ key, wanted: version, has: undefined });
  return differences;
}

/** What is wrong with a page, if anything: pages are sorted, beyond the one before, and only of the kinds that were asked for. */
export function pageProblem(
  entries: readonly InventoryEntry[],
  last: boolean,
  { after, kinds }: Comparison,
): string | undefined {
  if (!last && entries.length === 0) return 'an inventory page is empty and not the last';
  let previous = after;
  for (const { key } of entries) {
    if (compareText(key, previous) <= 0) return 'an inventory page is not sorted';
    if (!kinds.has(kindOf(key))) return 'an inventory page holds a kind that was not asked for';
    previous = key;
  }
  return undefined;
}
