import { describe, expect, test } from '@jest/globals';
import { Controller, type Frame, Lane } from '@skerry/gen/skerry/link/v1/link';
import { Hop } from './hop.js';
import { MAX_WINDOW_BYTES, MIN_WINDOW_BYTES } from './limits.js';
import type { Body, Envelope } from './types.js';

const UNKNOWN_LANE = 99 as Lane;

const put = (key: string, bytes = 1_000): Body => ({
  $case: 'put',
  value: {
    key,
    version: 'v',
    payload: Buffer.alloc(bytes),
    absent: false,
    references: [],
    shardEpoch: 1n,
    encoding: '',
  },
});
const on = (lane: Lane, body: Body, node = ''): Envelope => ({ lane, node, body });
const heartbeat = on(Lane.LANE_CONTROL, { $case: 'heartbeat', value: { uptimeMs: 1n } });
const attached = (node = ''): Envelope =>
  on(
    Lane.LANE_CONTROL,
    { $case: 'attached', value: { controller: Controller.CONTROLLER_KUBE, shardEpoch: 1n, edge: undefined } },
    node,
  );
const keyOf = (frame: Frame | undefined): string =>
  frame?.body?.$case === 'put' ? frame.body.value.key : (frame?.body?.$case ?? 'none');

function setUp() {
  let nowMs = 0;
  const hop = new Hop({ maxQueuedBytes: 8 * 1024 * 1024, nowMs: () => nowMs });
  return {
    hop,
    /** Queues without sending. */
    queue: (envelope: Envelope) => hop.send(envelope, false),
    drain: () => {
      const frames: Frame[] = [];
      for (let frame = hop.next(); frame; frame = hop.next()) frames.push(frame);
      return frames;
    },
    ack: (through: number, afterMs = 0) => {
      nowMs += afterMs;
      hop.receive({ seq: 0n, ack: BigInt(through), lane: 0, node: '', body: undefined });
    },
  };
}

describe('what leaves next', () => {
  test('control first, then one of each lane and node in turn', () => {
    const { queue, drain } = setUp();
    for (const key of ['a1', 'a2', 'a3']) queue(on(Lane.LANE_KUBE_STATE, put(key), 'a'));
    queue(on(Lane.LANE_KUBE_STATE, put('b1'), 'b'));
    queue(on(Lane.LANE_DEVICE_STATE, put('d1'), 'a'));
    queue(heartbeat);
    expect(drain().map(keyOf)).toEqual(['heartbeat', 'a1', 'b1', 'd1', 'a2', 'a3']);
  });

  test('grants of credit add up and go before the data of their lane', () => {
    const { queue, drain } = setUp();
    queue(on(Lane.LANE_KUBE_STATE, put('a1')));
    queue(on(Lane.LANE_KUBE_STATE, { $case: 'credit', value: { bytes: 5_000 } }));
    queue(on(Lane.LANE_KUBE_STATE, { $case: 'credit', value: { bytes: 7_000 } }));
    const [first, second] = drain();
    expect(first?.body).toEqual({ $case: 'credit', value: { bytes: 12_000 } });
    expect(keyOf(second)).toBe('a1');
  });

  test('a full queue takes no more', () => {
    const { hop } = setUp();
    const fill = on(Lane.LANE_KUBE_STATE, put('a', 1024 * 1024));
    const taken = Array.from({ length: 9 }, () => hop.send(fill, false));
    expect(taken).toEqual([...Array.from({ length: 7 }, () => 'queued'), 'full', 'full']);
  });
});

