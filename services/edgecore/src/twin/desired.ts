// Decides what a Device object from the cloud does to its twin. Pure: nothing is changed here.
// Invariants: properties of the spec exist in the twin, those that left the spec do not; a desired value becomes `expected` when it is new or
// differs from the one taken over last, so that what a client wrote since stays until the cloud changes its mind; a desired value that cannot
// be obeyed is a fault and changes nothing.
import type { Device, DeviceModel, DeviceProperty, ModelProperty } from '@skerry/common/kube/device-types';
import { contentHash } from '@skerry/common/version';
import { bytesOf, type DeviceHead, type DeviceTwin, LIMITS, type Property, type PropertyChange } from './types.js';
import { fits, isNumeric, typeOfModel, type ValueType } from './value-type.js';

export interface DesiredDecision {
  readonly head: DeviceHead;
  readonly changes: readonly PropertyChange[];
  /** What of the Device cannot be obeyed, for people. */
  readonly faults: readonly string[];
}

const NO_PROPERTIES: ReadonlyMap<string, Property> = new Map();
const UNVERSIONED = { cloud: 0, edge: 0 };

/**
 * @param twin undefined for a device that the node does not know yet
 * @param model undefined when the cloud has none of that name: properties keep their type, new ones are strings
 */
export function decideDesired(
  twin: DeviceTwin | undefined,
  device: Device,
  model: DeviceModel | undefined,
  nowMs: number,
): DesiredDecision {
  const head = headOf(twin, device);
  // Another UID is another device: nothing of its predecessor counts.
  const same = twin?.head.uid === head.uid;
  const known = same ? twin.properties : NO_PROPERTIES;
  const models = new Map(model?.spec?.properties?.map((property) => [property.name, property]));
  const faults: string[] = [];
  const changes = same || !twin ? [] : removals(twin.properties, () => true);
  const declared = declaredProperties(device, faults);
  let budget = LIMITS.deviceBytes - [...known.values()].reduce((sum, property) => sum + bytesOf(property), 0);
  for (const [name, property] of declared) {
    const last = known.get(name);
    const decided = decideProperty({
      property,
      model: models.get(name),
      last,
      generation: head.generation,
      nowMs,
      budget,
    });
    if (decided.fault) faults.push(`property "${name}": ${decided.fault}`);
    if (decided.next === last) continue;
    budget -= bytesOf(decided.next) - bytesOf(last);
    changes.push({ name, last, next: decided.next });
  }
  changes.push(...removals(known, (name, property) => property.declared && !declared.has(name)));
  return { head, changes, faults };
}

function headOf(twin: DeviceTwin | undefined, { metadata }: Device): DeviceHead {
  const uid = metadata?.uid ?? '';
  const kept = twin?.head.uid === uid ? twin.head : undefined;
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    uid,
    generation: metadata?.generation ?? 0,
    description: metadata?.labels?.['description'] ?? '',
    state: kept?.state ?? '',
    lastOnlineTime: kept?.lastOnlineTime ?? '',
  };
}

/** The first LIMITS.propertiesPerDevice properties of the spec by name. */
function declaredProperties(device: Device, faults: string[]): Map<string, DeviceProperty> {
  const declared = new Map<string, DeviceProperty>();
  for (const property of device.spec?.properties ?? []) {
    if (typeof property.name !== 'string' || property.name === '__proto__') {
      faults.push(`property name "${property.name}" cannot be used`);
    } else if (declared.size < LIMITS.propertiesPerDevice) declared.set(property.name, property);
    else {
      faults.push(`more than ${LIMITS.propertiesPerDevice} properties: the others are left out`);
      break;
    }
  }
  return declared;
}

interface PropertyInput {
  readonly property: DeviceProperty;
  readonly model: ModelProperty | undefined;
  readonly last: Property | undefined;
  readonly generation: number;
  readonly nowMs: number;
  readonly budget: number;
}

function decideProperty(input: PropertyInput): { next: Property; fault: string | undefined } {
  const base = declare(input);
  const { desired } = input.property;
  if (!desired) return { next: base.desiredHash === '' ? base : withoutDesired(base), fault: undefined };
  const desiredHash = contentHash(desired);
  if (desiredHash === base.desiredHash) return { next: base, fault: undefined };
  const fault = faultOf(desired.value, base, input);
  if (fault !== undefined) return { next: base, fault };
  const next: Property = {
    ...base,
    removed: false,
    expected: { value: desired.value, timestampMs: input.nowMs, provenance: 'cloud' },
    expectedVersion: { ...base.expectedVersion, cloud: input.generation },
    desiredHash,
  };
  return { next, fault: undefined };
}

/** The property as the spec and the model declare it, its values kept where they fit. The same object when nothing changes. */
function declare({ property, model, last }: PropertyInput): Property {
  const type = (model?.type && typeOfModel(model.type)) ?? last?.type ?? 'string';
  const reported = property.reportToCloud !== false;
  if (!last) return created(type, reported);
  if (last.declared && last.type === type && last.reported === reported) return last;
  const expectedFits = last.expected === undefined || fits(type, last.expected.value);
  const actualFits = last.actual === undefined || fits(type, last.actual.value);
  return {
    ...last,
    type,
    reported,
    declared: true,
    // Made by a client and deleted by it, then declared: it is there again.
    removed: last.removed && last.declared,
    expected: expectedFits ? last.expected : undefined,
    actual: actualFits ? last.actual : undefined,
    desiredHash: expectedFits ? last.desiredHash : '',
  };
}

function created(type: ValueType, reported: boolean): Property {
  return {
    type,
    optional: true,
    declared: true,
    removed: false,
    reported,
    expected: undefined,
    actual: undefined,
    expectedVersion: UNVERSIONED,
    actualVersion: UNVERSIONED,
    desiredHash: '',
  };
}

/** The cloud no longer desires a value: its own goes, a client's stays. */
function withoutDesired(property: Property): Property {
  const expected = property.expected?.provenance === 'cloud' ? undefined : property.expected;
  return { ...property, expected, desiredHash: '' };
}

function faultOf(value: string, base: Property, { model, budget }: PropertyInput): string | undefined {
  if (typeof value !== 'string') return 'the desired value is not a text';
  const bytes = Buffer.byteLength(value);
  if (bytes > LIMITS.valueBytes) return `the desired value has ${bytes} bytes: at most ${LIMITS.valueBytes}`;
  if (bytes > budget) return `the device's values would exceed ${LIMITS.deviceBytes} bytes`;
  if (model?.accessMode === 'ReadOnly') return 'a desired value, but the model says ReadOnly';
  if (!fits(base.type, value)) return `the desired value is not of type ${base.type}`;
  return isNumeric(base.type) ? rangeFault(Number(value), model) : undefined;
}

function rangeFault(value: number, model: ModelProperty | undefined): string | undefined {
  const minimum = boundOf(model?.minimum);
  const maximum = boundOf(model?.maximum);
  if (minimum !== undefined && value < minimum) return `the desired value is below the model's minimum ${minimum}`;
  if (maximum !== undefined && value > maximum) return `the desired value is above the model's maximum ${maximum}`;
  return undefined;
}

function boundOf(text: string | undefined): number | undefined {
  return text !== undefined && text !== '' && fits('double', text) ? Number(text) : undefined;
}

function removals(
  known: ReadonlyMap<string, Property>,
  goes: (name: string, property: Property) => boolean,
): PropertyChange[] {
  return [...known]
    .filter(([name, property]) => goes(name, property))
    .map(([name, last]) => ({ name, last, next: undefined }));
}
