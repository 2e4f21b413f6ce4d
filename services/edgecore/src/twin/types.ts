// What a device twin is. Properties and values never change in place: a change makes a new one, so that before and after can be compared.
import type { ValueType } from './value-type.js';

/** Who wrote a value: the Device object in the cloud, an application on the node (MQTT `expected`), or the device itself (`actual`). */
export type Provenance = 'cloud' | 'edge' | 'device';

export interface Value {
  readonly value: string;
  /** Unix milliseconds, the node's clock when the value was accepted. */
  readonly timestampMs: number;
  readonly provenance: Provenance;
}

/** Of one side of a property. `cloud` is the Device's generation of the last desired value taken over, `edge` counts writes on the node. */
export interface Version {
  readonly cloud: number;
  readonly edge: number;
}

export interface Property {
  readonly type: ValueType;
  /** May be deleted by a client. Goes from true to false, never back. */
  readonly optional: boolean;
  /** Named in the Device's spec; the others were made by clients and stay on the node. */
  readonly declared: boolean;
  /** Deleted by a client: hidden, kept for its versions. */
  readonly removed: boolean;
  /** False when the Device says reportToCloud: false. */
  readonly reported: boolean;
  readonly expected: Value | undefined;
  readonly actual: Value | undefined;
  readonly expectedVersion: Version;
  readonly actualVersion: Version;
  /** Hash of the cloud's desired value that was taken over last; empty when there is none. */
  readonly desiredHash: string;
}

/** A device without its properties. */
export interface DeviceHead {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly description: string;
  /** As the client reported it, lower case; empty when it never did. */
  readonly state: string;
  /** RFC 3339; empty when the device is not online. */
  readonly lastOnlineTime: string;
}

/** The only mutable part: devices.ts applies changes to it after they were decided. */
export interface DeviceTwin {
  head: DeviceHead;
  readonly properties: Map<string, Property>;
  /** Bytes of all values, for the bound. */
  valueBytes: number;
}

/** One property before and after; undefined = not there. */
export interface PropertyChange {
  readonly name: string;
  readonly last: Property | undefined;
  readonly next: Property | undefined;
}

/** Bounds of one node's twins. What exceeds them is refused with 413 and counted. */
export const LIMITS = {
  devices: 1_000,
  propertiesPerDevice: 1_000,
  /** UTF-8 bytes of one value. */
  valueBytes: 32 * 1024,
  /** UTF-8 bytes of all values of one device: keeps every answer about it within a gRPC message of 4 MiB. */
  deviceBytes: 512 * 1024,
  /** Requests of one stream that are being worked on; the stream is not read meanwhile. */
  requestsInFlight: 2_048,
} as const;

export function deviceId(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

export function bytesOf(property: Property | undefined): number {
  if (!property) return 0;
  return Buffer.byteLength(property.expected?.value ?? '') + Buffer.byteLength(property.actual?.value ?? '');
}

/** What clients see: undefined for a property that was deleted. */
export function visible(property: Property | undefined): Property | undefined {
  return property?.removed ? undefined : property;
}
