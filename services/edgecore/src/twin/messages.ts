// Twins as the messages that clients of the twin get. Deleted properties are invisible except as `removed` in an answer.
import type {
  DeviceSummary,
  TwinChanged,
  TwinDelta,
  TwinDocument,
  TwinProperty,
  TwinTransition,
  TwinValue,
} from '@skerry/gen/skerry/edge/v1/twin';
import { type DeviceHead, type DeviceTwin, type Property, type PropertyChange, type Value, visible } from './types.js';
import { sameValue } from './value-type.js';

/** The answer to an update: only what changed, before and after, and all that still differs. */
export function changedMessage(twin: DeviceTwin, changes: readonly PropertyChange[]): TwinChanged {
  const changed: Record<string, TwinProperty> = {};
  const document: Record<string, TwinTransition> = {};
  for (const { name, last, next } of changes) {
    const [before, after] = [visible(last), visible(next)];
    changed[name] = after ? changedSides(before, after) : removedProperty(before);
    document[name] = { last: before && propertyMessage(before), current: after && propertyMessage(after) };
  }
  return { changed, document, delta: deltaMessage(twin) };
}

export function documentMessage(twin: DeviceTwin): TwinDocument {
  const twins: Record<string, TwinProperty> = {};
  for (const [name, property] of twin.properties) if (!property.removed) twins[name] = propertyMessage(property);
  return { twins };
}

/** Undefined when the device has obeyed everything. */
export function deltaMessage(twin: DeviceTwin): TwinDelta | undefined {
  const delta: Record<string, string> = {};
  for (const [name, property] of twin.properties) {
    if (property.expected && differs(property)) delta[name] = property.expected.value;
  }
  if (Object.keys(delta).length === 0) return undefined;
  const twins: Record<string, TwinProperty> = {};
  for (const [name, property] of twin.properties) if (property.expected) twins[name] = propertyMessage(property);
  return { twins, delta };
}

export function summaryMessage({ head }: DeviceTwin): DeviceSummary {
  const { namespace, name, description, state, lastOnlineTime } = head;
  return { id: { namespace, name }, description, state, lastOnlineTime };
}

/** A device that is gone, for whoever was told that it is there. */
export function removedSummary({ namespace, name, description }: DeviceHead): DeviceSummary {
  return { id: { namespace, name }, description, state: '', lastOnlineTime: '' };
}

function differs({ type, expected, actual }: Property): boolean {
  return expected !== undefined && (actual === undefined || !sameValue(type, expected.value, actual.value));
}

function propertyMessage({ expected, actual, optional, type }: Property): TwinProperty {
  return { expected: valueMessage(expected), actual: valueMessage(actual), optional, type, removed: false };
}

function changedSides(before: Property | undefined, after: Property): TwinProperty {
  const whole = propertyMessage(after);
  return {
    ...whole,
    expected: before?.expected === after.expected ? undefined : whole.expected,
    actual: before?.actual === after.actual ? undefined : whole.actual,
  };
}

function removedProperty(before: Property | undefined): TwinProperty {
  return {
    expected: undefined,
    actual: undefined,
    optional: before?.optional ?? true,
    type: before?.type ?? '',
    removed: true,
  };
}

function valueMessage(value: Value | undefined): TwinValue | undefined {
  return value && { value: value.value, timestampMs: BigInt(Math.trunc(value.timestampMs)) };
}
