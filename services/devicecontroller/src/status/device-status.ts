// What an edge reports of a Device, and what becomes of the DeviceStatus. Pure.
// Invariants: values of properties that the Device does not have are not taken; what a report does not speak of stays as it was.
import { isJsonObject, type JsonObject, objectMember, parseJsonObject } from '@skerry/common/controller/json';
import { SkerryError } from '@skerry/common/errors';
import type { DeviceStatus, DeviceTwinStatus, TwinValue } from '@skerry/common/kube/device-types';

export type StatusFields = NonNullable<DeviceStatus['status']>;

const WHAT = 'the device status';

/** Throws `invalid_argument` for what is no report. */
export function parseDeviceReport(payload: Uint8Array): StatusFields {
  const status = objectMember(parseJsonObject(payload, WHAT), 'status', WHAT);
  const twins = status['twins'] ?? [];
  if (!Array.isArray(twins)) throw new SkerryError('invalid_argument', `${WHAT}: twins is not a list`);
  return {
    ...textMember(status, 'state'),
    ...textMember(status, 'lastOnlineTime'),
    twins: twins.map(parseTwin),
  };
}

function textMember<K extends 'state' | 'lastOnlineTime'>(object: JsonObject, name: K): Partial<Record<K, string>> {
  const value = object[name];
  return typeof value === 'string' && value !== '' ? ({ [name]: value } as Partial<Record<K, string>>) : {};
}

function parseTwin(twin: unknown): DeviceTwinStatus {
  if (!isJsonObject(twin) || typeof twin['propertyName'] !== 'string')
    throw new SkerryError('invalid_argument', `${WHAT} has a twin without propertyName`);
  const reported = parseValue(twin['reported']);
  const observedDesired = parseValue(twin['observedDesired']);
  return {
    propertyName: twin['propertyName'],
    ...(reported && { reported }),
    ...(observedDesired && { observedDesired }),
  };
}

function parseValue(value: unknown): TwinValue | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value) || typeof value['value'] !== 'string')
    throw new SkerryError('invalid_argument', `${WHAT} has a value that is not text`);
  const metadata = objectMember(value, 'metadata', WHAT);
  const texts = Object.entries(metadata).map(([name, member]) => [name, String(member)] as const);
  return { value: value['value'], ...(texts.length > 0 && { metadata: Object.fromEntries(texts) }) };
}

/** The report on top of what was known, cut down to the Device's properties, in their order. */
export function mergeDeviceStatus(
  known: StatusFields,
  report: StatusFields,
  properties: ReadonlySet<string>,
): StatusFields {
  const before = byName(known.twins);
  const now = byName(report.twins);
  const twins = [...properties].flatMap((name) => {
    const twin = { ...before.get(name), ...now.get(name) };
    return before.has(name) || now.has(name) ? [{ ...twin, propertyName: name }] : [];
  });
  const state = report.state ?? known.state;
  const lastOnlineTime = report.lastOnlineTime ?? known.lastOnlineTime;
  return { ...(state !== undefined && { state }), ...(lastOnlineTime !== undefined && { lastOnlineTime }), twins };
}

function byName(twins: readonly DeviceTwinStatus[] = []): Map<string, DeviceTwinStatus> {
  return new Map(twins.map((twin) => [twin.propertyName, twin]));
}

/** How many twins of a report are of properties that the Device does not have. */
export function foreignTwins(report: StatusFields, properties: ReadonlySet<string>): number {
  return (report.twins ?? []).filter((twin) => !properties.has(twin.propertyName)).length;
}
