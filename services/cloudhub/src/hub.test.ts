// What the hub does when peers go at awkward moments: channels here are lists of what was sent.
import { describe, expect, test } from '@jest/globals';
import type { Channel, ChannelEnd, Envelope } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { Controller, EdgeHello, Goodbye_Reason, Lane } from '@skerry/gen/skerry/link/v1/link';
import { createCounters } from './counters.js';
import { createHub } from './hub.js';
import { allShards } from './testing/claims.js';

const KUBE = Controller.CONTROLLER_KUBE;

interface FakeChannel extends Channel {
  /** "<case> <node>", and "goodbye <reason>" for close. */
  readonly sent: string[];
  receive(envelope: Envelope): void;
  end(): void;
  /** Bytes that the channel says are queued; `drained` tells those that wait for room. */
  pending: number;
  drained(): void;
  /** Called for each frame before it is written down. */
  onSend: (envelope: Envelope) => void;
}

function fakeChannel(): FakeChannel {
  let deliver = (_envelope: Envelope): void => {};
  let tellEnd = (_end: ChannelEnd): void => {};
  const waiters = new Set<() => void>();
  let started = false;
  let ended: ChannelEnd | undefined;
  const finish = (end: ChannelEnd): void => {
    if (ended) return;
    ended = end;
    if (started) tellEnd(end);
  };
  const channel: Partial<FakeChannel> = {
    sent: [],
    pending: 0,
    pendingBytes: () => channel.pending ?? 0,
    hasRoom: () => channel.pending === 0,
    awaitRoom: (waiter) => void waiters.add(waiter),
    drained: () => {
      channel.pending = 0;
      for (const waiter of waiters) {
        waiters.delete(waiter);
        waiter();
      }
    },
    onSend: () => {},
    send(envelope) {
      channel.onSend?.(envelope);
      if (!ended) channel.sent?.push(`${envelope.body.$case} ${envelope.node}`.trim());
    },
    onEnvelope: (listener) => {
      deliver = listener;
    },
    onEnd: (listener) => {
      tellEnd = listener;
    },
    start: () => {
      started = true;
      if (ended) tellEnd(ended);
    },
    close({ reason }) {
      channel.sent?.push(`goodbye ${Goodbye_Reason[reason ?? 0]}`);
      finish({ kind: 'closed' });
    },
    receive: (envelope) => deliver(envelope),
    end: () => finish({ kind: 'lost', reason: 'cut' }),
  };
  return channel as FakeChannel;
}

function open() {
  const clock = fakeClock();
  const counters = createCounters();
  const away: string[] = [];
  const hub = createHub({
    clock,
    counters,
    logger: nullLogger(),
    onHeartbeat: () => {},
    onAway: (node) => away.push(node),
  });
  const edge = (node: string, generation = 1, channel = fakeChannel()): FakeChannel => {
    hub.addEdge(node, EdgeHello.fromPartial({ node, generation: BigInt(generation) }), channel);
    return channel;
  };
  const controller = (instance: string, epoch: number, channel = fakeChannel()): FakeChannel => {
    hub.addController(KUBE, instance, allShards(epoch), channel);
    return channel;
  };
  return { hub, clock, counters, away, edge, controller };
}

const put: Envelope = {
  lane: Lane.LANE_KUBE_STATE,
  node: 'edge-1',
  body: {
    $case: 'put',
    value: {
      ...{ key: 'pod/a/b/c', version: '1', payload: Buffer.alloc(0), absent: false },
      ...{ references: [], shardEpoch: 1n, encoding: '' },
    },
  },
};

describe('awkward moments', () => {
  test('a channel that ended before it was handed over leaves nothing behind', () => {
    const { hub, away, edge, controller } = open();
    const [dead, deadController] = [fakeChannel(), fakeChannel()];
    dead.end();
    deadController.end();
    edge('edge-1', 1, dead);
    controller('a', 1, deadController);
    expect(hub.size()).toEqual({ edges: 0, controllers: 0 });
    expect(away).toEqual(['edge-1']);
  });

  test('a controller that dies while its nodes are attached leaves them to the next one', () => {
    const { hub, edge, controller } = open();
    const edges = ['edge-1', 'edge-2', 'edge-3'].map((node) => edge(node));
    const heir = controller('b', 1);
    const dying = fakeChannel();
    dying.onSend = () => dying.end();
    controller('a', 2, dying);
    expect(hub.size().controllers).toBe(1);
    for (const channel of edges) expect(channel.sent.at(-1)).toBe('attached');
    expect(heir.sent.slice(-3).sort()).toEqual(['attached edge-1', 'attached edge-2', 'attached edge-3']);
  });

  test('a replaced session’s end does not count as the node being away', () => {
    const { away, edge } = open();
    const first = edge('edge-1', 1);
    const second = edge('edge-1', 2);
    expect(first.sent).toEqual(['goodbye REASON_REPLACED']);
    expect(away).toEqual([]);
    second.end();
    expect(away).toEqual(['edge-1']);
  });

  test('a severed node comes back to its controller after 5 s', async () => {
    const { hub, clock, counters, edge, controller } = open();
    const owner = controller('a', 1);
    const node = edge('edge-1');
    owner.receive(put);
    expect(node.sent).toEqual(['attached', 'detached']);
    owner.receive(put);
    expect(counters).toMatchObject({ creditViolations: 1, framesDropped: 1 });
    await clock.advance(5_000);
    expect(node.sent).toEqual(['attached', 'detached', 'attached']);
    owner.receive(put);
    hub.shutDown();
    expect(clock.pending()).toBe(0);
  });

  test('what a controller may not say ends its session', () => {
    const { counters, controller } = open();
    const owner = controller('a', 1);
    const body = { $case: 'attached', value: { controller: KUBE, shardEpoch: 1n, edge: undefined } } as const;
    owner.receive({ lane: Lane.LANE_CONTROL, node: 'edge-1', body });
    expect(owner.sent).toEqual(['goodbye REASON_PROTOCOL_ERROR']);
    expect(counters.protocolErrors).toBe(1);
  });
});

