// What is wrong with a Device, seen from the cloud: pure. None of it stops delivery; the user is told.
// Source of the rules: the types, access modes and ranges of devices.kubeedge.io/v1beta1 DeviceModels.
import type { Device, DeviceModel, DeviceProperty, ModelProperty } from '@skerry/common/kube/device-types';

export type DeviceSpec = NonNullable<Device['spec']>;
export type ModelSpec = NonNullable<DeviceModel['spec']>;

export interface Fault {
  /** A short CamelCase word, the Event's reason. */
  readonly reason: string;
  readonly message: string;
}

/** Where a single property is wrong. */
type PropertyFault = 'UnknownProperty' | 'ReadOnlyProperty' | 'ValueNotFitting' | 'ValueOutOfRange';

const EXPLAINED: Record<PropertyFault, string> = {
  UnknownProperty: 'properties that its model does not have',
  ReadOnlyProperty: 'desired values for properties that its model makes read-only',
  ValueNotFitting: 'desired values that do not fit the type in its model',
  ValueOutOfRange: 'desired values outside of the range in its model',
};
/** More are counted, not named. */
const MAX_NAMED = 10;
/** KubeEdge's built-in stream properties need no model. */
const BUILT_IN = new Set(['saveFrame', 'saveVideo']);

/** Every fault, one a reason. `model` is undefined when the Device's model does not exist. */
export function faultsOf(device: DeviceSpec, model: ModelSpec | undefined): Fault[] {
  const modelName = device.deviceModelRef?.name;
  if (!modelName)
    return [
      { reason: 'NoModel', message: 'spec.deviceModelRef.name is missing: name a DeviceModel of this namespace' },
    ];
  if (!model)
    return [{ reason: 'UnknownModel', message: `DeviceModel "${modelName}" does not exist in this namespace` }];
  const properties = new Map(model.properties?.map((property) => [property.name, property]));
  const found = new Map<PropertyFault, string[]>();
  for (const property of device.properties ?? []) {
    const fault = faultOf(property, properties.get(property.name));
    if (fault) found.set(fault, [...(found.get(fault) ?? []), property.name]);
  }
  return [...found].map(([reason, names]) => ({ reason, message: `has ${EXPLAINED[reason]}: ${listed(names)}` }));
}

function faultOf({ name, desired }: DeviceProperty, model: ModelProperty | undefined): PropertyFault | undefined {
  if (!model) return BUILT_IN.has(name) ? undefined : 'UnknownProperty';
  if (desired === undefined) return undefined;
  if (model.accessMode === 'ReadOnly') return 'ReadOnlyProperty';
  if (!fits(desired.value, model.type)) return 'ValueNotFitting';
  return inRange(desired.value, model) ? undefined : 'ValueOutOfRange';
}

const INTEGER = /^[+-]?\d+$/;
const BOOLEAN = /^(true|false|t|f|1|0)$/i;

function fits(value: string, type: ModelProperty['type']): boolean {
  switch (type) {
    case 'INT':
      return INTEGER.test(value);
    case 'FLOAT':
    case 'DOUBLE':
      return value.trim() !== '' && Number.isFinite(Number(value));
    case 'BOOLEAN':
      return BOOLEAN.test(value);
    default:
      return true; // texts, bytes and streams are whatever the mapper makes of them
  }
}

/** Bounds that are no numbers bound nothing; only numeric types have a range. */
function inRange(value: string, { type, minimum, maximum }: ModelProperty): boolean {
  if (type !== 'INT' && type !== 'FLOAT' && type !== 'DOUBLE') return true;
  const number = Number(value);
  const lowest = bound(minimum) ?? number;
  const highest = bound(maximum) ?? number;
  return number >= lowest && number <= highest;
}

function bound(text: string | undefined): number | undefined {
  const number = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isNaN(number) ? undefined : number;
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return names.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
