// What the hub remembers of nodes beyond their sessions: the highest generation, and the last boot ids. Pure and bounded.
// Invariants: the newest generation wins, whoever comes later; two boot ids that take turns under one name are two machines. A restarted
// edge shows a boot id that was never seen, so an id that comes back after another one is a second machine's.
import type { EdgeHello } from '@skerry/gen/skerry/link/v1/link';

export type Admissibility = { readonly kind: 'newest' } | { readonly kind: 'stale'; readonly known: bigint };

export interface NodeMemory {
  /** Is this connection newer than all that were seen of the node? Changes nothing. */
  judge(node: string, hello: EdgeHello): Admissibility;
  /** Takes note of an admitted connection. True when its boot id came back after another one: two machines share the name. */
  note(node: string, hello: EdgeHello): boolean;
}

interface Sighting {
  readonly generation: bigint;
  readonly bootId: string;
  readonly previousBootId: string;
}

/** About 200 bytes each. Who is forgotten loses only the memory of old generations; its next connection is simply believed. */
const MAX_REMEMBERED = 50_000;

export function createNodeMemory(maxRemembered = MAX_REMEMBERED): NodeMemory {
  /** In order of the last sighting. */
  const sightings = new Map<string, Sighting>();

  function judge(node: string, hello: EdgeHello): Admissibility {
    const known = sightings.get(node)?.generation;
    return known === undefined || hello.generation > known ? { kind: 'newest' } : { kind: 'stale', known };
  }

  function note(node: string, hello: EdgeHello): boolean {
    const before = sightings.get(node);
    const rebooted = before !== undefined && before.bootId !== hello.bootId;
    const previousBootId = rebooted ? before.bootId : (before?.previousBootId ?? '');
    sightings.delete(node);
    sightings.set(node, { generation: hello.generation, bootId: hello.bootId, previousBootId });
    for (const oldest of sightings.keys()) {
      if (sightings.size <= maxRemembered) break;
      sightings.delete(oldest);
    }
    return rebooted && before.previousBootId === hello.bootId;
  }

  return { judge, note };
}
