import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { type JsonObject, objectsAt } from '../api/objects.js';
import { EVENTS } from '../controllers/access.js';
import { findCondition } from '../controllers/conditions.js';
import { createDeleter } from '../controllers/deleter.js';
import { type MemoryCluster, memoryCluster } from '../controllers/testing/memory-cluster.js';
import type { Propagation } from '../operations/delete.js';
import { builtinTypes } from '../registry/builtin.js';
import { CLEANUP_FINALIZER, CRDS } from '../registry/crd.js';
import { createRegistry } from '../registry/registry.js';
import { createGarbageCollector } from './collector.js';

const NEVER = new AbortController().signal;

async function setUp(cluster: MemoryCluster = memoryCluster(), start = true) {
  const clock = fakeClock();
  const newUid = () => 'uid';
  const registry = createRegistry(builtinTypes(''), cluster);
  cluster.onCommit(registry.onCommit);
  const deleteObject = createDeleter({ registry, clock, newUid });
  const collector = createGarbageCollector({ cluster, clock, registry, logger: nullLogger(), deleteObject });
  if (start) await collector.start();

  async function config(
    name: string,
    owners: readonly (string | JsonObject)[] = [],
    more: JsonObject = {},
  ): Promise<void> {
    const ownerReferences = owners.map((owner) =>
      typeof owner === 'string'
        ? { apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: `configmaps/${owner}`, blockOwnerDeletion: true }
        : owner,
    );
    await cluster.put('configmaps', {
      metadata: { name, namespace: 'default', ...(owners.length > 0 ? { ownerReferences } : {}), ...more },
    });
  }

  async function remove(
    collection: string,
    name: string,
    propagation?: Propagation,
    namespace = 'default',
  ): Promise<void> {
    await cluster.transact((tx) => {
      const stored = tx.get({ collection, namespace, name });
      if (stored !== undefined) deleteObject(tx, stored, propagation === undefined ? {} : { propagation });
    });
    await clock.advance(0);
  }

  return { clock, cluster, collector, config, remove, names: () => cluster.names('configmaps') };
}

describe('owner references', () => {
  test('background: what lost its last owner goes, down the chain', async () => {
    const { clock, cluster, collector, config, remove, names } = await setUp();
    await config('root');
    await config('other');
    await config('child', ['root']);
    await config('grandchild', ['child']);
    await config('shared', ['root', 'other']);
    await clock.advance(0);
    expect(names()).toHaveLength(5);
    await remove('configmaps', 'root');
    expect(names()).toEqual(['other', 'shared']);
    expect(cluster.object('configmaps', 'shared', 'default')?.metadata.ownerReferences).toMatchObject([
      { name: 'other' },
    ]);
    await collector.stop(NEVER);
  });

  test('an owner of the same name and another UID is no owner', async () => {
    const { clock, cluster, collector, config, names } = await setUp();
    await config('root');
    await config('child', ['root']);
    await cluster.drop('configmaps', 'root', 'default');
    await config('root', [], { uid: 'new' });
    await clock.advance(0);
    expect(names()).toEqual(['root']);
    await collector.stop(NEVER);
  });

  test('kinds that are not served and owners that can not be looked up are never taken for absent', async () => {
    const { clock, collector, config, cluster, names } = await setUp();
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x', uid: 'x' };
    await config('child', [deployment]);
    await cluster.put('nodes', {
      metadata: { name: 'n', ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }] },
    });
    await clock.advance(0);
    expect([names(), cluster.names('nodes')]).toEqual([['child'], ['n']]);
    await collector.stop(NEVER);
  });

  test('a node owns its Leases: cluster scoped owners count', async () => {
    const { clock, cluster, collector } = await setUp();
    await cluster.put('nodes', { metadata: { name: 'n' } });
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'nodes/n' }];
    await cluster.put('leases.coordination.k8s.io', { metadata: { name: 'n', namespace: 'default', ownerReferences } });
    await clock.advance(0);
    expect(cluster.names('leases.coordination.k8s.io')).toEqual(['n']);
    await cluster.drop('nodes', 'n');
    await clock.advance(0);
    expect(cluster.names('leases.coordination.k8s.io')).toEqual([]);
    await collector.stop(NEVER);
  });

  test('foreground: the owner stays until what blocks it is gone', async () => {
    const { clock, cluster, collector, config, remove, names } = await setUp();
    await config('root');
    await config('held', ['root'], { finalizers: ['example.com/x'] });
    await config('child', ['root']);
    await config('grandchild', ['child']);
    await remove('configmaps', 'root', 'Foreground');
    expect(names()).toEqual(['held', 'root']);
    const held = cluster.object('configmaps', 'held', 'default');
    expect(held?.metadata.deletionTimestamp).toBeDefined();
    await cluster.drop('configmaps', 'held', 'default');
    await clock.advance(0);
    expect(names()).toEqual([]);
    await collector.stop(NEVER);
  });

  test('foreground: a dependent that does not block is collected all the same', async () => {
    const { collector, config, remove, names } = await setUp();
    await config('root');
    await config('child', [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'root', uid: 'configmaps/root' }]);
    await remove('configmaps', 'root', 'Foreground');
    expect(names()).toEqual([]);
    await collector.stop(NEVER);
  });

  test('foreground: a circle does not wait for itself', async () => {
    const { collector, config, remove, names } = await setUp(memoryCluster());
    await config('b');
    await config('a', ['b']);
    await config('b', ['a']);
    await remove('configmaps', 'a', 'Foreground');
    expect(names()).toEqual([]);
    await collector.stop(NEVER);
  });

  test('orphan: dependents stay, without the reference', async () => {
    const { cluster, collector, config, remove, names } = await setUp();
    await config('root');
    await config('child', ['root']);
    await remove('configmaps', 'root', 'Orphan');
    expect(names()).toEqual(['child']);
    expect(cluster.object('configmaps', 'child', 'default')?.metadata).not.toHaveProperty('ownerReferences');
    await collector.stop(NEVER);
  });

  test('what was left undone is done at the start', async () => {
    const cluster = memoryCluster();
    const { clock, collector, config, names } = await setUp(cluster, false);
    await config('root', [], { deletionTimestamp: '2024-01-01T00:00:00Z', finalizers: ['foregroundDeletion'] });
    await config('child', ['root']);
    await config('lost', ['nobody']);
    await collector.start();
    await clock.advance(0);
    expect(names()).toEqual([]);
    await collector.stop(NEVER);
    expect(clock.pending()).toBe(0);
  });

  test('what may not be deleted does not hold up the rest', async () => {
    const { clock, cluster, collector, config, names } = await setUp();
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: 'x', uid: 'x' }];
    await cluster.put('namespaces', { metadata: { name: 'kube-system', ownerReferences } });
    await config('lost', ['nobody']);
    await clock.advance(0);
    expect([cluster.names('namespaces'), names()]).toEqual([['default', 'kube-system'], []]);
    await collector.stop(NEVER);
  });
});

