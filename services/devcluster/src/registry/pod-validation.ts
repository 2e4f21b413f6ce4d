// Validation of Pods: the rules of Kubernetes that our users can run into, in its words.
import { dnsLabel, dnsSubdomain, type NameCheck, qualifiedName } from '../api/names.js';
import {
  at,
  cloneJson,
  equalJson,
  isObject,
  type JsonObject,
  type KubeObject,
  objectsAt,
  own,
  showValue,
  textAt,
  without,
} from '../api/objects.js';
import { parseMilli } from '../api/quantity.js';
import type { FieldError } from '../api/status.js';

export function validatePod(pod: KubeObject): FieldError[] {
  const spec = pod.spec ?? {};
  const volumes = objectsAt(spec, 'volumes');
  const errors: FieldError[] = [...validateVolumes(volumes)];
  if (objectsAt(spec, 'containers').length === 0) errors.push({ type: 'required', field: 'spec.containers' });
  errors.push(
    ...validateContainers(
      spec,
      volumes.map((volume) => textAt(volume, 'name')),
    ),
  );
  errors.push(...oneOf(spec, 'restartPolicy', ['Always', 'OnFailure', 'Never'], 'spec'));
  errors.push(...oneOf(spec, 'dnsPolicy', ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'], 'spec'));
  errors.push(...notNegative(spec, 'terminationGracePeriodSeconds', 'spec'));
  const deadline = spec['activeDeadlineSeconds'];
  if (typeof deadline === 'number' && deadline < 1) {
    errors.push({
      type: 'invalid',
      field: 'spec.activeDeadlineSeconds',
      value: deadline,
      detail: 'must be between 1 and 2147483647, inclusive',
    });
  }
  if (spec['hostNetwork'] !== true && spec['hostPID'] === true && spec['shareProcessNamespace'] === true) {
    errors.push({
      type: 'invalid',
      field: 'spec.shareProcessNamespace',
      value: true,
      detail: 'ShareProcessNamespace and HostPID cannot both be enabled',
    });
  }
  errors.push(...checkText(spec, 'nodeName', dnsSubdomain, 'spec'));
  errors.push(...checkText(spec, 'serviceAccountName', dnsSubdomain, 'spec'));
  errors.push(...checkText(spec, 'hostname', dnsLabel, 'spec'));
  errors.push(...checkText(spec, 'subdomain', dnsLabel, 'spec'));
  errors.push(...validateTolerations(objectsAt(spec, 'tolerations')));
  return errors;
}

function checkText(object: JsonObject, field: string, check: NameCheck, path: string): FieldError[] {
  const value = textAt(object, field);
  const wrong = value === '' ? undefined : check(value);
  return wrong === undefined ? [] : [{ type: 'invalid', field: `${path}.${field}`, value, detail: wrong }];
}

function oneOf(object: JsonObject, field: string, allowed: readonly string[], path: string): FieldError[] {
  const value = object[field];
  if (value === undefined || allowed.includes(showValue(value))) return [];
  const detail = `supported values: ${allowed.map((item) => `"${item}"`).join(', ')}`;
  return [{ type: 'unsupported', field: `${path}.${field}`, value, detail }];
}

function notNegative(object: JsonObject, field: string, path: string): FieldError[] {
  const value = object[field];
  if (typeof value !== 'number' || value >= 0) return [];
  return [{ type: 'invalid', field: `${path}.${field}`, value, detail: 'must be greater than or equal to 0' }];
}

function validateVolumes(volumes: readonly JsonObject[]): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  volumes.forEach((volume, index) => {
    const path = `spec.volumes[${index}]`;
    const name = textAt(volume, 'name');
    errors.push(...requiredName(name, `${path}.name`));
    if (names.has(name)) errors.push({ type: 'duplicate', field: `${path}.name`, value: name });
    names.add(name);
    const sources = Object.keys(volume).filter((key) => key !== 'name');
    if (sources.length === 0) errors.push({ type: 'required', field: path, detail: 'must specify a volume type' });
    for (const extra of sources.slice(1)) {
      errors.push({ type: 'forbidden', field: `${path}.${extra}`, detail: 'may not specify more than 1 volume type' });
    }
    if (isObject(volume['hostPath']) && textAt(volume, 'hostPath', 'path') === '') {
      errors.push({ type: 'required', field: `${path}.hostPath.path` });
    }
    if (isObject(volume['configMap']) && textAt(volume, 'configMap', 'name') === '') {
      errors.push({ type: 'required', field: `${path}.configMap.name` });
    }
    if (isObject(volume['secret']) && textAt(volume, 'secret', 'secretName') === '') {
      errors.push({ type: 'required', field: `${path}.secret.secretName` });
    }
  });
  return errors;
}

function requiredName(name: string, field: string): FieldError[] {
  if (name === '') return [{ type: 'required', field }];
  const wrong = dnsLabel(name);
  return wrong === undefined ? [] : [{ type: 'invalid', field, value: name, detail: wrong }];
}

function validateContainers(spec: JsonObject, volumes: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const field of ['initContainers', 'containers', 'ephemeralContainers']) {
    objectsAt(spec, field).forEach((container, index) => {
      const path = `spec.${field}[${index}]`;
      const name = textAt(container, 'name');
      errors.push(...requiredName(name, `${path}.name`));
      if (names.has(name)) errors.push({ type: 'duplicate', field: `${path}.name`, value: name });
      names.add(name);
      errors.push(...validateContainer(container, path, volumes));
    });
  }
  return errors;
}

