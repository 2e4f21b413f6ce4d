// The defaults that a Kubernetes API server and its admission plug-ins give a Pod.
import { at, isObject, type JsonObject, type KubeObject, objectsAt, textAt } from '../api/objects.js';
import { parseMilli } from '../api/quantity.js';

/** Seconds that a Pod stays on a node that is not ready or unreachable, unless it says otherwise. */
const DEFAULT_TOLERATION_SECONDS = 300;

function fill(object: JsonObject, defaults: JsonObject): void {
  for (const [key, value] of Object.entries(defaults)) if (object[key] === undefined) object[key] = value;
}

export function defaultPod(pod: KubeObject): void {
  const spec = isObject(pod.spec) ? pod.spec : {};
  pod.spec = spec;
  fill(spec, {
    dnsPolicy: 'ClusterFirst',
    enableServiceLinks: true,
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
  });
  defaultServiceAccount(spec);
  for (const container of containersOf(spec)) defaultContainer(container, spec['hostNetwork'] === true);
  for (const volume of objectsAt(spec, 'volumes')) defaultVolume(volume);
  defaultTolerations(spec);
}

/** Init, ordinary and ephemeral containers. */
export function containersOf(spec: unknown): JsonObject[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((field) => [...objectsAt(spec, field)]);
}

function defaultServiceAccount(spec: JsonObject): void {
  const name = textAt(spec, 'serviceAccountName') || textAt(spec, 'serviceAccount') || 'default';
  spec['serviceAccountName'] = name;
  spec['serviceAccount'] = name;
}

function defaultContainer(container: JsonObject, hostNetwork: boolean): void {
  fill(container, {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: pullPolicy(textAt(container, 'image')),
    resources: {},
  });
  for (const port of objectsAt(container, 'ports')) {
    fill(port, { protocol: 'TCP', ...(hostNetwork ? { hostPort: port['containerPort'] } : {}) });
  }
  for (const variable of objectsAt(container, 'env')) {
    const fieldRef = at(variable, 'valueFrom', 'fieldRef');
    if (isObject(fieldRef)) fill(fieldRef, { apiVersion: 'v1' });
    const resourceRef = at(variable, 'valueFrom', 'resourceFieldRef');
    if (isObject(resourceRef)) fill(resourceRef, { divisor: '0' });
  }
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const found = container[probe];
    if (!isObject(found)) continue;
    fill(found, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
    defaultHandler(found);
  }
  defaultHandler(at(container, 'lifecycle', 'postStart'));
  defaultHandler(at(container, 'lifecycle', 'preStop'));
  const limits = at(container, 'resources', 'limits');
  const resources = container['resources'];
  if (isObject(limits) && isObject(resources)) {
    const requests = isObject(resources['requests']) ? resources['requests'] : {};
    fill(requests, limits);
    resources['requests'] = requests;
  }
}

function defaultHandler(handler: unknown): void {
  const http = at(handler, 'httpGet');
  if (isObject(http)) fill(http, { path: '/', scheme: 'HTTP' });
  const grpc = at(handler, 'grpc');
  if (isObject(grpc)) fill(grpc, { service: '' });
}

/** Always for `latest` and for no tag at all. */
function pullPolicy(image: string): string {
  const name = image.split('@')[0] ?? '';
  const tag = /:([^/:]+)$/.exec(name)?.[1];
  if (image.includes('@') && tag === undefined) return 'IfNotPresent';
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

const FILE_MODE = 0o644;

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).length === 1) volume['emptyDir'] = {};
  for (const source of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const found = volume[source];
    if (isObject(found)) fill(found, { defaultMode: FILE_MODE });
  }
  const hostPath = volume['hostPath'];
  if (isObject(hostPath)) fill(hostPath, { type: '' });
  defaultFieldRefs(volume['downwardAPI']);
  for (const source of objectsAt(volume, 'projected', 'sources')) {
    defaultFieldRefs(source['downwardAPI']);
    const token = source['serviceAccountToken'];
    if (isObject(token)) fill(token, { expirationSeconds: 3600 });
  }
}

function defaultFieldRefs(source: unknown): void {
  for (const item of objectsAt(source, 'items')) {
    const fieldRef = item['fieldRef'];
    if (isObject(fieldRef)) fill(fieldRef, { apiVersion: 'v1' });
  }
}

function defaultTolerations(spec: JsonObject): void {
  const tolerations = [...objectsAt(spec, 'tolerations')];
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const covered = tolerations.some(
      (toleration) =>
        (toleration['key'] === key || (!toleration['key'] && toleration['operator'] === 'Exists')) &&
        (!toleration['effect'] || toleration['effect'] === 'NoExecute'),
    );
    if (!covered) {
      tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: DEFAULT_TOLERATION_SECONDS });
    }
  }
  spec['tolerations'] = tolerations;
}

/** Guaranteed, Burstable or BestEffort, from the requests and limits of all containers. */
export function qosClass(spec: unknown): string {
  const containers = ['initContainers', 'containers'].flatMap((field) => [...objectsAt(spec, field)]);
  let any = false;
  let guaranteed = containers.length > 0;
  for (const container of containers) {
    for (const resource of ['cpu', 'memory']) {
      const request = amount(at(container, 'resources', 'requests', resource));
      const limit = amount(at(container, 'resources', 'limits', resource));
      if (request > 0n || limit > 0n) any = true;
      if (limit === 0n || (request !== 0n && request !== limit)) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function amount(quantity: unknown): bigint {
  return typeof quantity === 'string' ? (parseMilli(quantity) ?? 0n) : 0n;
}
