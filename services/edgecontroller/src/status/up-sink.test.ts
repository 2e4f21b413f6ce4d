// Status on its way into the API: who may say what, to which Pod it goes, and what happens while the API is away.
import { describe, expect, test } from '@jest/globals';
import { createFakeKube, turns } from '@skerry/common/controller/testing/fake-kube';
import { KubeError } from '@skerry/common/kube/kube-error';
import { NODES, PODS, type Pod } from '@skerry/common/kube/resources';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { createNodeWriter } from './node-writer.js';
import { createPodWriter } from './pod-writer.js';
import { createUpSink, type UpCounters } from './up-sink.js';

const { OUTCOME_APPLIED: APPLIED, OUTCOME_GONE: GONE, OUTCOME_REJECTED: REJECTED } = Done_Outcome;

function setUp() {
  const kube = createFakeKube();
  const clock = fakeClock();
  const counters: UpCounters = { applied: 0, gone: 0, rejected: 0, ignoredLabels: 0, overwritten: 0 };
  const sink = createUpSink({
    node: 'edge-1',
    pods: createPodWriter(kube.client),
    self: createNodeWriter(kube.client, 'edge-1', clock),
    counters,
    clock,
    random: () => 0.5,
    logger: nullLogger(),
  });
  const put = (key: string, value: unknown, version = 'v1') =>
    sink.put(key, { version, payload: Buffer.from(JSON.stringify(value)), absent: false, references: [] }, 0n);
  const bind = (node = 'edge-1', metadata: object = {}): Promise<Pod> =>
    kube.put(PODS, {
      metadata: { namespace: 'shop', name: 'web', ...metadata },
      spec: { nodeName: node, containers: [] },
    });
  const live = (): Pod | undefined => kube.get(PODS, { namespace: 'shop', name: 'web' });
  return { kube, clock, counters, sink, put, bind, live };
}

const statusKey = (pod: Pod): string => `podstatus/shop/web/${pod.metadata?.uid}`;
const running = (...conditions: object[]) => ({ status: { phase: 'Running', conditions } });
const ready = { type: 'Ready', status: 'True' };
const writes = (requests: readonly string[]): string[] => requests.filter((request) => !request.startsWith('get'));

describe('a Pod status', () => {
  test('is written under UID and version', async () => {
    const { put, bind, live, kube, sink } = setUp();
    const pod = await bind();
    expect(await put(statusKey(pod), running(ready))).toMatchObject({ outcome: APPLIED });
    expect(live()?.status?.phase).toBe('Running');
    expect(kube.requests).toEqual(['get pods shop/web', 'patch/status pods shop/web']);
    expect([...sink.versions()]).toEqual([[statusKey(pod), 'v1']]);
  });

  test('costs no write when the API shows it already', async () => {
    const { put, bind, kube } = setUp();
    const pod = await bind();
    await put(statusKey(pod), running(ready));
    await put(statusKey(pod), running(ready), 'v2');
    expect(writes(kube.requests)).toEqual(['patch/status pods shop/web']);
  });

  test('of a Pod that is gone has nowhere to go', async () => {
    const { put, sink, counters } = setUp();
    expect(await put('podstatus/shop/web/u1', running())).toMatchObject({ outcome: GONE });
    expect([...sink.versions()]).toEqual([]);
    expect(counters.gone).toBe(1);
  });

  test('never reaches a successor of the same name', async () => {
    const { put, bind, live, kube } = setUp();
    const first = await bind();
    await kube.remove(PODS, { namespace: 'shop', name: 'web' });
    await bind();
    expect(await put(statusKey(first), running())).toMatchObject({ outcome: GONE });
    expect(live()?.status).toBeUndefined();
  });

  test('never reaches a successor that came between read and write', async () => {
    const { put, bind, live, kube, clock } = setUp();
    const first = await bind();
    kube.before = async (request) => {
      if (!request.startsWith('patch')) return;
      kube.before = () => {};
      await kube.remove(PODS, { namespace: 'shop', name: 'web' });
      await bind();
    };
    const answer = put(statusKey(first), running());
    await turns();
    await clock.advance(1_000);
    expect(await answer).toMatchObject({ outcome: GONE });
    expect(live()?.status).toBeUndefined();
  });

  test("of another node's Pod is forbidden", async () => {
    const { put, bind, live, counters } = setUp();
    const pod = await bind('edge-2');
    expect(await put(statusKey(pod), running())).toMatchObject({ outcome: REJECTED, code: 'Forbidden' });
    expect(live()?.status).toBeUndefined();
    expect(counters.rejected).toBe(1);
  });

  test('of a Pod that is bound nowhere is forbidden', async () => {
    const { put, kube } = setUp();
    const pod = await kube.put(PODS, { metadata: { namespace: 'shop', name: 'web' }, spec: { containers: [] } });
    expect(await put(statusKey(pod), running())).toMatchObject({ outcome: REJECTED, code: 'Forbidden' });
  });

  test('keeps what somebody else wrote between read and write', async () => {
    const { put, bind, live, kube, clock } = setUp();
    const pod = await bind();
    kube.before = async (request) => {
      if (!request.startsWith('patch')) return;
      kube.before = () => {};
      const gate = { type: 'gate.example.com/x', status: 'True' };
      await kube.put(PODS, { ...live(), status: { conditions: [gate] } } as Pod);
    };
    const answer = put(statusKey(pod), running(ready));
    await turns();
    await clock.advance(1_000);
    expect(await answer).toMatchObject({ outcome: APPLIED });
    expect(live()?.status?.conditions?.map(({ type }) => type)).toEqual(['Ready', 'gate.example.com/x']);
  });

  test.each([422, 403, 413])('that the API refuses with %d is rejected', async (httpStatus) => {
    const { put, bind, kube, sink } = setUp();
    const pod = await bind();
    kube.before = (request) => {
      if (request.startsWith('patch')) throw new KubeError('invalid_argument', 'no', { httpStatus, reason: 'Invalid' });
    };
    expect(await put(statusKey(pod), running())).toMatchObject({ outcome: REJECTED, code: 'Invalid' });
    expect([...sink.versions()]).toEqual([]);
  });

  test('that is no status is rejected', async () => {
    const { put, kube } = setUp();
    expect(await put('podstatus/shop/web/u1', { status: 1 })).toMatchObject({ outcome: REJECTED, code: 'Invalid' });
    expect(await put('pod/shop/web/u1', {})).toMatchObject({ outcome: REJECTED, code: 'UnknownKind' });
    expect(await put('nonsense', {})).toMatchObject({ outcome: REJECTED, code: 'Invalid' });
    expect(kube.requests).toEqual([]);
  });

  test('waits while the API is away', async () => {
    const { put, bind, live, kube, clock } = setUp();
    const pod = await bind();
    kube.down = true;
    let answered = false;
    const answer = put(statusKey(pod), running(ready)).finally(() => {
      answered = true;
    });
    for (let i = 0; i < 10; i++) {
      await turns(3);
      await clock.advance(10_000);
    }
    expect(answered).toBe(false);
    kube.down = false;
    await turns(3);
    await clock.advance(15_000);
    expect(await answer).toMatchObject({ outcome: APPLIED });
    expect(live()?.status?.phase).toBe('Running');
  });

  test('that waits is given up when the node goes', async () => {
    const { put, kube, sink, clock, counters } = setUp();
    kube.down = true;
    const answer = put('podstatus/shop/web/u1', running());
    await turns(3);
    sink.close();
    expect(await answer).toMatchObject({ code: 'Cancelled' });
    expect(counters.rejected).toBe(0);
    expect(clock.pending()).toBe(0);
  });
});

