// Events of an edge: posted once, about its own objects only, never in the way of those behind them.
import { describe, expect, test } from '@jest/globals';
import { createFakeKube, turns } from '@skerry/common/controller/testing/fake-kube';
import { KubeError } from '@skerry/common/kube/kube-error';
import { EVENTS } from '@skerry/common/kube/resources';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { createEventLog, type EventCounters } from './event-log.js';

const NOW = Date.parse('2026-01-01T12:00:00Z');

function setUp(node = 'edge-1') {
  const kube = createFakeKube();
  const clock = fakeClock(NOW);
  const counters: EventCounters = { posted: 0, droppedOld: 0, droppedForeign: 0, droppedInvalid: 0 };
  const log = createEventLog({
    node,
    client: kube.client,
    hasPod: async (_namespace, name, uid) => name === 'web' && uid === 'u1',
    counters,
    clock,
    random: () => 0.5,
    logger: nullLogger(),
  });
  const append = (...payloads: unknown[]) =>
    log.append(
      'kube-events',
      'e1',
      payloads.map((payload, i) => ({ n: BigInt(i + 1), payload: Buffer.from(JSON.stringify(payload)), gapFrom: 0n })),
    );
  return { kube, clock, counters, log, append };
}

const event = (changes: object = {}, involved: object = {}) => ({
  involvedObject: { kind: 'Pod', apiVersion: 'v1', namespace: 'shop', name: 'web', uid: 'u1', ...involved },
  type: 'Warning',
  reason: 'BackOff',
  message: 'waits',
  timestamp: '2026-01-01T11:59:30Z',
  component: 'engine',
  ...changes,
});

describe('event log', () => {
  test('posts an event on its Pod', async () => {
    const { append, kube, counters } = setUp();
    await append(event());
    expect(kube.list(EVENTS)).toMatchObject([
      {
        metadata: { namespace: 'shop', name: expect.stringMatching(/^web\./) },
        involvedObject: { kind: 'Pod', name: 'web', uid: 'u1' },
        type: 'Warning',
        reason: 'BackOff',
        message: 'waits',
        lastTimestamp: '2026-01-01T11:59:30Z',
        source: { component: 'engine', host: 'edge-1' },
      },
    ]);
    expect(counters.posted).toBe(1);
  });

  test('an entry that comes again makes no second event', async () => {
    const { append, kube } = setUp();
    await append(event());
    await append(event());
    expect(kube.list(EVENTS)).toHaveLength(1);
  });

  test('tells how far it got, for the epoch that it knows', async () => {
    const { append, log } = setUp();
    expect(log.last('kube-events', 'e1')).toBe(0n);
    await append(event(), event());
    expect(log.last('kube-events', 'e1')).toBe(2n);
    expect(log.last('kube-events', 'e2')).toBe(0n);
  });

  test.each([
    ['another Pod', event({}, { name: 'db', uid: 'u2' }), 'droppedForeign'],
    ['a successor of its Pod', event({}, { uid: 'u2' }), 'droppedForeign'],
    ['another node', event({}, { kind: 'Node', namespace: '', name: 'edge-2' }), 'droppedForeign'],
    ['its node, in a namespace of others', event({}, { kind: 'Node', name: 'edge-1' }), 'droppedForeign'],
    ['a Secret', event({}, { kind: 'Secret', name: 'web' }), 'droppedForeign'],
    ['what was over an hour ago', event({ timestamp: '2026-01-01T10:59:00Z' }), 'droppedOld'],
    ['no known time', event({ timestamp: 'yesterday' }), 'droppedInvalid'],
    ['nothing', [], 'droppedInvalid'],
  ])('drops and counts an event on %s, and goes on', async (_name, dropped, counter) => {
    const { append, kube, counters, log } = setUp();
    await append(dropped, event());
    expect(counters).toMatchObject({ posted: 1, [counter]: 1 });
    expect(kube.list(EVENTS)).toHaveLength(1);
    expect(log.last('kube-events', 'e1')).toBe(2n);
  });

  test('posts an event on its own Node', async () => {
    const { append, kube } = setUp();
    await append(event({}, { kind: 'Node', namespace: '', name: 'edge-1', uid: '' }));
    expect(kube.list(EVENTS)).toMatchObject([{ metadata: { namespace: 'default' } }]);
  });

  test('drops what the API refuses, waits for what passes', async () => {
    const { append, kube, counters, clock } = setUp();
    let calls = 0;
    kube.before = () => {
      calls += 1;
      if (calls === 1) throw new KubeError('permission_denied', 'namespace is going', { httpStatus: 403 });
      if (calls === 2) throw new KubeError('unavailable', 'restarting', { httpStatus: 503 });
    };
    const done = append(event(), event());
    await turns(5);
    await clock.advance(15_000);
    await done;
    expect(counters).toMatchObject({ posted: 1, droppedInvalid: 1 });
  });

  test('refuses a stream that it does not know', async () => {
    await expect(setUp().log.append('readings', 'e1', [])).rejects.toMatchObject({ code: 'unsupported' });
  });

  test('gives up when the node goes', async () => {
    const { append, kube, log, clock } = setUp();
    kube.down = true;
    const failed = expect(append(event())).rejects.toBeDefined();
    await turns(5);
    log.close();
    await failed;
    expect(clock.pending()).toBe(0);
  });
});
