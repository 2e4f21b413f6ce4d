// Devices and models for tests.
import type { Device, DeviceModel, DeviceProperty, ModelProperty } from '@skerry/common/kube/device-types';

export function deviceOf(
  name: string,
  properties: DeviceProperty[],
  more: { uid?: string; generation?: number } = {},
): Device {
  return {
    apiVersion: 'devices.kubeedge.io/v1beta1',
    kind: 'Device',
    metadata: {
      namespace: 'plant',
      name,
      uid: more.uid ?? `uid-${name}`,
      generation: more.generation ?? 1,
      labels: { description: 'a pump' },
    },
    spec: { deviceModelRef: { name: 'pump' }, nodeName: 'edge-1', properties },
  };
}

export function modelOf(properties: ModelProperty[]): DeviceModel {
  return {
    apiVersion: 'devices.kubeedge.io/v1beta1',
    kind: 'DeviceModel',
    metadata: { namespace: 'plant', name: 'pump', uid: 'uid-model' },
    spec: { protocol: 'mqtt', properties },
  };
}

export const pumpModel = modelOf([
  { name: 'rpm', type: 'INT', accessMode: 'ReadWrite', minimum: '0', maximum: '3000' },
  { name: 'temperature', type: 'DOUBLE', accessMode: 'ReadOnly' },
  { name: 'on', type: 'BOOLEAN' },
  { name: 'note', type: 'STRING' },
]);
