// The shapes of devices.kubeedge.io/v1beta1 as they are on the wire. Field names and meanings are KubeEdge's, so that its device
// YAML stays valid; everything is optional where its schema requires nothing.
import type { KubeObject } from './object.js';

export interface TwinValue {
  value: string;
  /** By convention `timestamp` (Unix ms as text) and `type`. */
  metadata?: Record<string, string>;
}

export interface VisitorConfig {
  protocolName?: string;
  configData?: Record<string, unknown>;
}

export interface DeviceProperty {
  name: string;
  desired?: TwinValue;
  visitors?: VisitorConfig;
  /** Milliseconds between pushes to the push method. */
  reportCycle?: number;
  /** Milliseconds between twin reports to the edge core. */
  collectCycle?: number;
  reportToCloud?: boolean;
  pushMethod?: Record<string, unknown>;
  anomalyDetection?: Record<string, unknown>;
}

export interface DeviceMethod {
  name: string;
  description?: string;
  propertyNames?: string[];
}

export interface Device extends KubeObject {
  spec?: {
    deviceModelRef?: { name: string };
    /** The edge node that serves the device; empty = served by none. */
    nodeName?: string;
    protocol?: VisitorConfig;
    properties?: DeviceProperty[];
    methods?: DeviceMethod[];
    stateReport?: { reportToCloud?: boolean; reportCycle?: number };
  };
  status?: { reportToCloud?: boolean; reportCycle?: number };
}

export type PropertyType = 'INT' | 'FLOAT' | 'DOUBLE' | 'STRING' | 'BOOLEAN' | 'BYTES' | 'STREAM';

export interface ModelProperty {
  name: string;
  description?: string;
  type?: PropertyType;
  accessMode?: 'ReadWrite' | 'ReadOnly';
  minimum?: string;
  maximum?: string;
  unit?: string;
  visitors?: VisitorConfig;
}

export interface DeviceModel extends KubeObject {
  spec?: {
    protocol?: string;
    protocolConfigData?: Record<string, unknown>;
    properties?: ModelProperty[];
  };
}

export interface DeviceTwinStatus {
  propertyName: string;
  reported?: TwinValue;
  /** The desired value that the device's side says it saw. */
  observedDesired?: TwinValue;
}

/** One per Device, of the same namespace and name. It has no status subresource: patch the object itself. */
export interface DeviceStatus extends KubeObject {
  spec?: Record<string, never>;
  status?: {
    state?: string;
    /** RFC 3339. */
    lastOnlineTime?: string;
    twins?: DeviceTwinStatus[];
    extensions?: Record<string, unknown>;
  };
}
