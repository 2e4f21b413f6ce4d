// Decides what a client's twin/update does. Pure: nothing is changed here.
// Invariants: an update is taken over whole or not at all; a client's write raises the edge version of the side it writes and never conflicts;
// the type of a live property is fixed.
import type { TwinPatch } from '@skerry/gen/skerry/edge/v1/twin';
import {
  bytesOf,
  type DeviceTwin,
  LIMITS,
  type Property,
  type PropertyChange,
  type Provenance,
  type Value,
} from './types.js';
import { fits, parseType, type ValueType } from './value-type.js';

/** Codes as KubeEdge numbers them; 413 is ours, for everything that exceeds a bound. */
export interface Refusal {
  readonly kind: 'refused';
  readonly code: 400 | 404 | 413 | 500;
  readonly reason: string;
}

export interface Acceptance {
  readonly kind: 'accepted';
  readonly changes: readonly PropertyChange[];
  /** Deleted properties that make room: clients do not see them go. */
  readonly forgotten: readonly PropertyChange[];
}

const KEY = /^[a-zA-Z0-9\-_.,:/@#]{1,128}$/;
/** A JavaScript object cannot carry it as a key, so generated protobuf code would lose it silently. */
const RESERVED_KEY = '__proto__';
const DELETED_TYPE = 'deleted';

export function decideUpdate(
  device: DeviceTwin,
  patches: ReadonlyMap<string, TwinPatch>,
  nowMs: number,
): Acceptance | Refusal {
  if (patches.size > LIMITS.propertiesPerDevice) return tooManyProperties(patches.size);
  const changes: PropertyChange[] = [];
  for (const [name, patch] of patches) {
    const change = decideProperty(device, name, patch, nowMs);
    if (change === undefined) continue;
    if ('kind' in change) return change;
    changes.push(change);
  }
  return withinBounds(device, changes);
}

function decideProperty(
  device: DeviceTwin,
  name: string,
  patch: TwinPatch,
  nowMs: number,
): PropertyChange | Refusal | undefined {
  const last = device.properties.get(name);
  if (!last && (!KEY.test(name) || name === RESERVED_KEY)) return badKey(name);
  const live = last && !last.removed;
  if (patch.remove || patch.type === DELETED_TYPE) {
    return live && last.optional ? { name, last, next: tombstone(last) } : undefined;
  }
  const base = live ? last : fresh(last, patch);
  if (base === undefined) return badType(name, patch.type ?? '');
  const wrong = checkValue(name, base.type, patch.expected) ?? checkValue(name, base.type, patch.actual);
  if (wrong) return wrong;
  const next = patched(base, patch, nowMs);
  return live && next === base ? undefined : { name, last, next };
}

function patched(base: Property, patch: TwinPatch, nowMs: number): Property {
  const { expected, actual } = patch;
  const fixed = patch.optional === false && base.optional;
  if (expected === undefined && actual === undefined && !fixed) return base;
  return {
    ...base,
    optional: base.optional && !fixed,
    ...(expected === undefined
      ? {}
      : { expected: newValue(expected, 'edge', nowMs), expectedVersion: raised(base.expectedVersion) }),
    ...(actual === undefined
      ? {}
      : { actual: newValue(actual, 'device', nowMs), actualVersion: raised(base.actualVersion) }),
  };
}

/** A property as a client creates it; undefined when it names an unknown type. One that the Device declares keeps its model's type. */
function fresh(deleted: Property | undefined, patch: TwinPatch): Property | undefined {
  const type = deleted?.declared ? deleted.type : parseType(patch.type ?? '');
  if (type === undefined) return undefined;
  const none = { cloud: 0, edge: 0 };
  return {
    type,
    optional: patch.optional ?? true,
    declared: deleted?.declared ?? false,
    removed: false,
    reported: deleted?.reported ?? false,
    expected: undefined,
    actual: undefined,
    expectedVersion: deleted?.expectedVersion ?? none,
    actualVersion: deleted?.actualVersion ?? none,
    desiredHash: deleted?.desiredHash ?? '',
  };
}

function tombstone(property: Property): Property {
  return {
    ...property,
    removed: true,
    expected: undefined,
    actual: undefined,
    expectedVersion: raised(property.expectedVersion),
    actualVersion: raised(property.actualVersion),
  };
}

function withinBounds(device: DeviceTwin, changes: readonly PropertyChange[]): Acceptance | Refusal {
  const bytes = changes.reduce((sum, { last, next }) => sum + bytesOf(next) - bytesOf(last), device.valueBytes);
  if (bytes > LIMITS.deviceBytes) {
    return refused(413, `the device's values would take ${bytes} bytes: at most ${LIMITS.deviceBytes}`);
  }
  const added = changes.filter(({ last }) => last === undefined).length;
  const excess = device.properties.size + added - LIMITS.propertiesPerDevice;
  const forgotten = excess > 0 ? oldestTombstones(device, changes, excess) : [];
  if (excess > forgotten.length) return tooManyProperties(device.properties.size + added);
  return { kind: 'accepted', changes, forgotten };
}

function oldestTombstones(device: DeviceTwin, changes: readonly PropertyChange[], wanted: number): PropertyChange[] {
  const touched = new Set(changes.map(({ name }) => name));
  const found: PropertyChange[] = [];
  for (const [name, last] of device.properties) {
    if (found.length === wanted) break;
    if (last.removed && !last.declared && !touched.has(name)) found.push({ name, last, next: undefined });
  }
  return found;
}

function checkValue(name: string, type: ValueType, value: string | undefined): Refusal | undefined {
  if (value === undefined) return undefined;
  const bytes = Buffer.byteLength(value);
  if (bytes > LIMITS.valueBytes) {
    return refused(413, `the value of "${name}" has ${bytes} bytes: at most ${LIMITS.valueBytes}`);
  }
  return fits(type, value) ? undefined : refused(400, `the value of "${name}" is not of type ${type}`);
}

const newValue = (value: string, provenance: Provenance, timestampMs: number): Value => ({
  value,
  provenance,
  timestampMs,
});
const raised = ({ cloud, edge }: Property['actualVersion']): Property['actualVersion'] => ({ cloud, edge: edge + 1 });

const refused = (code: Refusal['code'], reason: string): Refusal => ({ kind: 'refused', code, reason });
const badKey = (name: string): Refusal =>
  refused(
    400,
    `"${name.slice(0, 140)}" is not a property name: 1 to 128 of a-z A-Z 0-9 - _ . , : / @ #, and not ${RESERVED_KEY}`,
  );
const badType = (name: string, type: string): Refusal =>
  refused(
    400,
    `type "${type.slice(0, 40)}" of "${name}" is none of string, int, integer, float, double, boolean, bytes`,
  );
const tooManyProperties = (count: number): Refusal =>
  refused(413, `${count} properties: at most ${LIMITS.propertiesPerDevice} in one device`);