describe('a congested queue to a controller', () => {
  const STATE = Lane.LANE_KUBE_STATE;
  const credit = (node: string, bytes: number, lane = STATE): Envelope => ({
    lane,
    node,
    body: { $case: 'credit', value: { bytes } },
  });

  /** Every grant that an edge hears of, as "<node> <lane> <bytes>". */
  function openWithGrants(nodes: readonly string[]) {
    const world = open();
    const owner = world.controller('a', 1);
    const granted: string[] = [];
    const edges = nodes.map((node) => {
      const channel = fakeChannel();
      channel.onSend = ({ lane, body }) => {
        if (body.$case === 'credit') granted.push(`${node} ${lane} ${body.value.bytes}`);
      };
      return world.edge(node, 1, channel);
    });
    return { ...world, owner, edges, granted };
  }

  test('holds the controller’s grants back, adds them up and lets them go in order; data passes', () => {
    const { owner, edges, granted, counters } = openWithGrants(['edge-1', 'edge-2']);
    for (const edge of edges) edge.receive(credit('', 8_192));
    owner.pending = 1;
    owner.receive(credit('edge-2', 8_192));
    owner.receive(credit('edge-1', 8_192));
    owner.receive(credit('edge-2', 4_096));
    owner.receive(credit('edge-2', 4_096, Lane.LANE_KUBE_LOG));
    owner.receive(put);
    expect(granted).toEqual([]);
    expect(edges[0]?.sent).toEqual(['attached', 'put']);
    expect(counters.creditsHeld).toBe(4);
    owner.drained();
    expect(granted).toEqual([`edge-2 ${STATE} 12288`, `edge-2 ${Lane.LANE_KUBE_LOG} 4096`, `edge-1 ${STATE} 8192`]);
    owner.receive(credit('edge-1', 4_096));
    expect(granted.at(-1)).toBe(`edge-1 ${STATE} 4096`);
    expect(counters).toMatchObject({ creditsHeld: 4, creditViolations: 0 });
  });

  test('lets many grants go a batch at a time, and looks at the queue in between', async () => {
    const nodes = Array.from({ length: 10 }, (_, i) => `edge-${i}`);
    const { hub, owner, granted, clock } = openWithGrants(nodes);
    owner.pending = 1;
    for (const node of nodes) owner.receive(credit(node, 4 * 1024 * 1024));
    owner.drained();
    expect(granted).toHaveLength(4);
    owner.pending = 1;
    await clock.advance(100);
    expect(granted).toHaveLength(4);
    owner.drained();
    await clock.advance(100);
    expect(granted.map((grant) => grant.split(' ')[0])).toEqual(nodes);
    hub.shutDown();
    expect(clock.pending()).toBe(0);
  });

  test('a held grant does not outlive its lane session', () => {
    const { owner, edges, edge, granted } = openWithGrants(['edge-1']);
    owner.pending = 1;
    owner.receive(credit('edge-1', 8_192));
    edges[0]?.end();
    edge('edge-1', 2);
    owner.drained();
    expect(granted).toEqual([]);
  });

  test('nearly full, a node that sends more is let go until later; the controller stays', async () => {
    const { hub, owner, edges, counters, clock } = openWithGrants(['edge-1', 'edge-2']);
    for (const node of ['edge-1', 'edge-2']) owner.receive(credit(node, 8_192));
    owner.pending = 48 * 1024 * 1024;
    edges[0]?.receive({ ...put, node: '' });
    expect(owner.sent.slice(-1)).toEqual(['detached edge-1']);
    expect(edges[0]?.sent).toEqual(['attached', 'credit', 'detached']);
    owner.pending = 0;
    edges[1]?.receive({ ...put, node: '' });
    await clock.advance(5_000);
    expect(owner.sent.slice(-2)).toEqual(['put edge-2', 'attached edge-1']);
    expect(counters).toMatchObject({ nodesShed: 1, framesUp: 1, protocolErrors: 0 });
    hub.shutDown();
  });
});
