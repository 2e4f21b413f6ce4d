// Twins as texts of the durable store: one record for a device, one for each property, so that a reading writes little.
// Invariant: fromRecords(toRecords(twins)) equals twins. Records of a newer or unknown form are left out and counted, never guessed.
import type { Change } from '../store/durable-store.js';
import { bytesOf, type DeviceHead, type DeviceTwin, deviceId, type Property, type PropertyChange } from './types.js';
import { parseType } from './value-type.js';

const DEVICE = 'device/';
const PROPERTY = 'property/';
/** Raised when older software would misread a record. */
const FORM = 1;

export function headRecord(head: DeviceHead): Change {
  return { key: DEVICE + deviceId(head.namespace, head.name), value: JSON.stringify({ form: FORM, ...head }) };
}

export function propertyRecords(id: string, changes: readonly PropertyChange[]): Change[] {
  return changes.map(({ name, next }) => ({
    key: `${PROPERTY}${id}/${name}`,
    value: next && JSON.stringify({ form: FORM, ...next }),
  }));
}

/** What removes a device from the store. */
export function removalRecords(id: string, twin: DeviceTwin): Change[] {
  const properties = [...twin.properties].map(([name, last]) => ({ name, last, next: undefined }));
  return [{ key: DEVICE + id, value: undefined }, ...propertyRecords(id, properties)];
}

export interface Restored {
  readonly twins: Map<string, DeviceTwin>;
  /** Records that mean nothing: unknown forms, properties without their device. */
  readonly ignored: readonly string[];
}

export function fromRecords(entries: ReadonlyMap<string, string>): Restored {
  const twins = new Map<string, DeviceTwin>();
  const ignored: string[] = [];
  for (const [key, text] of entries) {
    if (!key.startsWith(DEVICE)) continue;
    const head = parseHead(text);
    if (head) twins.set(key.slice(DEVICE.length), { head, properties: new Map(), valueBytes: 0 });
    else ignored.push(key);
  }
  for (const [key, text] of entries) {
    if (key.startsWith(DEVICE)) continue;
    const { id, name } = splitPropertyKey(key);
    const twin = twins.get(id);
    const property = parseProperty(text);
    if (twin && property) {
      twin.properties.set(name, property);
      twin.valueBytes += bytesOf(property);
    } else ignored.push(key);
  }
  return { twins, ignored };
}

/** property/<namespace>/<device>/<name>; the name may hold slashes. */
function splitPropertyKey(key: string): { id: string; name: string } {
  const [, namespace = '', device = '', ...rest] = key.split('/');
  return { id: deviceId(namespace, device), name: rest.join('/') };
}

function parseHead(text: string): DeviceHead | undefined {
  const { form, ...head } = JSON.parse(text) as { form: number } & DeviceHead;
  return form === FORM ? head : undefined;
}

/** JSON leaves undefined sides out; the type is checked because everything else depends on it. */
function parseProperty(text: string): Property | undefined {
  const { form, ...property } = JSON.parse(text) as { form: number } & Property;
  if (form !== FORM || parseType(property.type) === undefined) return undefined;
  return { ...property, expected: property.expected, actual: property.actual };
}
