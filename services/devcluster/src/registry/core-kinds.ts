// The behaviours of the smaller built-in kinds: nodes, namespaces, configuration, services, leases, events and classes.
import { configKey, dnsLabel, dnsSubdomain, qualifiedName, serviceName } from '../api/names.js';
import { equalJson, isObject, type JsonObject, type KubeObject, objectsAt, textAt } from '../api/objects.js';
import { type FieldError, forbidden } from '../api/status.js';
import { behaviour, keepField } from './behaviour.js';
import type { Behaviour, WriteContext } from './types.js';

const NOT_READY = 'node.kubernetes.io/not-ready';

export function nodeBehaviour(): Behaviour {
  return behaviour({
    prepareCreate: (node) => {
      node.spec ??= {};
      const { spec } = node;
      // A node takes no Pods before it was seen ready; the node lifecycle lifts this.
      const taints = objectsAt(spec, 'taints');
      if (!taints.some((taint) => taint['key'] === NOT_READY && taint['effect'] === 'NoSchedule')) {
        spec['taints'] = [...taints, { key: NOT_READY, effect: 'NoSchedule' }];
      }
    },
    prepareUpdate: (next, old) => keepField(next, old, 'status'),
    validate: (node) =>
      objectsAt(node.spec, 'taints').flatMap((taint, index) => {
        const field = `spec.taints[${index}]`;
        const key = textAt(taint, 'key');
        const wrong = key === '' ? 'name part must be non-empty' : qualifiedName(key);
        const errors: FieldError[] = wrong
          ? [{ type: 'invalid', field: `${field}.key`, value: key, detail: wrong }]
          : [];
        const effect = textAt(taint, 'effect');
        if (!['NoSchedule', 'PreferNoSchedule', 'NoExecute'].includes(effect)) {
          const detail = 'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"';
          errors.push({ type: 'unsupported', field: `${field}.effect`, value: effect, detail });
        }
        return errors;
      }),
  });
}

/** Namespaces that the system itself needs. */
const PERMANENT: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);

function labelWithName({ metadata }: KubeObject): void {
  metadata.labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name ?? '' };
}

/** `caCertificate` (PEM) is published in every namespace, as a cluster's root CA is. */
export function namespaceBehaviour(caCertificate: string): Behaviour {
  return behaviour({
    checkName: dnsLabel,
    returnsDeleted: true,
    prepareCreate: (next) => {
      labelWithName(next);
      next.spec = { finalizers: ['kubernetes'] };
      next.status = { phase: 'Active' };
    },
    afterCreate: (stored, context) => {
      const namespace = stored.key.name;
      const metadata = (name: string) => ({ name, namespace, uid: context.newUid(), creationTimestamp: context.now });
      context.tx.put({ collection: 'serviceaccounts', namespace, name: 'default' }, { metadata: metadata('default') });
      const name = 'kube-root-ca.crt';
      const config = { metadata: metadata(name), data: { 'ca.crt': caCertificate } };
      context.tx.put({ collection: 'configmaps', namespace, name }, config);
    },
    prepareUpdate: (next, old) => {
      labelWithName(next);
      keepField(next, old, 'spec');
      keepField(next, old, 'status');
    },
    prepareDelete: (next) => {
      const name = next.metadata.name ?? '';
      if (PERMANENT.has(name)) {
        throw forbidden({ group: '', resource: 'namespaces' }, name, 'this namespace may not be deleted');
      }
      next.status = { ...next.status, phase: 'Terminating' };
    },
  });
}

const MAX_DATA_BYTES = 1024 * 1024;

function validateData(object: KubeObject, fields: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  let bytes = 0;
  for (const field of fields) {
    const data = object[field];
    for (const [key, value] of Object.entries(isObject(data) ? data : {})) {
      const wrong = configKey(key);
      if (wrong !== undefined) errors.push({ type: 'invalid', field: `${field}[${key}]`, value: key, detail: wrong });
      if (seen.has(key))
        errors.push({
          type: 'invalid',
          field: `${field}[${key}]`,
          value: key,
          detail: 'duplicate of key present in data',
        });
      seen.add(key);
      bytes +=
        field === 'data' && object['type'] === undefined
          ? Buffer.byteLength(String(value))
          : (String(value).length * 3) / 4;
    }
  }
  if (bytes > MAX_DATA_BYTES)
    errors.push({ type: 'tooLong', field: '', detail: `may not be more than ${MAX_DATA_BYTES} bytes` });
  return errors;
}

function validateImmutable(next: KubeObject, old: KubeObject, fields: readonly string[]): FieldError[] {
  if (old['immutable'] !== true) return [];
  const detail = 'field is immutable when `immutable` is set';
  const errors: FieldError[] = [];
  if (next['immutable'] !== true) errors.push({ type: 'forbidden', field: 'immutable', detail });
  for (const field of fields)
    if (!equalJson(next[field], old[field])) errors.push({ type: 'forbidden', field, detail });
  return errors;
}

