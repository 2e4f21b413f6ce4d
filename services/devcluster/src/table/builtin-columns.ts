// The columns of the built-in kinds, as kubectl's users know them. Kinds that are not named have Name and Age.
import { isObject, type KubeObject, listAt, objectsAt, showValue, textAt } from '../api/objects.js';
import { AGE, ageOf, column, NAME, type TableColumn } from './columns.js';
import { POD_COLUMNS } from './pod-columns.js';

const wide = { priority: 1 };
const NONE = '<none>';
const UNKNOWN = '<unknown>';
const ROLE_LABEL = 'node-role.kubernetes.io/';

function nodeStatus(node: KubeObject): string {
  const ready = objectsAt(node.status, 'conditions').find((condition) => condition['type'] === 'Ready');
  const status = ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady';
  return node.spec?.['unschedulable'] === true ? `${status},SchedulingDisabled` : status;
}

function nodeRoles(node: KubeObject): string {
  const labels = Object.entries(node.metadata.labels ?? {});
  const roles = labels.flatMap(([key, value]) => {
    if (key.startsWith(ROLE_LABEL) && key.length > ROLE_LABEL.length) return [key.slice(ROLE_LABEL.length)];
    return key === 'kubernetes.io/role' && value !== '' ? [value] : [];
  });
  return [...new Set(roles)].sort().join(',') || NONE;
}

const nodeAddress =
  (type: string) =>
  (node: KubeObject): string =>
    textAt(
      objectsAt(node.status, 'addresses').find((address) => address['type'] === type),
      'address',
    ) || NONE;

const nodeInfo =
  (field: string) =>
  (node: KubeObject): string =>
    textAt(node.status, 'nodeInfo', field) || UNKNOWN;

function countKeys(object: KubeObject, fields: readonly string[]): number {
  return fields.reduce((sum, field) => {
    const data = object[field];
    return sum + (isObject(data) ? Object.keys(data).length : 0);
  }, 0);
}

function lastSeen(event: KubeObject, nowMs: number): string {
  const first = textAt(event, 'firstTimestamp') || textAt(event, 'eventTime');
  const last = textAt(event, 'series', 'lastObservedTime') || textAt(event, 'lastTimestamp') || first;
  const count = Number(event['count'] ?? 1);
  const age = ageOf(last, nowMs);
  return count > 1 ? `${age} (x${count} over ${ageOf(first, nowMs)})` : age;
}

function involved(event: KubeObject): string {
  return `${textAt(event, 'involvedObject', 'kind').toLowerCase()}/${textAt(event, 'involvedObject', 'name')}`;
}

function eventSource(event: KubeObject): string {
  const component = textAt(event, 'source', 'component') || textAt(event, 'reportingComponent');
  const host = textAt(event, 'source', 'host');
  return host === '' ? component : `${component}, ${host}`;
}

function ports(service: KubeObject): string {
  const texts = objectsAt(service.spec, 'ports').map((port) => {
    const node = port['nodePort'] === undefined ? '' : `:${showValue(port['nodePort'])}`;
    return `${showValue(port['port'])}${node}/${showValue(port['protocol'])}`;
  });
  return texts.join(',') || NONE;
}

function selector(service: KubeObject): string {
  const labels = service.spec?.['selector'];
  const pairs = Object.entries(isObject(labels) ? labels : {}).map(([key, value]) => `${key}=${String(value)}`);
  return pairs.join(',') || NONE;
}

export const BUILTIN_COLUMNS: Readonly<Record<string, readonly TableColumn[]>> = {
  Pod: POD_COLUMNS,
  Node: [
    NAME,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    AGE,
    column('Version', (node) => textAt(node.status, 'nodeInfo', 'kubeletVersion')),
    column('Internal-IP', nodeAddress('InternalIP'), wide),
    column('External-IP', nodeAddress('ExternalIP'), wide),
    column('OS-Image', nodeInfo('osImage'), wide),
    column('Kernel-Version', nodeInfo('kernelVersion'), wide),
    column('Container-Runtime', nodeInfo('containerRuntimeVersion'), wide),
  ],
  Namespace: [NAME, column('Status', (namespace) => textAt(namespace.status, 'phase')), AGE],
  ConfigMap: [NAME, column('Data', (config) => String(countKeys(config, ['data', 'binaryData']))), AGE],
  Secret: [
    NAME,
    column('Type', (secret) => textAt(secret, 'type')),
    column('Data', (secret) => String(countKeys(secret, ['data']))),
    AGE,
  ],
  ServiceAccount: [NAME, column('Secrets', (account) => String(listAt(account, 'secrets').length)), AGE],
  Service: [
    NAME,
    column('Type', (service) => textAt(service.spec, 'type')),
    column('Cluster-IP', (service) => textAt(service.spec, 'clusterIP') || NONE),
    column(
      'External-IP',
      (service) => listAt(service.spec, 'externalIPs').join(',') || textAt(service.spec, 'externalName') || NONE,
    ),
    column('Port(s)', ports),
    AGE,
    column('Selector', selector, wide),
  ],
  Event: [
    column('Last Seen', lastSeen),
    column('Type', (event) => textAt(event, 'type')),
    column('Reason', (event) => textAt(event, 'reason')),
    column('Object', involved),
    column('Subobject', (event) => textAt(event, 'involvedObject', 'fieldPath'), wide),
    column('Source', eventSource, wide),
    column('Message', (event) => textAt(event, 'message').trim()),
    column(
      'First Seen',
      (event, nowMs) => ageOf(textAt(event, 'firstTimestamp') || textAt(event, 'eventTime'), nowMs),
      wide,
    ),
    column('Count', (event) => Number(event['count'] ?? 1), { ...wide, type: 'integer' }),
    column('Name', (event) => event.metadata.name ?? '', { ...wide, format: 'name' }),
  ],
  Lease: [NAME, column('Holder', (lease) => textAt(lease.spec, 'holderIdentity')), AGE],
  RuntimeClass: [NAME, column('Handler', (runtimeClass) => textAt(runtimeClass, 'handler')), AGE],
  PriorityClass: [
    NAME,
    column('Value', (priority) => Number(priority['value'] ?? 0), { type: 'integer' }),
    column('Global-Default', (priority) => priority['globalDefault'] === true, { type: 'boolean' }),
    AGE,
    column('PreemptionPolicy', (priority) => textAt(priority, 'preemptionPolicy'), wide),
  ],
  CustomResourceDefinition: [
    NAME,
    column('Created At', (crd) => crd.metadata.creationTimestamp ?? '', { type: 'date', format: 'date-time' }),
  ],
};
