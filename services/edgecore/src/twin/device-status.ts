// What the cloud gets to know of a device: the status of its DeviceStatus object. Only properties that the Device declares and reports.
import type { DeviceStatus, DeviceTwinStatus, TwinValue } from '@skerry/common/kube/device-types';
import type { DeviceTwin, Property, Value } from './types.js';
import type { ValueType } from './value-type.js';

/** Metadata is text, as in KubeEdge: timestamp in Unix milliseconds, type as MQTT names it. */
export function deviceStatusOf({ head, properties }: DeviceTwin): Pick<DeviceStatus, 'metadata' | 'status'> {
  const twins: DeviceTwinStatus[] = [];
  for (const [name, property] of properties)
    if (property.declared && property.reported) twins.push(twinStatus(name, property));
  return {
    metadata: { namespace: head.namespace, name: head.name },
    status: {
      ...(head.state === '' ? {} : { state: head.state }),
      ...(head.lastOnlineTime === '' ? {} : { lastOnlineTime: head.lastOnlineTime }),
      twins,
    },
  };
}

function twinStatus(propertyName: string, { type, actual, expected }: Property): DeviceTwinStatus {
  return {
    propertyName,
    ...(actual ? { reported: statusValue(actual, type) } : {}),
    ...(expected ? { observedDesired: statusValue(expected, type) } : {}),
  };
}

function statusValue({ value, timestampMs }: Value, type: ValueType): TwinValue {
  return { value, metadata: { timestamp: String(Math.trunc(timestampMs)), type } };
}
