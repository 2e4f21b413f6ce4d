import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { at, type JsonObject } from '../api/objects.js';
import { findCondition } from '../controllers/conditions.js';
import { memoryCluster } from '../controllers/testing/memory-cluster.js';
import { createScheduler } from './scheduler.js';

const NEVER = new AbortController().signal;

async function setUp() {
  const clock = fakeClock();
  const cluster = memoryCluster();
  let uid = 0;
  const scheduler = createScheduler({ cluster, clock, logger: nullLogger(), newUid: () => `uid-${++uid}` });
  const node = (name: string, more: JsonObject = {}) =>
    cluster.put('nodes', {
      metadata: { name },
      status: { allocatable: { cpu: '1', memory: '1Gi', pods: '10' } },
      ...more,
    });
  const pod = (name: string, cpu = '100m', spec: JsonObject = {}) =>
    cluster.put('pods', {
      metadata: { name, namespace: 'default' },
      spec: {
        schedulerName: 'default-scheduler',
        containers: [{ name: 'c', resources: { requests: { cpu } } }],
        ...spec,
      },
      status: { phase: 'Pending' },
    });
  const nodeOf = (name: string) => at(cluster.object('pods', name, 'default'), 'spec', 'nodeName');
  const scheduled = (name: string) => findCondition(cluster.object('pods', name, 'default')?.status, 'PodScheduled');
  const events = () => cluster.list('events').map(({ object }) => object);
  await scheduler.start();
  return { clock, cluster, scheduler, node, pod, nodeOf, scheduled, events };
}

describe('createScheduler', () => {
  test('binds a Pod with condition and Event in one commit', async () => {
    const { clock, cluster, scheduler, node, pod, nodeOf, scheduled, events } = await setUp();
    await node('a');
    await pod('p');
    await clock.advance(0);
    expect(cluster.commits()).toBe(3);
    expect(nodeOf('p')).toBe('a');
    expect(scheduled('p')).toEqual({
      type: 'PodScheduled',
      status: 'True',
      lastTransitionTime: '2023-11-14T22:13:20Z',
    });
    expect(events()).toHaveLength(1);
    expect(events()[0]).toMatchObject({
      reason: 'Scheduled',
      type: 'Normal',
      message: 'Successfully assigned default/p to a',
      count: 1,
      metadata: { namespace: 'default', uid: 'uid-1' },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'p', uid: 'pods/p', apiVersion: 'v1' },
      source: { component: 'default-scheduler' },
    });
    await scheduler.stop(NEVER);
    expect(clock.pending()).toBe(0);
  });

  test('tells why a Pod waits, repeats it seldom, and binds it when a node comes', async () => {
    const { clock, cluster, scheduler, node, pod, nodeOf, scheduled, events } = await setUp();
    await node('small', { status: { allocatable: { cpu: '1', pods: '10' } } });
    await pod('p', '2');
    await clock.advance(1_000);
    const message = '0/1 nodes are available: 1 Insufficient cpu.';
    expect(scheduled('p')).toMatchObject({ status: 'False', reason: 'Unschedulable', message });
    expect(events()).toMatchObject([{ reason: 'FailedScheduling', type: 'Warning', message, count: 1 }]);
    // Heartbeats of nodes are no reason to look again, and looking again no reason to repeat the Event.
    const before = cluster.commits();
    await node('small', {
      status: { allocatable: { cpu: '1', pods: '10' }, conditions: [{ type: 'Ready', status: 'True' }] },
    });
    await clock.advance(200_000);
    expect(cluster.commits()).toBe(before + 1);
    await clock.advance(100_000);
    expect(events()).toMatchObject([
      { count: 2, lastTimestamp: '2023-11-14T22:18:20Z', firstTimestamp: '2023-11-14T22:13:20Z' },
    ]);
    await node('large', { status: { allocatable: { cpu: '4', pods: '10' } } });
    await clock.advance(0);
    expect(nodeOf('p')).toBe('large');
    expect(scheduled('p')).not.toHaveProperty('reason');
    await scheduler.stop(NEVER);
  });

  test('serves by priority, then age; what does not fit waits for room', async () => {
    const { clock, cluster, scheduler, node, pod, nodeOf } = await setUp();
    await pod('low', '600m');
    await pod('high', '600m', { priority: 10 });
    await node('a');
    await clock.advance(0);
    expect([nodeOf('high'), nodeOf('low')]).toEqual(['a', undefined]);
    await cluster.drop('pods', 'high', 'default');
    await clock.advance(0);
    expect(nodeOf('low')).toBe('a');
    await scheduler.stop(NEVER);
  });

  test('spreads a burst over the nodes without overfilling one', async () => {
    const { clock, cluster, scheduler, node, pod } = await setUp();
    await node('a');
    await node('b');
    await Promise.all(Array.from({ length: 25 }, (_, index) => pod(`p-${index}`, '90m')));
    await clock.advance(0);
    const count = (name: string) =>
      cluster.list('pods').filter(({ object }) => object.spec?.['nodeName'] === name).length;
    expect([count('a'), count('b')]).toEqual([10, 10]);
    await scheduler.stop(NEVER);
  });

  test('leaves gated Pods and those of other schedulers alone', async () => {
    const { clock, cluster, scheduler, node, pod, nodeOf, events } = await setUp();
    await node('a');
    await pod('gated', '1m', { schedulingGates: [{ name: 'g' }] });
    await pod('foreign', '1m', { schedulerName: 'other' });
    await clock.advance(0);
    expect([nodeOf('gated'), nodeOf('foreign'), events()]).toEqual([undefined, undefined, []]);
    await pod('gated');
    await clock.advance(0);
    expect(nodeOf('gated')).toBe('a');
    await scheduler.stop(NEVER);
    await pod('late');
    await clock.advance(0);
    expect(cluster.object('pods', 'late', 'default')?.spec).not.toHaveProperty('nodeName');
  });

  test('tries again after a failed write', async () => {
    const { clock, cluster, scheduler, node, pod, nodeOf } = await setUp();
    await scheduler.stop(NEVER);
    await node('a');
    await pod('p');
    let failing = true;
    const flaky = {
      ...cluster,
      transact: <T>(fn: Parameters<typeof cluster.transact<T>>[0]) =>
        failing ? Promise.reject(new Error('disk')) : cluster.transact(fn),
    };
    const other = createScheduler({ cluster: flaky, clock, logger: nullLogger(), newUid: () => 'u' });
    await other.start();
    await clock.advance(600);
    expect(nodeOf('p')).toBeUndefined();
    failing = false;
    await clock.advance(1_000);
    expect(nodeOf('p')).toBe('a');
    await other.stop(NEVER);
    expect(clock.pending()).toBe(0);
  });
});
