// What an edge gets, and which changes it hears of.
import { describe, expect, test } from '@jest/globals';
import type { Pod } from '@skerry/common/kube/resources';
import { configMapEntry, placePod, secretEntry } from './projections.js';

const bound: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web',
    namespace: 'shop',
    uid: 'u1',
    resourceVersion: '10',
    labels: { app: 'web' },
    annotations: { note: 'n', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: {
    nodeName: 'edge-1',
    containers: [{ name: 'c', image: 'i', envFrom: [{ configMapRef: { name: 'conf' } }] }],
  },
  status: { phase: 'Pending' },
};
const all = (): boolean => true;
const version = (pod: Pod): string | undefined => placePod(pod, all)?.entry.version;
const payload = (entry: { payload: Uint8Array } | undefined): unknown =>
  JSON.parse(Buffer.from(entry?.payload ?? []).toString('utf8'));

describe('Pods', () => {
  test('are placed on their node, with what they need', () => {
    expect(placePod(bound, all)).toMatchObject({
      key: 'pod/shop/web/u1',
      node: 'edge-1',
      entry: { references: ['configmap/shop/conf'], absent: false },
    });
    expect(placePod({ ...bound, spec: { containers: [] } }, all)).toBeUndefined();
    expect(placePod(bound, (node) => node !== 'edge-1')).toBeUndefined();
  });

  test('are delivered without status and what only the cloud needs', () => {
    expect(payload(placePod(bound, all)?.entry)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'web',
        namespace: 'shop',
        uid: 'u1',
        labels: { app: 'web' },
        annotations: { note: 'n' },
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      spec: bound.spec,
    });
  });

  test('keep their version when status or bookkeeping changes', () => {
    const written = {
      ...bound,
      metadata: { ...bound.metadata, resourceVersion: '11', managedFields: [{}] },
      status: { phase: 'Running' },
    };
    expect(version(written)).toBe(version(bound));
  });

  test.each(['Succeeded', 'Failed'])('that have %s say so, and nothing else of their status', (phase) => {
    const ended = placePod({ ...bound, status: { phase, reason: 'r', startTime: '2026-01-01T00:00:01Z' } }, all);
    expect(payload(ended?.entry)).toMatchObject({ status: { phase } });
    expect(payload(ended?.entry)).not.toHaveProperty('status.startTime');
  });

  test.each<[string, Pod]>([
    ['its end', { ...bound, status: { phase: 'Succeeded' } }],
    ['a deletion', { ...bound, metadata: { ...bound.metadata, deletionTimestamp: '2026-01-02T00:00:00Z' } }],
    ['a label', { ...bound, metadata: { ...bound.metadata, labels: { app: 'x' } } }],
    ['the spec', { ...bound, spec: { ...bound.spec, containers: [{ name: 'c', image: 'j' }] } }],
    ['another UID', { ...bound, metadata: { ...bound.metadata, uid: 'u2' } }],
  ])('change their version with %s', (_name, changed) => {
    expect(version(changed)).not.toBe(version(bound));
  });
});

describe('ConfigMaps and Secrets', () => {
  const metadata = { name: 'conf', namespace: 'shop', uid: 'u1', resourceVersion: '7', labels: { a: 'b' } };

  test('a ConfigMap is its data', () => {
    const entry = configMapEntry({ metadata, data: { k: 'v' }, binaryData: { b: 'AA==' } });
    expect(payload(entry)).toEqual({
      metadata: { name: 'conf', namespace: 'shop', uid: 'u1' },
      data: { k: 'v' },
      binaryData: { b: 'AA==' },
    });
    const relabelled = configMapEntry({
      metadata: { ...metadata, labels: {} },
      data: { k: 'v' },
      binaryData: { b: 'AA==' },
    });
    expect(relabelled.version).toBe(entry.version);
  });

  test('a Secret is versioned by its resourceVersion: no hash of it leaves the cloud', () => {
    const entry = secretEntry({ metadata, type: 'Opaque', data: { k: 'dg==' } });
    expect(entry.version).toBe('1/u1/7');
    expect(payload(entry)).toEqual({
      metadata: { name: 'conf', namespace: 'shop', uid: 'u1' },
      type: 'Opaque',
      data: { k: 'dg==' },
    });
  });
});
