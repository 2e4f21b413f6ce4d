// One controller's channel that the sessions of many nodes share: it is kept below its bound whatever they have to send, and all take turns.
import { describe, expect, test } from '@jest/globals';
import { Controller, Hello, Lane, Welcome } from '@skerry/gen/skerry/link/v1/link';
import { nullLogger } from '../logger.js';
import { fakeClock } from '../testing/fake-clock.js';
import { createLaneSession } from './lane-session.js';
import { CONGESTED_SHARE, INITIAL_CREDIT } from './limits.js';
import { createStreamChannel } from './stream-channel.js';
import { createWire } from './testing/wire.js';
import type { Channel, ChannelEnd, Envelope, LaneSession } from './types.js';

const STATE = Lane.LANE_KUBE_STATE;
const BOUND = 4 * 1024 * 1024;
const NODES = 1_000;
const KEYS = 8;
const PAYLOAD = 4_096;
/** Grants, digests and the like of all sessions: small, and not held back. */
const CONTROL_BYTES = 6 * 64 * NODES;

function setUp() {
  const clock = fakeClock();
  const logger = nullLogger();
  const wire = createWire();
  const open = (end: 0 | 1): Channel =>
    createStreamChannel({
      stream: wire.ends[end],
      hello: Hello.fromPartial({}),
      welcome: Welcome.fromPartial({ heartbeatIntervalMs: 10_000_000 }),
      automaticHeartbeat: false,
      maxQueuedBytes: BOUND,
      clock,
      logger,
    });
  const [mine, hub] = [open(0), open(1)];
  const ends: ChannelEnd[] = [];
  mine.onEnd((end) => ends.push(end));
  mine.onEnvelope(() => {});
  mine.start();
  return { clock, logger, wire, mine, hub, ends };
}

/** Has KEYS entries for its node; reads them at once, or later as from an API. */
function openSession({ clock, logger }: ReturnType<typeof setUp>, node: string, later: boolean): LaneSession {
  const entry = { version: '1', payload: new Uint8Array(PAYLOAD), absent: false, references: [] };
  const session = createLaneSession({
    role: 'controller',
    controller: Controller.CONTROLLER_KUBE,
    node,
    source: {
      versions: () => [],
      read: () => (later ? Promise.resolve(entry) : entry),
      complete: () => true,
      confirmAbsent: async () => true,
      settled: () => {},
      epoch: () => 1n,
    },
    sink: {
      versions: () => [],
      put: () => new Promise(() => {}),
      delete: () => new Promise(() => {}),
      synced: async () => {},
      unsynced: () => false,
    },
    logSources: [],
    logSink: undefined,
    onCall: undefined,
    clock,
    logger,
    random: () => 0.5,
  });
  for (let i = 0; i < KEYS; i++) session.dirty(`pod/a/p-${i}/u`);
  return session;
}

describe.each([
  ['at once', false],
  ['later', true],
])('a source that answers %s', (_how, later) => {
  test('the sessions of 1,000 nodes stay below the bound, take turns, and all arrives', async () => {
    const world = setUp();
    const { clock, wire, mine, hub, ends } = world;
    const sessions = new Map<string, LaneSession>();
    const arrived: string[] = [];
    let highest = 0;
    hub.onEnvelope(({ node, body }) => {
      if (body.$case === 'put') arrived.push(node);
    });
    hub.start();
    for (let i = 0; i < NODES; i++) {
      const node = `n-${i}`;
      const session = openSession(world, node, later);
      sessions.set(node, session);
      session.attach(mine, { shardEpoch: 1n });
      session.receive({ lane: STATE, node, body: { $case: 'credit', value: { bytes: INITIAL_CREDIT } } });
      highest = Math.max(highest, mine.pendingBytes());
    }
    for (let moved = true; moved; ) {
      moved = false;
      for (const to of [1, 0] as const) {
        while (wire.deliver(to)) {
          moved = true;
          highest = Math.max(highest, mine.pendingBytes());
        }
      }
      await clock.advance(5);
      highest = Math.max(highest, mine.pendingBytes());
    }
    expect(ends).toEqual([]);
    expect(highest).toBeGreaterThanOrEqual(BOUND * CONGESTED_SHARE);
    expect(highest).toBeLessThan(BOUND * CONGESTED_SHARE + CONTROL_BYTES + 2 * PAYLOAD);
    expect(arrived).toHaveLength(NODES * KEYS);
    expect(mine.pendingBytes()).toBe(0);
    // Turns are taken in the order of asking: the last node begins before those that asked earlier are all done.
    expect(arrived.indexOf('n-999')).toBeLessThan(arrived.lastIndexOf('n-100'));
    for (const session of sessions.values()) session.close();
    mine.close({});
  });
});

test('those that wait for room are woken in order, once, and only while there is room', async () => {
  const { clock, wire, mine, hub } = setUp();
  const put = (bytes: number): Envelope => ({
    lane: STATE,
    node: 'n',
    body: {
      $case: 'put',
      value: {
        ...{ key: 'pod/a/b/c', version: '1', payload: Buffer.alloc(bytes), absent: false },
        ...{ references: [], shardEpoch: 1n, encoding: '' },
      },
    },
  });
  const woken: string[] = [];
  hub.onEnvelope(() => {});
  hub.start();
  while (mine.hasRoom()) mine.send(put(16_384));
  const greedy = (): void => {
    woken.push('greedy');
    while (mine.hasRoom()) mine.send(put(16_384));
    if (woken.length < 4) mine.awaitRoom(greedy);
  };
  const modest = (): void => void woken.push('modest');
  for (const waiter of [greedy, modest, greedy]) mine.awaitRoom(waiter);
  for (let i = 0; i < 1_000 && mine.pendingBytes() > 0; i++) {
    while (wire.deliver(1) || wire.deliver(0));
    await clock.advance(5);
  }
  expect(woken.slice(0, 3)).toEqual(['greedy', 'modest', 'greedy']);
  mine.close({});
});
