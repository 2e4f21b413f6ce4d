// Which resources Skerry speaks of, where the API server keeps them, and their types as JSON on the wire.
// Invariant: descriptors are constants; their plurals are the bounded label set of the request counters.
import type {
  AuthenticationV1TokenRequest,
  CoreV1Event,
  V1ConfigMap,
  V1Lease,
  V1Namespace,
  V1Node,
  V1Pod,
  V1Secret,
  V1ServiceAccount,
} from '@kubernetes/client-node';
import type { Device, DeviceModel, DeviceStatus } from './device-types.js';
import type { KubeObject, ObjectMeta, Wire } from './object.js';

type WireObject<T> = Omit<Wire<T>, 'metadata'> & { metadata?: ObjectMeta };

export type Pod = WireObject<V1Pod>;
export type Node = WireObject<V1Node>;
export type ConfigMap = WireObject<V1ConfigMap>;
export type Secret = WireObject<V1Secret>;
export type KubeEvent = WireObject<CoreV1Event>;
export type Lease = WireObject<V1Lease>;
export type Namespace = WireObject<V1Namespace>;
export type ServiceAccount = WireObject<V1ServiceAccount>;
export type TokenRequest = WireObject<AuthenticationV1TokenRequest>;

/** Where objects of type T live. `T` is only for the compiler. */
export interface Resource<T extends KubeObject> {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly objectType?: T;
}

export const PODS: Resource<Pod> = core('Pod', 'pods', true);
export const NODES: Resource<Node> = core('Node', 'nodes', false);
export const CONFIG_MAPS: Resource<ConfigMap> = core('ConfigMap', 'configmaps', true);
export const SECRETS: Resource<Secret> = core('Secret', 'secrets', true);
export const EVENTS: Resource<KubeEvent> = core('Event', 'events', true);
export const NAMESPACES: Resource<Namespace> = core('Namespace', 'namespaces', false);
export const SERVICE_ACCOUNTS: Resource<ServiceAccount> = core('ServiceAccount', 'serviceaccounts', true);
export const LEASES: Resource<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};
export const DEVICES: Resource<Device> = device('Device', 'devices');
export const DEVICE_MODELS: Resource<DeviceModel> = device('DeviceModel', 'devicemodels');
export const DEVICE_STATUSES: Resource<DeviceStatus> = device('DeviceStatus', 'devicestatuses');

function core(kind: string, plural: string, namespaced: boolean) {
  return { group: '', version: 'v1', kind, plural, namespaced };
}

function device(kind: string, plural: string) {
  return { group: 'devices.kubeedge.io', version: 'v1beta1', kind, plural, namespaced: true };
}

/** `v1` or `<group>/<version>`, as in an object's apiVersion. */
export function apiVersionOf(resource: Resource<KubeObject>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}
