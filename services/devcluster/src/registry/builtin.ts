// The built-in resources: names, schema and behaviour of each, and the fields by which it can be selected.
import { type JsonObject, textAt } from '../api/objects.js';
import { BUILTIN, builtinSchema } from '../schema/builtin.js';
import { type FieldReader, METADATA_FIELDS } from '../selectors/fields.js';
import { BUILTIN_COLUMNS } from '../table/builtin-columns.js';
import { AGE, NAME } from '../table/columns.js';
import {
  configMapBehaviour,
  eventBehaviour,
  leaseBehaviour,
  namespaceBehaviour,
  nodeBehaviour,
  priorityClassBehaviour,
  runtimeClassBehaviour,
  secretBehaviour,
  serviceAccountBehaviour,
  serviceBehaviour,
} from './core-kinds.js';
import { crdBehaviour } from './crd.js';
import { podBehaviour } from './pods.js';
import { type Behaviour, collectionName, type ResourceType, type Subresource } from './types.js';

interface Entry {
  readonly kind: string;
  readonly plural: string;
  readonly behaviour: Behaviour;
  readonly group?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly cluster?: true;
  readonly status?: true;
  readonly subresources?: readonly Subresource[];
  readonly fields?: Readonly<Record<string, FieldReader>>;
}

const field =
  (...path: string[]): FieldReader =>
  (object) =>
    textAt(object, ...path);

const POD_SUBRESOURCES: readonly Subresource[] = [
  { name: 'binding', kind: 'Binding', group: '', version: 'v1', verbs: ['create'] },
  { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
];

const INVOLVED = ['apiVersion', 'fieldPath', 'kind', 'name', 'namespace', 'resourceVersion', 'uid'];

const ACCOUNT_SUBRESOURCES: readonly Subresource[] = [
  { name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
];

const EVENT_FIELDS: Readonly<Record<string, FieldReader>> = {
  ...Object.fromEntries(INVOLVED.map((name) => [`involvedObject.${name}`, field('involvedObject', name)])),
  reason: field('reason'),
  reportingComponent: (object) => textAt(object, 'reportingComponent') || textAt(object, 'source', 'component'),
  source: (object) => textAt(object, 'source', 'component') || textAt(object, 'reportingComponent'),
  type: field('type'),
};

const POD_FIELDS: Readonly<Record<string, FieldReader>> = {
  'spec.nodeName': field('spec', 'nodeName'),
  'spec.restartPolicy': field('spec', 'restartPolicy'),
  'spec.schedulerName': field('spec', 'schedulerName'),
  'spec.serviceAccountName': field('spec', 'serviceAccountName'),
  'spec.hostNetwork': (pod) => String((pod.spec as JsonObject | undefined)?.['hostNetwork'] === true),
  'status.phase': field('status', 'phase'),
  'status.podIP': field('status', 'podIP'),
  'status.nominatedNodeName': field('status', 'nominatedNodeName'),
};

function entries(caCertificate: string): readonly Entry[] {
  return [
    { kind: 'ConfigMap', plural: 'configmaps', behaviour: configMapBehaviour(), shortNames: ['cm'] },
    { kind: 'Event', plural: 'events', behaviour: eventBehaviour(), shortNames: ['ev'], fields: EVENT_FIELDS },
    {
      kind: 'Namespace',
      plural: 'namespaces',
      behaviour: namespaceBehaviour(caCertificate),
      shortNames: ['ns'],
      cluster: true,
      status: true,
      fields: { 'status.phase': field('status', 'phase') },
    },
    {
      kind: 'Node',
      plural: 'nodes',
      behaviour: nodeBehaviour(),
      shortNames: ['no'],
      cluster: true,
      status: true,
      fields: { 'spec.unschedulable': (node) => String(node.spec?.['unschedulable'] === true) },
    },
    {
      kind: 'Pod',
      plural: 'pods',
      behaviour: podBehaviour(),
      shortNames: ['po'],
      categories: ['all'],
      status: true,
      subresources: POD_SUBRESOURCES,
      fields: POD_FIELDS,
    },
    { kind: 'Secret', plural: 'secrets', behaviour: secretBehaviour(), fields: { type: field('type') } },
    {
      kind: 'ServiceAccount',
      plural: 'serviceaccounts',
      behaviour: serviceAccountBehaviour(),
      shortNames: ['sa'],
      subresources: ACCOUNT_SUBRESOURCES,
    },
    {
      kind: 'Service',
      plural: 'services',
      behaviour: serviceBehaviour(),
      shortNames: ['svc'],
      categories: ['all'],
      status: true,
      fields: { 'spec.clusterIP': field('spec', 'clusterIP'), 'spec.type': field('spec', 'type') },
    },
    { kind: 'Lease', plural: 'leases', group: 'coordination.k8s.io', behaviour: leaseBehaviour() },
    {
      kind: 'RuntimeClass',
      plural: 'runtimeclasses',
      group: 'node.k8s.io',
      behaviour: runtimeClassBehaviour(),
      cluster: true,
    },
    {
      kind: 'PriorityClass',
      plural: 'priorityclasses',
      group: 'scheduling.k8s.io',
      behaviour: priorityClassBehaviour(),
      shortNames: ['pc'],
      cluster: true,
    },
    {
      kind: 'CustomResourceDefinition',
      plural: 'customresourcedefinitions',
      group: 'apiextensions.k8s.io',
      behaviour: crdBehaviour(),
      shortNames: ['crd', 'crds'],
      categories: ['api-extensions'],
      cluster: true,
      status: true,
    },
  ];
}

/** `caCertificate` (PEM) is what clients trust; it is published in every namespace. */
export function builtinTypes(caCertificate: string): ResourceType[] {
  return entries(caCertificate).map((entry) => {
    const group = entry.group ?? '';
    return {
      group,
      version: 'v1',
      kind: entry.kind,
      listKind: `${entry.kind}List`,
      plural: entry.plural,
      singular: entry.kind.toLowerCase(),
      shortNames: entry.shortNames ?? [],
      categories: entry.categories ?? [],
      namespaced: entry.cluster !== true,
      collection: collectionName(group, entry.plural),
      schema: builtinSchema(entry.kind),
      definitions: BUILTIN,
      custom: false,
      hasStatus: entry.status === true,
      subresources: entry.subresources ?? [],
      fields: { ...METADATA_FIELDS, ...entry.fields },
      columns: BUILTIN_COLUMNS[entry.kind] ?? [NAME, AGE],
      behaviour: entry.behaviour,
      terminating: false,
    };
  });
}
