import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { at, type JsonObject, objectsAt, textAt } from '../api/objects.js';
import { LEASES } from '../controllers/access.js';
import { findCondition } from '../controllers/conditions.js';
import { createDeleter } from '../controllers/deleter.js';
import { type MemoryCluster, memoryCluster } from '../controllers/testing/memory-cluster.js';
import { builtinTypes } from '../registry/builtin.js';
import { createNodeLifecycle } from './node-lifecycle.js';
import { NODE_LEASES } from './sightings.js';

const NEVER = new AbortController().signal;

async function setUp(cluster: MemoryCluster = memoryCluster()) {
  const clock = fakeClock();
  let uid = 0;
  const newUid = () => `uid-${++uid}`;
  const types = builtinTypes('');
  const registry = { findCollection: (collection: string) => types.find((type) => type.collection === collection) };
  const deleteObject = createDeleter({ registry, clock, newUid });
  const lifecycle = createNodeLifecycle({ cluster, clock, logger: nullLogger(), newUid, deleteObject });
  await lifecycle.start();
  return {
    clock,
    cluster,
    lifecycle,
    node: (ready = 'True', more: JsonObject = {}) =>
      cluster.put('nodes', {
        metadata: { name: 'a' },
        spec: {},
        status: { conditions: [{ type: 'Ready', status: ready }] },
        ...more,
      }),
    renew: (time: number) =>
      cluster.put(LEASES, {
        metadata: { name: 'a', namespace: NODE_LEASES },
        spec: { renewTime: `2024-01-01T00:00:${time}Z` },
      }),
    pod: (name: string, tolerations: JsonObject[] = [], more: JsonObject = {}) =>
      cluster.put('pods', {
        metadata: { name, namespace: 'default', ...more },
        spec: { nodeName: 'a', tolerations, terminationGracePeriodSeconds: 20 },
        status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
      }),
    ready: () => findCondition(cluster.object('nodes', 'a')?.status, 'Ready')?.['status'],
    taints: () =>
      objectsAt(cluster.object('nodes', 'a'), 'spec', 'taints').map(
        (taint) => `${textAt(taint, 'key').slice(19)}:${textAt(taint, 'effect')}`,
      ),
    reasons: () =>
      cluster
        .list('events')
        .map(({ object }) => textAt(object, 'reason'))
        .sort(),
    get: (name: string) => cluster.object('pods', name, 'default'),
  };
}

