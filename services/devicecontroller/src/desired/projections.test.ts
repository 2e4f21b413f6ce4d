// What an edge gets of a Device and its model.
import { describe, expect, test } from '@jest/globals';
import type { Device } from '@skerry/common/kube/device-types';
import { modelEntry, placeDevice } from './projections.js';

const device: Device = {
  metadata: {
    name: 'pump',
    namespace: 'plant',
    uid: 'u1',
    generation: 2,
    resourceVersion: '9',
    labels: { description: 'main pump' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
  },
  spec: {
    nodeName: 'edge-1',
    deviceModelRef: { name: 'pump-model' },
    properties: [{ name: 'rpm', desired: { value: '1500' } }],
  },
};
const all = (): boolean => true;

describe('placeDevice', () => {
  test('is on its node and needs its model', () => {
    const placed = placeDevice(device, all);
    expect(placed).toMatchObject({
      key: 'device/plant/pump',
      node: 'edge-1',
      model: 'devicemodel/plant/pump-model',
      properties: new Set(['rpm']),
      entry: { references: ['devicemodel/plant/pump-model'] },
    });
    expect(JSON.parse(Buffer.from(placed?.entry.payload ?? []).toString())).toEqual({
      metadata: {
        name: 'pump',
        namespace: 'plant',
        uid: 'u1',
        generation: 2,
        labels: { description: 'main pump' },
        annotations: {},
      },
      spec: device.spec,
    });
  });

  test('is nowhere without a node, or on one that is not served', () => {
    expect(placeDevice({ ...device, spec: { ...device.spec, nodeName: '' } }, all)).toBeUndefined();
    expect(placeDevice(device, () => false)).toBeUndefined();
  });

  test('needs nothing without a model', () => {
    expect(placeDevice({ ...device, spec: { nodeName: 'edge-1' } }, all)).toMatchObject({
      model: undefined,
      entry: { references: [] },
    });
  });

  test('keeps its version when only bookkeeping changes', () => {
    const touched = { ...device, metadata: { ...device.metadata, resourceVersion: '10' } };
    expect(placeDevice(touched, all)?.entry.version).toBe(placeDevice(device, all)?.entry.version);
  });
});

test('a model is its spec', () => {
  const entry = modelEntry({ metadata: { name: 'm', namespace: 'plant', uid: 'u2' }, spec: { protocol: 'modbus' } });
  expect(JSON.parse(Buffer.from(entry.payload).toString())).toEqual({
    metadata: { name: 'm', namespace: 'plant', uid: 'u2' },
    spec: { protocol: 'modbus' },
  });
});
