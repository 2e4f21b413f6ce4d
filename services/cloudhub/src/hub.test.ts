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
  /** Called for each frame before it is written down. */
  onSend: (envelope: Envelope) => void;
}

function fakeChannel(): FakeChannel {
  let deliver = (_envelope: Envelope): void => {};
  let tellEnd = (_end: ChannelEnd): void => {};
  let started = false;
  let ended: ChannelEnd | undefined;
  const finish = (end: ChannelEnd): void => {
    if (ended) return;
    ended = end;
    if (started) tellEnd(end);
  };
  const channel: Partial<FakeChannel> = {
    sent: [],
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