export function configMapBehaviour(): Behaviour {
  const fields = ['data', 'binaryData'];
  return behaviour({
    validate: (next) => validateData(next, fields),
    validateUpdate: (next, old) => validateImmutable(next, old, fields),
  });
}

const SECRET_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

function encodeStringData(secret: KubeObject): void {
  const { stringData } = secret;
  delete secret['stringData'];
  if (isObject(stringData)) {
    const encoded = Object.entries(stringData).map(([key, text]) => [
      key,
      Buffer.from(String(text)).toString('base64'),
    ]);
    secret['data'] = { ...(isObject(secret['data']) ? secret['data'] : {}), ...Object.fromEntries(encoded) };
  }
  secret['type'] ??= 'Opaque';
}

export function secretBehaviour(): Behaviour {
  return behaviour({
    prepareCreate: encodeStringData,
    prepareUpdate: encodeStringData,
    validate: (next) => {
      const data: JsonObject = isObject(next['data']) ? next['data'] : {};
      const missing = (SECRET_KEYS[textAt(next, 'type')] ?? []).filter((key) => !Object.hasOwn(data, key));
      return [
        ...validateData(next, ['data']),
        ...missing.map((key): FieldError => ({ type: 'required', field: `data[${key}]` })),
      ];
    },
    validateUpdate: (next, old) => {
      const errors = validateImmutable(next, old, ['data']);
      if (next['type'] !== old['type']) {
        errors.push({ type: 'invalid', field: 'type', value: next['type'], detail: 'field is immutable' });
      }
      return errors;
    },
  });
}

function defaultService(service: KubeObject): void {
  service.spec ??= {};
  const { spec } = service;
  spec['type'] ??= 'ClusterIP';
  spec['sessionAffinity'] ??= 'None';
  if (spec['type'] !== 'ExternalName') spec['internalTrafficPolicy'] ??= 'Cluster';
  for (const port of objectsAt(spec, 'ports')) {
    port['protocol'] ??= 'TCP';
    port['targetPort'] ??= port['port'];
  }
}

export function serviceBehaviour(): Behaviour {
  return behaviour({
    checkName: serviceName,
    returnsDeleted: true,
    prepareCreate: (next) => {
      defaultService(next);
      next.status = { loadBalancer: {} };
    },
    prepareUpdate: (next, old) => {
      defaultService(next);
      keepField(next, old, 'status');
    },
    validate: (next) => {
      const { type, clusterIP } = next.spec ?? {};
      const needsPorts = type !== 'ExternalName' && clusterIP !== 'None';
      const none = objectsAt(next.spec, 'ports').length === 0;
      return needsPorts && none ? [{ type: 'required', field: 'spec.ports' }] : [];
    },
  });
}

export function leaseBehaviour(): Behaviour {
  return behaviour({
    createOnUpdate: true,
    unconditionalUpdate: false,
    validate: (next) => {
      const seconds = next.spec?.['leaseDurationSeconds'];
      if (typeof seconds !== 'number' || seconds > 0) return [];
      return [
        { type: 'invalid', field: 'spec.leaseDurationSeconds', value: seconds, detail: 'must be greater than 0' },
      ];
    },
  });
}

export function eventBehaviour(): Behaviour {
  return behaviour({
    createOnUpdate: true,
    validate: (next) => {
      const involved = textAt(next, 'involvedObject', 'namespace');
      const { namespace } = next.metadata;
      const expected = involved === '' ? 'default' : involved;
      if (expected === namespace) return [];
      const detail = 'does not match event.namespace';
      return [{ type: 'invalid', field: 'involvedObject.namespace', value: involved, detail }];
    },
  });
}

export function serviceAccountBehaviour(): Behaviour {
  return behaviour({ checkName: dnsSubdomain, returnsDeleted: true });
}

export function runtimeClassBehaviour(): Behaviour {
  return behaviour({
    unconditionalUpdate: false,
    validate: (next) => {
      const handler = textAt(next, 'handler');
      const wrong = dnsLabel(handler);
      return wrong === undefined ? [] : [{ type: 'invalid', field: 'handler', value: handler, detail: wrong }];
    },
    validateUpdate: (next, old) =>
      next['handler'] === old['handler']
        ? []
        : [{ type: 'invalid', field: 'handler', value: next['handler'], detail: 'field is immutable' }],
  });
}

export function priorityClassBehaviour(): Behaviour {
  return behaviour({
    prepareCreate: (next: KubeObject, { tx }: WriteContext) => {
      next['preemptionPolicy'] ??= 'PreemptLowerPriority';
      const other = tx.list('priorityclasses.scheduling.k8s.io').find(({ object }) => object['globalDefault'] === true);
      if (next['globalDefault'] === true && other !== undefined) {
        const resource = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };
        const why = `PriorityClass ${other.key.name} is already marked as default. Only one default can exist`;
        throw forbidden(resource, next.metadata.name ?? '', why);
      }
    },
    validateUpdate: (next, old) =>
      next['value'] === old['value']
        ? []
        : [{ type: 'forbidden', field: 'value', detail: 'may not be changed in an update.' }],
  });
}
