// What every node should have: the objects placed on it and the targets that those reference. Pure: no I/O, no time.
// Invariants: a target stays desired on a node as long as one object on that node references it; a target nobody references is not
// kept; a key is reported dirty whenever what `read` answers for it has changed.
import type { Entry } from '../link/types.js';

/** An object on a node: a Pod, a Device. Its entry's references are the keys of its targets. */
export interface Placed {
  readonly node: string;
  readonly entry: Entry;
}

export interface DesiredIndexListener {
  /** What `read(node, key)` answers has changed. */
  dirty(node: string, key: string): void;
  /** A target that nothing is known of is referenced: somebody has to find out and `settle` it. */
  wanted(target: string): void;
}

export interface DesiredIndex {
  /** New, changed or moved. */
  place(key: string, placed: Placed): void;
  remove(key: string): void;
  placed(key: string): Placed | undefined;
  /** What is known of a target now; ignored when nobody references it. */
  settle(target: string, entry: Entry): void;
  isReferenced(target: string): boolean;
  /** Every referenced target, known or not. */
  targets(): Iterable<string>;
  /** What the node should have and is known. */
  versions(node: string): Iterable<readonly [key: string, version: string]>;
  /** Undefined when the node should not have it, or nothing is known of it yet. */
  read(node: string, key: string): Entry | undefined;
  /** Whether the node should have it, known or not. */
  desires(node: string, key: string): boolean;
  sizes(): { readonly nodes: number; readonly placed: number; readonly targets: number };
}

export function createDesiredIndex(listener: DesiredIndexListener): DesiredIndex {
  const placed = new Map<string, Placed>();
  const known = new Map<string, Entry>();
  /** Per node the desired keys; how many objects there want each. */
  const wants = new Map<string, Map<string, number>>();
  const nodesOf = new Map<string, Set<string>>();

  /** True when the node did not want the key before. */
  function hold(node: string, key: string): boolean {
    const keys = wants.get(node) ?? new Map<string, number>();
    wants.set(node, keys);
    const count = keys.get(key) ?? 0;
    keys.set(key, count + 1);
    return count === 0;
  }

  /** True when the node wants the key no longer. */
  function letGo(node: string, key: string): boolean {
    const keys = wants.get(node);
    const count = keys?.get(key) ?? 0;
    if (!keys || count === 0) return false;
    if (count > 1) {
      keys.set(key, count - 1);
      return false;
    }
    keys.delete(key);
    if (keys.size === 0) wants.delete(node);
    return true;
  }

  function holdTarget(node: string, target: string): void {
    if (!hold(node, target)) return;
    const nodes = nodesOf.get(target);
    if (nodes) nodes.add(node);
    else nodesOf.set(target, new Set([node]));
    if (known.has(target)) listener.dirty(node, target);
    else if (!nodes) listener.wanted(target);
  }

  function letGoTarget(node: string, target: string): void {
    if (!letGo(node, target)) return;
    const nodes = nodesOf.get(target);
    nodes?.delete(node);
    if (nodes?.size === 0) {
      nodesOf.delete(target);
      known.delete(target);
    }
    listener.dirty(node, target);
  }

  function letGoAll(key: string, { node, entry }: Placed): void {
    if (letGo(node, key)) listener.dirty(node, key);
    for (const target of entry.references) letGoTarget(node, target);
  }

  return {
    place(key, next) {
      const before = placed.get(key);
      placed.set(key, next);
      // The new holds come first, so that what both need is not dropped in between.
      hold(next.node, key);
      for (const target of next.entry.references) holdTarget(next.node, target);
      if (before) letGoAll(key, before);
      if (before?.node !== next.node || before.entry.version !== next.entry.version) listener.dirty(next.node, key);
    },
    remove(key) {
      const before = placed.get(key);
      if (!before) return;
      placed.delete(key);
      letGoAll(key, before);
    },
    placed: (key) => placed.get(key),
    settle(target, entry) {
      const nodes = nodesOf.get(target);
      if (!nodes || known.get(target)?.version === entry.version) return;
      known.set(target, entry);
      for (const node of nodes) listener.dirty(node, target);
    },
    isReferenced: (target) => nodesOf.has(target),
    targets: () => nodesOf.keys(),
    *versions(node) {
      for (const key of wants.get(node)?.keys() ?? []) {
        const entry = placed.get(key)?.entry ?? known.get(key);
        if (entry) yield [key, entry.version];
      }
    },
    read: (node, key) => (wants.get(node)?.has(key) ? (placed.get(key)?.entry ?? known.get(key)) : undefined),
    desires: (node, key) => wants.get(node)?.has(key) ?? false,
    sizes: () => ({ nodes: wants.size, placed: placed.size, targets: nodesOf.size }),
  };
}
