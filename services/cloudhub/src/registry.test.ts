// Who is paired with whom, as a transcript: each input is a line, each effect below it.
import { describe, expect, test } from '@jest/globals';
import { shardOf } from '@skerry/common/kube/shard';
import { Controller, EdgeHello, Goodbye_Reason, type ShardClaim } from '@skerry/gen/skerry/link/v1/link';
import { type ControllerKind, createRegistry, type Effect } from './registry.js';

const KUBE = Controller.CONTROLLER_KUBE;
const DEVICE = Controller.CONTROLLER_DEVICE;
const NODE = 'edge-1';
const SHARD = shardOf(NODE);
const claims = (epoch: number, shard = SHARD): ShardClaim[] => [{ shard, epoch: BigInt(epoch) }];

function open() {
  const registry = createRegistry();
  const edge = (session: number, generation = session, bootId = 'boot', node = NODE) =>
    registry
      .edgeOpened({ session, node, hello: EdgeHello.fromPartial({ node, generation: BigInt(generation), bootId }) })
      .map(say);
  const controller = (session: number, instance: string, owned: ShardClaim[], kind: ControllerKind = KUBE) =>
    registry.controllerOpened({ session, kind, instance }, owned).map(say);
  return { registry, edge, controller };
}

function say(effect: Effect): string {
  switch (effect.kind) {
    case 'attach':
      return `attach ${effect.pair.edge.session}-${effect.pair.controller} ${label(effect.pair.kind)} epoch ${effect.epoch}`;
    case 'detach':
      return `detach ${effect.pair.edge.session}-${effect.pair.controller} ${label(effect.pair.kind)}`;
    case 'close':
      return `close ${effect.session} ${Goodbye_Reason[effect.reason]}`;
    case 'duplicate-node':
      return `duplicate ${effect.node}`;
  }
}

const label = (kind: ControllerKind): string => (kind === KUBE ? 'kube' : 'device');

describe('pairs', () => {
  test('begin when both are there, whoever comes first, and end when one goes', () => {
    const { registry, edge, controller } = open();
    expect(edge(1)).toEqual([]);
    expect(controller(10, 'a', claims(3))).toEqual(['attach 1-10 kube epoch 3']);
    expect(controller(11, 'd', claims(7), DEVICE)).toEqual(['attach 1-11 device epoch 7']);
    expect(registry.controllerClosed(10).map(say)).toEqual(['detach 1-10 kube']);
    expect(registry.edgeClosed(1).map(say)).toEqual(['detach 1-11 device']);
    expect(edge(2)).toEqual(['attach 2-11 device epoch 7']);
    expect(registry.size()).toEqual({ edges: 1, controllers: 1 });
  });

  test('the highest epoch owns; a lower one waits its turn', () => {
    const { registry, edge, controller } = open();
    edge(1);
    controller(10, 'a', claims(3));
    expect(controller(11, 'b', claims(2))).toEqual([]);
    expect(controller(12, 'c', claims(4))).toEqual(['detach 1-10 kube', 'attach 1-12 kube epoch 4']);
    expect(registry.controllerClosed(10).map(say)).toEqual([]);
    expect(registry.controllerClosed(12).map(say)).toEqual(['detach 1-12 kube', 'attach 1-11 kube epoch 2']);
  });

  test('of equal epochs the incumbent keeps its shard', () => {
    const { edge, controller } = open();
    edge(1);
    controller(10, 'a', claims(3));
    expect(controller(11, 'b', claims(3))).toEqual([]);
  });

  test('a claim under a new epoch begins the lane session anew, a repeated one does not', () => {
    const { registry, edge, controller } = open();
    edge(1);
    controller(10, 'a', claims(3));
    expect(registry.claimsChanged(10, claims(3)).map(say)).toEqual([]);
    expect(registry.claimsChanged(10, claims(5)).map(say)).toEqual(['detach 1-10 kube', 'attach 1-10 kube epoch 5']);
    expect(registry.claimsChanged(10, []).map(say)).toEqual(['detach 1-10 kube']);
  });

  test('shards of others are none of one’s business', () => {
    const { registry, edge, controller } = open();
    edge(1);
    expect(controller(10, 'a', claims(3, (SHARD + 1) % 64))).toEqual([]);
    expect(controller(11, 'b', claims(9, 64))).toEqual([]);
    expect(registry.claimsChanged(99, claims(1))).toEqual([]);
  });

  test('one that misbehaved is severed and can be begun again', () => {
    const { registry, edge, controller } = open();
    edge(1);
    controller(10, 'a', claims(3));
    expect(registry.sever(NODE, KUBE).map(say)).toEqual(['detach 1-10 kube']);
    expect(registry.sever(NODE, KUBE)).toEqual([]);
    expect(registry.reconcile(NODE).map(say)).toEqual(['attach 1-10 kube epoch 3']);
    expect(registry.reconcile(NODE)).toEqual([]);
    expect(registry.reconcile('unknown')).toEqual([]);
  });
});

describe('newer connections', () => {
  test('of a node replace the older one', () => {
    const { registry, edge, controller } = open();
    edge(1);
    controller(10, 'a', claims(3));
    expect(edge(2)).toEqual(['detach 1-10 kube', 'close 1 REASON_REPLACED', 'attach 2-10 kube epoch 3']);
    expect(registry.edgeClosed(1)).toEqual([]);
    expect(registry.size().edges).toBe(1);
  });

  test('of a controller instance replace the older one, other instances do not', () => {
    const { registry, edge, controller } = open();
    edge(1);
    controller(10, 'a', claims(3));
    expect(controller(11, 'a', claims(3))).toEqual([
      'detach 1-10 kube',
      'close 10 REASON_REPLACED',
      'attach 1-11 kube epoch 3',
    ]);
    controller(12, 'a', claims(1), DEVICE);
    expect(registry.controllers(KUBE)).toEqual([11]);
    expect(registry.controllers(DEVICE)).toEqual([12]);
  });

  test('an older generation is stale, also after its successor left', () => {
    const { registry, edge } = open();
    const judge = (generation: bigint) => registry.judgeEdge(NODE, EdgeHello.fromPartial({ node: NODE, generation }));
    expect(judge(1n)).toEqual({ kind: 'newest' });
    edge(1, 5);
    expect(judge(5n)).toEqual({ kind: 'stale', known: 5n });
    registry.edgeClosed(1);
    expect(judge(4n)).toEqual({ kind: 'stale', known: 5n });
    expect(judge(6n)).toEqual({ kind: 'newest' });
  });

  test('boot ids that take turns are two machines; restarts are not', () => {
    const { edge } = open();
    expect(edge(1, 1, 'a')).toEqual([]);
    expect(edge(2, 2, 'a')).toEqual(['close 1 REASON_REPLACED']);
    expect(edge(3, 3, 'b')).toEqual(['close 2 REASON_REPLACED']);
    expect(edge(4, 4, 'c')).toEqual(['close 3 REASON_REPLACED']);
    expect(edge(5, 5, 'b')).toEqual(['close 4 REASON_REPLACED', `duplicate ${NODE}`]);
    expect(edge(6, 6, 'b')).toEqual(['close 5 REASON_REPLACED']);
  });
});