describe('createNodeLifecycle', () => {
  test('a node is silent one grace period after the last renewal, by our clock and not by the times in Leases', async () => {
    const { clock, node, renew, ready, taints, reasons, lifecycle } = await setUp();
    await node();
    await clock.advance(0);
    for (let time = 10; time < 40; time += 10) {
      await clock.advance(35_000);
      await renew(time);
    }
    await clock.advance(39_999);
    expect([ready(), taints()]).toEqual(['True', []]);
    await renew(30); // The same time again is no sign of life.
    await clock.advance(1);
    expect([ready(), taints()]).toEqual(['Unknown', ['unreachable:NoSchedule', 'unreachable:NoExecute']]);
    expect(reasons()).toEqual(['NodeNotReady']);
    await renew(50);
    await node('True');
    await clock.advance(0);
    expect([ready(), taints()]).toEqual(['True', []]);
    await clock.advance(39_999);
    expect(ready()).toBe('True');
    await clock.advance(1);
    expect(ready()).toBe('Unknown');
    await lifecycle.stop(NEVER);
    expect(clock.pending()).toBe(0);
  });

  test('a posted Ready condition is a sign of life as well', async () => {
    const { clock, node, ready, lifecycle } = await setUp();
    await node('False');
    await clock.advance(30_000);
    await node('True');
    await clock.advance(39_999);
    expect(ready()).toBe('True');
    await clock.advance(1);
    expect(ready()).toBe('Unknown');
    await lifecycle.stop(NEVER);
  });

  test('a node that never reports takes no Pods, and is unknown after the startup grace', async () => {
    const { clock, node, ready, taints, lifecycle } = await setUp();
    await node('True', { status: {} });
    await clock.advance(59_999);
    expect([ready(), taints()]).toEqual([undefined, ['not-ready:NoSchedule']]);
    await clock.advance(1);
    expect(ready()).toBe('Unknown');
    await lifecycle.stop(NEVER);
  });

  test('a restart gives every node and every tolerated Pod its time anew', async () => {
    const cluster = memoryCluster();
    const first = await setUp(cluster);
    await first.node();
    await first.clock.advance(30_000);
    await first.lifecycle.stop(NEVER);
    const second = await setUp(cluster);
    await second.clock.advance(39_999);
    expect(second.ready()).toBe('True');
    await second.clock.advance(1);
    expect(second.ready()).toBe('Unknown');
    await second.lifecycle.stop(NEVER);
  });

  test('Pods of a node that is not ready are not ready, and go when their toleration ends', async () => {
    const { clock, node, pod, get, reasons, lifecycle } = await setUp();
    const seconds = (tolerationSeconds: number) => ({ operator: 'Exists', effect: 'NoExecute', tolerationSeconds });
    await node();
    await pod('short', [seconds(10)]);
    await pod('long', [seconds(30)]);
    await pod('forever', [{ operator: 'Exists' }]);
    await pod('none');
    await clock.advance(0);
    await node('False');
    await clock.advance(0);
    expect(findCondition(get('forever')?.status, 'Ready')).toMatchObject({ status: 'False' });
    expect(get('none')?.metadata).toMatchObject({ deletionGracePeriodSeconds: 20 });
    expect(findCondition(get('none')?.status, 'DisruptionTarget')).toMatchObject({
      status: 'True',
      reason: 'DeletionByTaintManager',
    });
    await clock.advance(9_999);
    expect(get('short')?.metadata.deletionTimestamp).toBeUndefined();
    await clock.advance(1);
    expect(get('short')?.metadata.deletionTimestamp).toBe('2023-11-14T22:13:50Z');
    await clock.advance(10_000);
    await node('True');
    await clock.advance(60_000);
    expect(get('long')?.metadata.deletionTimestamp).toBeUndefined();
    expect(get('forever')?.metadata.deletionTimestamp).toBeUndefined();
    expect(reasons().filter((reason) => reason === 'TaintManagerEviction')).toHaveLength(2);
    await lifecycle.stop(NEVER);
  });

  test('a NoExecute taint by hand drives away what does not tolerate it', async () => {
    const { clock, node, pod, get, lifecycle } = await setUp();
    await node('True', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } });
    await pod('p');
    await pod('q', [{ key: 'k', operator: 'Exists' }]);
    await clock.advance(0);
    expect(get('p')?.metadata.deletionTimestamp).toBeDefined();
    expect(get('q')?.metadata.deletionTimestamp).toBeUndefined();
    await lifecycle.stop(NEVER);
  });

  test('Pods of a node that is gone are failed and removed after a while', async () => {
    const { clock, cluster, node, pod, get, lifecycle } = await setUp();
    await node();
    await pod('p');
    await pod('held', [], { finalizers: ['example.com/x'] });
    await clock.advance(0);
    await cluster.drop('nodes', 'a');
    await clock.advance(39_999);
    expect(get('p')?.metadata.deletionTimestamp).toBeUndefined();
    await clock.advance(1);
    expect(get('p')).toBeUndefined();
    expect(at(get('held'), 'status', 'phase')).toBe('Failed');
    expect(get('held')?.metadata).toMatchObject({ deletionGracePeriodSeconds: 0 });
    await lifecycle.stop(NEVER);
  });

  test('Pods stay when the node comes back in time', async () => {
    const { clock, cluster, node, pod, get, lifecycle } = await setUp();
    await node();
    await pod('p');
    await cluster.drop('nodes', 'a');
    await clock.advance(30_000);
    await node();
    await clock.advance(35_000);
    await cluster.drop('nodes', 'a');
    await clock.advance(39_999);
    expect(get('p')?.metadata.deletionTimestamp).toBeUndefined();
    await lifecycle.stop(NEVER);
  });

  test('heartbeats alone write nothing', async () => {
    const { clock, cluster, node, renew, pod, lifecycle } = await setUp();
    await node();
    await pod('p');
    await clock.advance(0);
    const before = cluster.commits();
    for (let time = 10; time < 40; time += 10) {
      await renew(time);
      await clock.advance(20_000);
    }
    expect(cluster.commits()).toBe(before + 3);
    await lifecycle.stop(NEVER);
  });
});