describe('namespaces', () => {
  test('Pods go first, then the rest, then the namespace', async () => {
    const { clock, cluster, collector, remove } = await setUp();
    const metadata = { namespace: 'work', finalizers: undefined };
    await cluster.put('namespaces', { metadata: { name: 'work' }, spec: { finalizers: ['kubernetes'] } });
    await cluster.put('pods', { metadata: { ...metadata, name: 'p' }, spec: { nodeName: 'a' } });
    await cluster.put('configmaps', { metadata: { ...metadata, name: 'c' } });
    await remove('namespaces', 'work', undefined, '');
    expect(cluster.object('pods', 'p', 'work')?.metadata.deletionTimestamp).toBeDefined();
    expect(cluster.names('configmaps')).toEqual(['c']);
    const remaining = findCondition(cluster.object('namespaces', 'work')?.status, 'NamespaceContentRemaining');
    expect(remaining?.['message']).toBe('Some resources are remaining: pods (1)');
    await cluster.drop('pods', 'p', 'work');
    await clock.advance(0);
    expect([cluster.names('configmaps'), cluster.names('namespaces')]).toEqual([[], ['default']]);
    await collector.stop(NEVER);
  });

  test('tells which finalizers hold it, and takes what is written into it late', async () => {
    const { clock, cluster, collector, remove } = await setUp();
    await cluster.put('namespaces', { metadata: { name: 'work' }, spec: { finalizers: ['kubernetes'] } });
    await cluster.put('configmaps', { metadata: { name: 'c', namespace: 'work', finalizers: ['example.com/x'] } });
    await remove('namespaces', 'work', undefined, '');
    const conditions = () =>
      objectsAt(cluster.object('namespaces', 'work')?.status, 'conditions').map((item) => item['message']);
    expect(conditions()).toEqual([
      'Some resources are remaining: configmaps (1)',
      'Some content has finalizers remaining: example.com/x (1)',
    ]);
    await cluster.put(EVENTS, { metadata: { name: 'late', namespace: 'work' } });
    await clock.advance(0);
    expect(cluster.names(EVENTS)).toEqual([]);
    await cluster.drop('configmaps', 'c', 'work');
    await clock.advance(0);
    expect(cluster.names('namespaces')).toEqual(['default']);
    await collector.stop(NEVER);
  });
});

test('a definition in deletion takes its objects with it', async () => {
  const { clock, cluster, collector, remove } = await setUp();
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } };
  const names = { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' };
  await cluster.put(CRDS, {
    metadata: { name: 'things.example.com', finalizers: [CLEANUP_FINALIZER] },
    spec: { group: 'example.com', scope: 'Namespaced', names, versions: [version] },
    status: { conditions: [{ type: 'Established', status: 'True' }] },
  });
  await cluster.put('things.example.com', { metadata: { name: 'x', namespace: 'default' } });
  await cluster.put('things.example.com', {
    metadata: { name: 'held', namespace: 'default', finalizers: ['example.com/x'] },
  });
  await cluster.put('configmaps', {
    metadata: {
      name: 'owned',
      namespace: 'default',
      ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'Thing', name: 'x', uid: 'things.example.com/x' }],
    },
  });
  await remove(CRDS, 'things.example.com', undefined, '');
  expect([cluster.names(CRDS), cluster.names('things.example.com')]).toEqual([['things.example.com'], ['held']]);
  expect(cluster.names('configmaps')).toEqual([]);
  await cluster.drop('things.example.com', 'held', 'default');
  await clock.advance(0);
  expect(cluster.names(CRDS)).toEqual([]);
  await collector.stop(NEVER);
});
