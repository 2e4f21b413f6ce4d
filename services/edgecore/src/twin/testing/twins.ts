// Twins for tests of pure decisions.
import type { TwinPatch } from '@skerry/gen/skerry/edge/v1/twin';
import { bytesOf, type DeviceTwin, type Property, type PropertyChange, type Value } from '../types.js';

export const NOW = 1_700_000_000_000;

export function property(more: Partial<Property> = {}): Property {
  return {
    type: 'string',
    optional: true,
    declared: false,
    removed: false,
    reported: false,
    expected: undefined,
    actual: undefined,
    expectedVersion: { cloud: 0, edge: 0 },
    actualVersion: { cloud: 0, edge: 0 },
    desiredHash: '',
    ...more,
  };
}

export function value(text: string, provenance: Value['provenance'] = 'device', timestampMs = NOW): Value {
  return { value: text, provenance, timestampMs };
}

export function twinOf(properties: Readonly<Record<string, Property>> = {}, uid = 'u1'): DeviceTwin {
  const map = new Map(Object.entries(properties));
  const head = {
    namespace: 'plant',
    name: 'pump-1',
    uid,
    generation: 1,
    description: '',
    state: '',
    lastOnlineTime: '',
  };
  return { head, properties: map, valueBytes: [...map.values()].reduce((sum, p) => sum + bytesOf(p), 0) };
}

export function patch(more: Partial<TwinPatch> = {}): TwinPatch {
  return { remove: false, ...more };
}

export function apply(twin: DeviceTwin, changes: readonly PropertyChange[]): DeviceTwin {
  const properties = new Map(twin.properties);
  for (const { name, next } of changes) {
    if (next) properties.set(name, next);
    else properties.delete(name);
  }
  return { ...twin, properties };
}