function validateContainer(container: JsonObject, path: string, volumes: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const image = textAt(container, 'image');
  if (image === '') errors.push({ type: 'required', field: `${path}.image` });
  else if (image !== image.trim()) {
    errors.push({
      type: 'invalid',
      field: `${path}.image`,
      value: image,
      detail: 'must not have leading or trailing whitespace',
    });
  }
  errors.push(...oneOf(container, 'imagePullPolicy', ['Always', 'IfNotPresent', 'Never'], path));
  errors.push(...oneOf(container, 'terminationMessagePolicy', ['File', 'FallbackToLogsOnError'], path));
  objectsAt(container, 'ports').forEach(
    (port, index) => void errors.push(...validatePort(port, `${path}.ports[${index}]`)),
  );
  objectsAt(container, 'env').forEach(
    (variable, index) => void errors.push(...validateEnv(variable, `${path}.env[${index}]`)),
  );
  objectsAt(container, 'volumeMounts').forEach((mount, index) => {
    const at = `${path}.volumeMounts[${index}]`;
    const name = textAt(mount, 'name');
    if (name === '') errors.push({ type: 'required', field: `${at}.name` });
    else if (!volumes.includes(name)) errors.push({ type: 'notFound', field: `${at}.name`, value: name });
    if (textAt(mount, 'mountPath') === '') errors.push({ type: 'required', field: `${at}.mountPath` });
  });
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const found = container[probe];
    if (isObject(found)) errors.push(...validateProbe(found, `${path}.${probe}`));
  }
  errors.push(...validateResources(container, `${path}.resources`));
  return errors;
}

function validatePort(port: JsonObject, path: string): FieldError[] {
  const errors = oneOf(port, 'protocol', ['SCTP', 'TCP', 'UDP'], path);
  for (const field of ['containerPort', 'hostPort']) {
    const value = port[field];
    if (value === undefined && field === 'containerPort') errors.push({ type: 'required', field: `${path}.${field}` });
    if (typeof value === 'number' && (value < 1 || value > 65_535)) {
      errors.push({
        type: 'invalid',
        field: `${path}.${field}`,
        value,
        detail: 'must be between 1 and 65535, inclusive',
      });
    }
  }
  return errors;
}

function validateEnv(variable: JsonObject, path: string): FieldError[] {
  const name = textAt(variable, 'name');
  if (name === '') return [{ type: 'required', field: `${path}.name` }];
  const errors: FieldError[] = [];
  if (!/^[ -<>-~]+$/.test(name)) {
    const detail = `a valid environment variable name must consist only of printable ASCII characters other than '='`;
    errors.push({ type: 'invalid', field: `${path}.name`, value: name, detail });
  }
  const source = variable['valueFrom'];
  if (source === undefined) return errors;
  const field = `${path}.valueFrom`;
  const count = isObject(source) ? Object.keys(source).length : 0;
  if (count !== 1) {
    const detail =
      count === 0
        ? 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'
        : 'may not have more than one field specified at a time';
    errors.push({ type: 'invalid', field, value: '', detail });
  }
  if (textAt(variable, 'value') !== '') {
    errors.push({ type: 'invalid', field, value: '', detail: 'may not be specified when `value` is not empty' });
  }
  return errors;
}

function validateProbe(probe: JsonObject, path: string): FieldError[] {
  const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((handler) => isObject(probe[handler]));
  const errors: FieldError[] = [];
  if (handlers.length === 0) errors.push({ type: 'required', field: path, detail: 'must specify a handler type' });
  for (const extra of handlers.slice(1)) {
    errors.push({ type: 'forbidden', field: `${path}.${extra}`, detail: 'may not specify more than 1 handler type' });
  }
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    errors.push(...notNegative(probe, field, path));
  }
  return errors;
}

