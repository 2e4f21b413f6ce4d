// When each node was last heard of, by the monotonic clock of this process: clocks of nodes are never compared.
// Invariants: only nodes that exist are remembered; what this process writes about a silent node (Unknown) is no sign of life.
import { equalJson, textAt } from '../api/objects.js';
import { LEASES, NODES } from '../controllers/access.js';
import { findCondition } from '../controllers/conditions.js';
import type { Change } from '../storage/changes.js';

export const NODE_LEASES = 'kube-node-lease';

export interface Sightings {
  /** A node that exists; heard of now, unless it is known. */
  expect(name: string, nowMs: number): void;
  /** Takes signs of life from a change: a renewed Lease, or a Ready condition that was posted. */
  note(change: Change, nowMs: number): void;
  silentMs(name: string, nowMs: number): number;
}

export function createSightings(): Sightings {
  const lastMs = new Map<string, number>();
  return {
    expect: (name, nowMs) => {
      if (!lastMs.has(name)) lastMs.set(name, nowMs);
    },
    note: (change, nowMs) => {
      const { name } = change.current.key;
      if (change.current.key.collection === NODES && change.type === 'DELETED') lastMs.delete(name);
      else if (isNewNode(change) || (lastMs.has(name) && isSignOfLife(change))) lastMs.set(name, nowMs);
    },
    silentMs: (name, nowMs) => nowMs - (lastMs.get(name) ?? nowMs),
  };
}

function isNewNode({ type, current }: Change): boolean {
  return type === 'ADDED' && current.key.collection === NODES;
}

function isSignOfLife({ type, current, previous }: Change): boolean {
  if (type === 'DELETED') return false;
  const { collection, namespace } = current.key;
  if (collection === LEASES) {
    const renewed = textAt(current.object.spec, 'renewTime');
    return namespace === NODE_LEASES && renewed !== '' && renewed !== textAt(previous?.object.spec, 'renewTime');
  }
  if (collection !== NODES) return false;
  const ready = findCondition(current.object.status, 'Ready');
  return (
    ready !== undefined &&
    ready['status'] !== 'Unknown' &&
    !equalJson(ready, findCondition(previous?.object.status, 'Ready'))
  );
}
