// Who is connected, and who talks to whom: sessions in, effects out. Knows no sockets and no clock; the hub performs the effects.
// Invariants: one session per node and per controller instance, the newest; an edge is paired, kind by kind, with the session that owns its
// shard under that owner's epoch; every change of a pair is a detach of the old one followed by an attach of the new one.
import { shardOf } from '@skerry/common/kube/shard';
import { Controller, type EdgeHello, Goodbye_Reason, type ShardClaim } from '@skerry/gen/skerry/link/v1/link';
import { type Admissibility, createNodeMemory } from './node-memory.js';
import { createShardOwners, type ShardOwner } from './shard-owners.js';

export type ControllerKind = Controller.CONTROLLER_KUBE | Controller.CONTROLLER_DEVICE;
export const CONTROLLER_KINDS: readonly ControllerKind[] = [Controller.CONTROLLER_KUBE, Controller.CONTROLLER_DEVICE];

export interface EdgeInfo {
  readonly session: number;
  readonly node: string;
  readonly hello: EdgeHello;
}

export interface ControllerInfo {
  readonly session: number;
  readonly kind: ControllerKind;
  readonly instance: string;
}

interface PairRef {
  readonly edge: EdgeInfo;
  readonly kind: ControllerKind;
  /** The controller's session. */
  readonly controller: number;
}

export type Effect =
  | { readonly kind: 'attach'; readonly pair: PairRef; readonly epoch: bigint }
  | { readonly kind: 'detach'; readonly pair: PairRef }
  | { readonly kind: 'close'; readonly session: number; readonly reason: Goodbye_Reason; readonly message: string }
  | { readonly kind: 'duplicate-node'; readonly node: string };

export interface Registry {
  /** May this connection of a node come in? Asked before `edgeOpened`. */
  judgeEdge(node: string, hello: EdgeHello): Admissibility;
  edgeOpened(edge: EdgeInfo): Effect[];
  edgeClosed(session: number): Effect[];
  controllerOpened(controller: ControllerInfo, claims: readonly ShardClaim[]): Effect[];
  claimsChanged(session: number, claims: readonly ShardClaim[]): Effect[];
  controllerClosed(session: number): Effect[];
  /** Ends a pair that misbehaved; `reconcile` (or any change of its owner) begins it anew. */
  sever(node: string, kind: ControllerKind): Effect[];
  reconcile(node: string): Effect[];
  /** The node whose newest session this is. */
  nodeOf(session: number): string | undefined;
  /** Sessions of attached controllers of a kind. */
  controllers(kind: ControllerKind): number[];
  size(): { readonly edges: number; readonly controllers: number };
}

interface EdgeEntry {
  readonly info: EdgeInfo;
  readonly shard: number;
  readonly pairs: Map<ControllerKind, ShardOwner>;
}

export function createRegistry(): Registry {
  const memory = createNodeMemory();
  const edges = new Map<string, EdgeEntry>();
  const nodeOfSession = new Map<number, string>();
  const byShard = new Map<number, Set<EdgeEntry>>();
  const controllers = new Map<number, ControllerInfo>();
  const owners = new Map(CONTROLLER_KINDS.map((kind) => [kind, createShardOwners()]));

  function edgeOpened(info: EdgeInfo): Effect[] {
    const effects: Effect[] = [];
    const old = edges.get(info.node);
    if (old) {
      effects.push(...removeEdge(old));
      effects.push(closing(old.info.session, Goodbye_Reason.REASON_REPLACED, `node ${info.node} connected anew`));
    }
    if (memory.note(info.node, info.hello)) effects.push({ kind: 'duplicate-node', node: info.node });
    const entry: EdgeEntry = { info, shard: shardOf(info.node), pairs: new Map() };
    edges.set(info.node, entry);
    nodeOfSession.set(info.session, info.node);
    const neighbours = byShard.get(entry.shard) ?? new Set();
    byShard.set(entry.shard, neighbours.add(entry));
    return [...effects, ...pairUp(entry)];
  }

  function edgeClosed(session: number): Effect[] {
    const entry = edges.get(nodeOfSession.get(session) ?? '');
    return entry?.info.session === session ? removeEdge(entry) : [];
  }

  function removeEdge(entry: EdgeEntry): Effect[] {
    edges.delete(entry.info.node);
    nodeOfSession.delete(entry.info.session);
    byShard.get(entry.shard)?.delete(entry);
    return [...entry.pairs.keys()].flatMap((kind) => part(entry, kind));
  }

  function controllerOpened(info: ControllerInfo, claims: readonly ShardClaim[]): Effect[] {
    const effects: Effect[] = [];
    for (const old of [...controllers.values()]) {
      if (old.kind !== info.kind || old.instance !== info.instance) continue;
      effects.push(...controllerClosed(old.session));
      effects.push(closing(old.session, Goodbye_Reason.REASON_REPLACED, `instance ${info.instance} attached anew`));
    }
    controllers.set(info.session, info);
    return [...effects, ...claimsChanged(info.session, claims)];
  }

  function claimsChanged(session: number, claims: readonly ShardClaim[]): Effect[] {
    const controller = controllers.get(session);
    if (!controller) return [];
    const changed = owners.get(controller.kind)?.claim(session, claims) ?? [];
    return changed.flatMap((shard) => [...(byShard.get(shard) ?? [])].flatMap((entry) => pairUp(entry)));
  }

  function controllerClosed(session: number): Effect[] {
    const effects = claimsChanged(session, []);
    controllers.delete(session);
    return effects;
  }

  /** Makes the pairs of an edge what its shard's owners say. */
  function pairUp(entry: EdgeEntry): Effect[] {
    return CONTROLLER_KINDS.flatMap((kind) => {
      const want = owners.get(kind)?.ownerOf(entry.shard);
      const have = entry.pairs.get(kind);
      if (want?.session === have?.session && want?.epoch === have?.epoch) return [];
      const effects = part(entry, kind);
      if (!want) return effects;
      entry.pairs.set(kind, want);
      return [...effects, { kind: 'attach', pair: pairRef(entry, kind, want), epoch: want.epoch }];
    });
  }

  function part(entry: EdgeEntry, kind: ControllerKind): Effect[] {
    const have = entry.pairs.get(kind);
    if (!have) return [];
    entry.pairs.delete(kind);
    return [{ kind: 'detach', pair: pairRef(entry, kind, have) }];
  }

  return {
    judgeEdge: memory.judge,
    edgeOpened,
    edgeClosed,
    controllerOpened,
    claimsChanged,
    controllerClosed,
    sever(node, kind) {
      const entry = edges.get(node);
      return entry ? part(entry, kind) : [];
    },
    reconcile(node) {
      const entry = edges.get(node);
      return entry ? pairUp(entry) : [];
    },
    nodeOf: (session) => nodeOfSession.get(session),
    controllers: (kind) => [...controllers.values()].filter((c) => c.kind === kind).map((c) => c.session),
    size: () => ({ edges: edges.size, controllers: controllers.size }),
  };
}

function pairRef(entry: EdgeEntry, kind: ControllerKind, owner: ShardOwner): PairRef {
  return { edge: entry.info, kind, controller: owner.session };
}

function closing(session: number, reason: Goodbye_Reason, message: string): Effect {
  return { kind: 'close', session, reason, message };
}