describe('a stopped Pod', () => {
  const stopped = { status: { phase: 'Failed' }, stopped: true };

  test('is deleted once its last status is written', async () => {
    const { put, bind, live, kube } = setUp();
    const pod = await bind('edge-1', { deletionTimestamp: '2026-01-01T00:00:00Z' });
    expect(await put(statusKey(pod), stopped)).toMatchObject({ outcome: APPLIED });
    expect(writes(kube.requests)).toEqual(['patch/status pods shop/web', 'delete pods shop/web']);
    expect(live()).toBeUndefined();
  });

  test('whose deletion nobody asked for stays', async () => {
    const { put, bind, live } = setUp();
    await put(statusKey(await bind()), stopped);
    expect(live()?.status?.phase).toBe('Failed');
  });

  test('does not take its successor along', async () => {
    const { put, bind, live, kube } = setUp();
    const pod = await bind('edge-1', { deletionTimestamp: '2026-01-01T00:00:00Z' });
    kube.before = async (request) => {
      if (!request.startsWith('delete')) return;
      kube.before = () => {};
      await kube.remove(PODS, { namespace: 'shop', name: 'web' });
      await bind();
    };
    expect(await put(statusKey(pod), stopped)).toMatchObject({ outcome: APPLIED });
    expect(live()?.metadata?.uid).not.toBe(pod.metadata?.uid);
  });
});

describe('the node', () => {
  const report = { metadata: { labels: {} }, status: { conditions: [ready] } };

  test('is registered when it is not there, then its status is written', async () => {
    const { put, kube } = setUp();
    expect(await put('node//edge-1', report)).toMatchObject({ outcome: APPLIED });
    expect(writes(kube.requests)).toEqual(['create nodes edge-1', 'patch/status nodes edge-1']);
    expect(kube.get(NODES, { name: 'edge-1' })).toMatchObject({
      metadata: { labels: { 'node-role.kubernetes.io/edge': '' } },
      status: { conditions: [ready] },
    });
  });

  test('speaks of itself only', async () => {
    const { put, kube } = setUp();
    expect(await put('node//edge-2', report)).toMatchObject({ outcome: REJECTED, code: 'Forbidden' });
    expect(kube.requests).toEqual([]);
  });

  test('is written once a second at most', async () => {
    const { put, kube, clock } = setUp();
    await put('node//edge-1', report);
    const before = kube.requests.length;
    const second = put('node//edge-1', { ...report, status: { conditions: [{ ...ready, status: 'False' }] } }, 'v2');
    await turns();
    await clock.advance(999);
    expect(kube.requests).toHaveLength(before);
    await clock.advance(1);
    await second;
    expect(kube.requests.length).toBeGreaterThan(before);
  });
});

describe('what somebody else overwrites', () => {
  const is = (status: string): ReadonlyMap<string, string> => new Map([['Ready', status]]);

  test('is forgotten, so that the edge says it again', async () => {
    const { put, bind, sink, counters } = setUp();
    const key = statusKey(await bind());
    await put(key, running(ready));
    expect(sink.observed(key, is('True'))).toBe(false);
    expect([...sink.versions()]).toHaveLength(1);
    expect(sink.observed(key, is('False'))).toBe(true);
    expect([...sink.versions()]).toEqual([]);
    expect(sink.observed(key, is('False'))).toBe(false);
    expect(counters.overwritten).toBe(1);
  });

  test('goes unheard for keys that this session has not written', () => {
    expect(setUp().sink.observed('podstatus/shop/web/u1', is('False'))).toBe(false);
  });
});