describe('the window', () => {
  test('holds frames back until others are acknowledged, but no control frame', () => {
    const { queue, drain, ack } = setUp();
    for (let i = 0; i < 100; i++) queue(on(Lane.LANE_KUBE_STATE, put(`k${i}`.padEnd(3))));
    const sent = drain().length;
    expect(sent).toBe(Math.ceil(MIN_WINDOW_BYTES / (1_000 + 64 + 4)));
    expect(drain()).toEqual([]);
    queue(heartbeat);
    expect(drain().map(keyOf)).toEqual(['heartbeat']);
    ack(1 + sent);
    expect(drain().length).toBeGreaterThan(0);
  });

  test('grows to a second of what is acknowledged, and shrinks with it', () => {
    const { queue, drain, ack, hop } = setUp();
    let through = 1;
    const send = (frames: number, afterMs: number): void => {
      for (let i = 0; i < frames; i++) queue(on(Lane.LANE_KUBE_STATE, put('k', 30_000)));
      through += drain().length;
      ack(through - 1, afterMs);
      through += drain().length;
    };
    for (let i = 0; i < 10; i++) send(40, 100);
    expect(hop.stats().windowBytes).toBe(MAX_WINDOW_BYTES);
    // The link becomes slow while more waits than it carries: one frame of 30 kB a second.
    for (let i = 0; i < 200; i++) queue(on(Lane.LANE_KUBE_STATE, put('k', 30_000)));
    through += drain().length;
    for (let acked = through - 20; acked < through; acked++) {
      ack(acked, 1_000);
      drain();
    }
    expect(hop.stats().windowBytes).toBeLessThan(2 * MIN_WINDOW_BYTES);
  });
});

describe('acknowledgements', () => {
  test('ride along, or are due after many frames', () => {
    const { hop } = setUp();
    const frame = (seq: number): Frame => ({ seq: BigInt(seq), ack: 1n, ...heartbeat });
    hop.receive(frame(2));
    expect([hop.owesAck(), hop.ackDue()]).toEqual([true, false]);
    expect((hop.send(heartbeat, true) as Frame).ack).toBe(2n);
    expect(hop.owesAck()).toBe(false);
    for (let seq = 3; seq < 3 + 32; seq++) hop.receive(frame(seq));
    expect(hop.ackDue()).toBe(true);
    expect(hop.ackOnly()).toMatchObject({ seq: 0n, ack: 34n, body: undefined });
  });

  test('violations are named', () => {
    const { hop } = setUp();
    expect(hop.receive({ seq: 3n, ack: 1n, ...heartbeat })).toMatchObject({ message: 'frame 3 came, 2 is next' });
    expect(hop.receive({ seq: 2n, ack: 9n, ...heartbeat })).toMatchObject({
      message: 'frame 9 is acknowledged, 1 were sent',
    });
    expect(hop.receive({ seq: 2n ** 63n, ack: 1n, ...heartbeat }).kind).toBe('violation');
    expect(hop.receive({ seq: 2n, ack: 1n, lane: UNKNOWN_LANE, node: '', body: put('a') }).kind).toBe('violation');
    expect(hop.receive({ seq: 2n, ack: 1n, lane: 2, node: '', body: undefined }).kind).toBe('violation');
  });
});

describe('the border between two lane sessions', () => {
  test('what was queued before an Attached is not sent after it', () => {
    const { queue, drain, hop } = setUp();
    queue(on(Lane.LANE_KUBE_STATE, put('old'), 'a'));
    queue(on(Lane.LANE_KUBE_STATE, put('other'), 'b'));
    queue(attached('a'));
    queue(on(Lane.LANE_KUBE_STATE, put('new'), 'a'));
    expect(drain().map(keyOf)).toEqual(['attached', 'new', 'other']);
    expect(hop.stats().stale).toBe(1);
  });

  test('what the peer sent before it took the Attached is refused, and only that', () => {
    const { hop } = setUp();
    hop.send(attached('a'), true);
    const from = (seq: number, ack: number, node: string): Frame => ({
      seq: BigInt(seq),
      ack: BigInt(ack),
      ...on(Lane.LANE_KUBE_STATE, put('k'), node),
    });
    expect(hop.receive(from(2, 1, 'a')).kind).toBe('nothing');
    expect(hop.receive(from(3, 1, 'b')).kind).toBe('deliver');
    expect(hop.receive(from(4, 2, 'a')).kind).toBe('deliver');
    expect(hop.stats().stale).toBe(1);
  });

  test('whoever takes an Attached drops what it has queued for the session before', () => {
    const { hop, queue, drain } = setUp();
    queue(on(Lane.LANE_KUBE_STATE, put('old')));
    queue(on(Lane.LANE_DEVICE_STATE, put('device')));
    hop.receive({ seq: 2n, ack: 1n, ...attached() });
    expect(drain().map(keyOf)).toEqual(['device']);
  });
});