function validateResources(container: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const requests = at(container, 'resources', 'requests');
  const limits = at(container, 'resources', 'limits');
  for (const [resource, request] of Object.entries(isObject(requests) ? requests : {})) {
    const limit = isObject(limits) ? own(limits, resource) : undefined;
    const wanted = parseMilli(showValue(request)) ?? 0n;
    const field = `${path}.requests[${resource}]`;
    if (wanted < 0n)
      errors.push({ type: 'invalid', field, value: request, detail: 'must be greater than or equal to 0' });
    if (limit !== undefined && wanted > (parseMilli(showValue(limit)) ?? 0n)) {
      errors.push({
        type: 'invalid',
        field: `${path}.requests`,
        value: request,
        detail: `must be less than or equal to ${resource} limit of ${showValue(limit)}`,
      });
    }
  }
  return errors;
}

function validateTolerations(tolerations: readonly JsonObject[]): FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const path = `spec.tolerations[${index}]`;
    const errors = oneOf(toleration, 'operator', ['Equal', 'Exists'], path);
    errors.push(...oneOf(toleration, 'effect', ['NoSchedule', 'PreferNoSchedule', 'NoExecute'], path));
    const key = textAt(toleration, 'key');
    const wrongKey = key === '' ? undefined : qualifiedName(key);
    if (wrongKey !== undefined) errors.push({ type: 'invalid', field: `${path}.key`, value: key, detail: wrongKey });
    if (key === '' && toleration['operator'] !== 'Exists') {
      errors.push({
        type: 'invalid',
        field: `${path}.operator`,
        value: textAt(toleration, 'operator'),
        detail: 'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      });
    }
    if (toleration['operator'] === 'Exists' && textAt(toleration, 'value') !== '') {
      errors.push({
        type: 'invalid',
        field: `${path}.operator`,
        value: toleration['value'],
        detail: "value must be empty when `operator` is 'Exists'",
      });
    }
    if (toleration['tolerationSeconds'] !== undefined && toleration['effect'] !== 'NoExecute') {
      errors.push({
        type: 'invalid',
        field: `${path}.effect`,
        value: textAt(toleration, 'effect'),
        detail: "effect must be 'NoExecute' when `tolerationSeconds` is set",
      });
    }
    return errors;
  });
}

const IMMUTABLE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What may change after creation, as upstream's ValidatePodUpdate says: images, deadlines, tolerations, lifted scheduling gates. */
export function validatePodUpdate(next: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const was = old.spec ?? {};
  const now = next.spec ?? {};
  const gates = new Set(objectsAt(was, 'schedulingGates').map((gate) => gate['name']));
  objectsAt(now, 'schedulingGates').forEach((gate, index) => {
    if (!gates.has(gate['name'])) {
      const field = `spec.schedulingGates[${index}].name`;
      errors.push({ type: 'forbidden', field, detail: 'only deletion is allowed, but found new scheduling gate' });
    }
  });
  errors.push(...validateDeadline(now['activeDeadlineSeconds'], was['activeDeadlineSeconds']));
  if (!keepsTolerations(objectsAt(now, 'tolerations'), objectsAt(was, 'tolerations'))) {
    errors.push({
      type: 'forbidden',
      field: 'spec.tolerations',
      detail: 'existing toleration can not be modified except its tolerationSeconds',
    });
  }
  if (!equalJson(withAllowedFields(now, was), was))
    errors.push({ type: 'forbidden', field: 'spec', detail: IMMUTABLE });
  return errors;
}

function validateDeadline(now: unknown, was: unknown): FieldError[] {
  if (typeof was !== 'number' || now === was) return [];
  const field = 'spec.activeDeadlineSeconds';
  if (typeof now !== 'number')
    return [{ type: 'invalid', field, detail: 'must not update from a positive integer to nil value' }];
  return now > was
    ? [{ type: 'invalid', field, value: now, detail: `must be less than or equal to previous value` }]
    : [];
}

function keepsTolerations(now: readonly JsonObject[], was: readonly JsonObject[]): boolean {
  const withoutSeconds = (item: JsonObject): JsonObject => without(item, 'tolerationSeconds');
  return was.every((old) => now.some((item) => equalJson(withoutSeconds(item), withoutSeconds(old))));
}

/** `now` with the fields that may change set back to what they were. */
function withAllowedFields(now: JsonObject, was: JsonObject): JsonObject {
  const copy = cloneJson(now);
  const allowed = ['activeDeadlineSeconds', 'tolerations', 'schedulingGates'];
  if (Number(was['terminationGracePeriodSeconds']) < 0 && copy['terminationGracePeriodSeconds'] === 1) {
    allowed.push('terminationGracePeriodSeconds');
  }
  for (const field of allowed) {
    if (was[field] === undefined) delete copy[field];
    else copy[field] = was[field];
  }
  for (const field of ['containers', 'initContainers']) {
    const before = objectsAt(was, field);
    objectsAt(copy, field).forEach((container, index) => {
      const image = before[index]?.['image'];
      if (image !== undefined && textAt(container, 'image') !== '') container['image'] = image;
    });
  }
  return copy;
}
