// Every field of core/v1 PodSpec and Container (and of the types under them that are used) and what this node does with it.
// Invariant: the tables name each field of the Kubernetes model exactly once; the compiler sees to it.
import type {
  V1ConfigMapEnvSource,
  V1ConfigMapKeySelector,
  V1ConfigMapVolumeSource,
  V1Container,
  V1ContainerPort,
  V1EmptyDirVolumeSource,
  V1EnvFromSource,
  V1EnvVar,
  V1EnvVarSource,
  V1HostPathVolumeSource,
  V1KeyToPath,
  V1ObjectFieldSelector,
  V1PodOS,
  V1PodSecurityContext,
  V1PodSpec,
  V1ResourceRequirements,
  V1SecretVolumeSource,
  V1SecurityContext,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import { checked, ignored, isolatedOnly, list, object, only, type Rule, refused, supported } from './rules.js';

type Fields<T> = Readonly<Record<keyof T & string, Rule>>;

const SCHEDULER = ignored('the scheduler has decided');
const NO_VOLUME_TYPE = refused('this volume type is not supported; use configMap, secret, emptyDir or hostPath');
const NO_PROBES = refused('probes are not supported; remove it');
const NO_ISOLATION = 'this runtime runs commands on the host and cannot isolate them';
const HOST_NAME = isolatedOnly('the host name is the node’s own on this runtime; remove it');
const NO_SUB_PATH = refused(
  'mounting a part of a volume is not supported; mount the volume, with items where it has them',
);

const user = checked('the user that the runtime is configured with', (value, runtime) =>
  !runtime.sharesHost || value === runtime.user?.uid
    ? undefined
    : `workloads run as user ${runtime.user?.uid ?? 'of the engine'} on this node and no other`,
);
const group = checked('the group that the runtime is configured with', (value, runtime) =>
  !runtime.sharesHost || value === runtime.user?.gid
    ? undefined
    : `workloads run as group ${runtime.user?.gid ?? 'of the engine'} on this node and no other`,
);
const nonRoot = checked('true when workloads do not run as root', (value, runtime) =>
  value === true && runtime.sharesHost && (runtime.user?.uid ?? 0) === 0
    ? 'workloads run as root on this node'
    : undefined,
);
const unconfined = (what: string): Rule =>
  checked('Unconfined', (value, runtime) =>
    !runtime.sharesHost || (value as { type?: string }).type === 'Unconfined'
      ? undefined
      : `${what} cannot be enforced: ${NO_ISOLATION}`,
  );

const keyToPath: Fields<V1KeyToPath> = { key: supported(), mode: supported(), path: supported() };

const configMapVolume: Fields<V1ConfigMapVolumeSource> = {
  name: supported(),
  items: list(keyToPath),
  defaultMode: supported(),
  optional: supported(),
};

const secretVolume: Fields<V1SecretVolumeSource> = {
  secretName: supported(),
  items: list(keyToPath),
  defaultMode: supported(),
  optional: supported(),
};

const emptyDirVolume: Fields<V1EmptyDirVolumeSource> = {
  medium: refused('only the node’s disk is supported as medium; remove it'),
  sizeLimit: refused('the size of an emptyDir cannot be enforced; remove it'),
};

const hostPathVolume: Fields<V1HostPathVolumeSource> = { path: supported(), type: supported('all types') };

const volume: Fields<V1Volume> = {
  name: supported(),
  configMap: object(configMapVolume),
  secret: object(secretVolume),
  emptyDir: object(emptyDirVolume),
  hostPath: object(hostPathVolume),
  projected: refused(
    'projected volumes are not supported; for the one with the service account token set automountServiceAccountToken: false',
  ),
  awsElasticBlockStore: NO_VOLUME_TYPE,
  azureDisk: NO_VOLUME_TYPE,
  azureFile: NO_VOLUME_TYPE,
  cephfs: NO_VOLUME_TYPE,
  cinder: NO_VOLUME_TYPE,
  csi: NO_VOLUME_TYPE,
  downwardAPI: NO_VOLUME_TYPE,
  ephemeral: NO_VOLUME_TYPE,
  fc: NO_VOLUME_TYPE,
  flexVolume: NO_VOLUME_TYPE,
  flocker: NO_VOLUME_TYPE,
  gcePersistentDisk: NO_VOLUME_TYPE,
  gitRepo: NO_VOLUME_TYPE,
  glusterfs: NO_VOLUME_TYPE,
  image: NO_VOLUME_TYPE,
  iscsi: NO_VOLUME_TYPE,
  nfs: NO_VOLUME_TYPE,
  persistentVolumeClaim: NO_VOLUME_TYPE,
  photonPersistentDisk: NO_VOLUME_TYPE,
  portworxVolume: NO_VOLUME_TYPE,
  quobyte: NO_VOLUME_TYPE,
  rbd: NO_VOLUME_TYPE,
  scaleIO: NO_VOLUME_TYPE,
  storageos: NO_VOLUME_TYPE,
  vsphereVolume: NO_VOLUME_TYPE,
};

const volumeMount: Fields<V1VolumeMount> = {
  name: supported(),
  mountPath: supported(),
  readOnly: supported('on a runtime that shares the host only for configMap and secret volumes (see docs/engine.md)'),
  mountPropagation: only(['None'], 'mount propagation is not supported; remove it'),
  recursiveReadOnly: only(['Disabled'], 'recursive read-only mounts are not supported; remove it'),
  subPath: NO_SUB_PATH,
  subPathExpr: NO_SUB_PATH,
};

const objectField: Fields<V1ObjectFieldSelector> = {
  apiVersion: only(['v1'], 'only apiVersion v1 is supported'),
  fieldPath: checked('the paths that Kubernetes allows in env', (value) =>
    typeof value === 'string' && FIELD_PATHS.some((pattern) => pattern.test(value))
      ? undefined
      : `${JSON.stringify(value)} is not a field that env can take`,
  ),
};

/** Source: "Available fields" in the Kubernetes documentation of the downward API. */
const FIELD_PATHS = [
  /^metadata\.(name|namespace|uid)$/,
  /^metadata\.(labels|annotations)\['[^']+'\]$/,
  /^spec\.(nodeName|serviceAccountName)$/,
  /^status\.(hostIP|hostIPs|podIP|podIPs)$/,
];

const keySelector: Fields<V1ConfigMapKeySelector> = {
  name: supported(),
  key: supported(),
  optional: supported(),
};
const envSource: Fields<V1ConfigMapEnvSource> = { name: supported(), optional: supported() };

const envVarSource: Fields<V1EnvVarSource> = {
  configMapKeyRef: object(keySelector),
  secretKeyRef: object(keySelector),
  fieldRef: object(objectField),
  resourceFieldRef: refused('variables from resources are not supported; write the value'),
  fileKeyRef: refused('variables from files are not supported; write the value'),
};

const envVar: Fields<V1EnvVar> = { name: supported(), value: supported(), valueFrom: object(envVarSource) };

const envFrom: Fields<V1EnvFromSource> = {
  configMapRef: object(envSource),
  secretRef: object(envSource),
  prefix: supported(),
};

const containerPort: Fields<V1ContainerPort> = {
  containerPort: ignored('told to people; the workload itself listens on the host’s network'),
  name: ignored('told to people'),
  protocol: ignored('told to people'),
  hostIP: refused('the workload itself chooses the address that it listens on; remove it'),
  hostPort: ignored('equal to containerPort, which Kubernetes checks, on the host’s network'),
};

const resources: Fields<V1ResourceRequirements> = {
  requests: supported('counted by the scheduler'),
  limits: isolatedOnly(`limits cannot be enforced: ${NO_ISOLATION}; use requests only`),
  claims: refused('resource claims are not supported; remove them'),
};

const securityContext: Fields<V1SecurityContext> = {
  runAsUser: user,
  runAsGroup: group,
  runAsNonRoot: nonRoot,
  allowPrivilegeEscalation: checked('true', (value, runtime) =>
    value === false && runtime.sharesHost ? `it cannot be prevented: ${NO_ISOLATION}` : undefined,
  ),
  privileged: isolatedOnly(`it cannot be granted: ${NO_ISOLATION}`),
  readOnlyRootFilesystem: isolatedOnly(`it cannot be enforced: ${NO_ISOLATION}`),
  capabilities: isolatedOnly(`capabilities cannot be enforced: ${NO_ISOLATION}`),
  procMount: only(['Default'], 'only the Default proc mount is supported'),
  appArmorProfile: unconfined('an AppArmor profile'),
  seccompProfile: unconfined('a seccomp profile'),
  seLinuxOptions: isolatedOnly(`SELinux options cannot be enforced: ${NO_ISOLATION}`),
  windowsOptions: refused('this is a Linux node'),
};

const podSecurityContext: Fields<V1PodSecurityContext> = {
  runAsUser: user,
  runAsGroup: group,
  runAsNonRoot: nonRoot,
  fsGroup: isolatedOnly('volumes belong to the user that workloads run under; remove it'),
  fsGroupChangePolicy: ignored('nothing without fsGroup'),
  supplementalGroups: isolatedOnly('workloads have no supplemental groups on this node; remove them'),
  supplementalGroupsPolicy: ignored('nothing without supplementalGroups'),
  sysctls: isolatedOnly(`kernel parameters belong to the host: ${NO_ISOLATION}`),
  appArmorProfile: unconfined('an AppArmor profile'),
  seccompProfile: unconfined('a seccomp profile'),
  seLinuxOptions: isolatedOnly(`SELinux options cannot be enforced: ${NO_ISOLATION}`),
  seLinuxChangePolicy: ignored('nothing without seLinuxOptions'),
  windowsOptions: refused('this is a Linux node'),
};

const container: Fields<V1Container> = {
  name: supported(),
  image: supported('a runtime that runs commands on the host does not pull it; imageID says so'),
  imagePullPolicy: ignored('no runtime of this version pulls images'),
  command: supported('required, or args, on a runtime that runs commands on the host'),
  args: supported(),
  workingDir: supported(),
  env: list(envVar),
  envFrom: list(envFrom),
  volumeMounts: list(volumeMount),
  volumeDevices: refused('block devices are not supported'),
  ports: list(containerPort),
  resources: object(resources),
  resizePolicy: ignored('resources are not changed in place'),
  restartPolicy: refused('a restart policy of one container (sidecar containers) is not supported; remove it'),
  restartPolicyRules: refused('restart rules of one container are not supported; use spec.restartPolicy'),
  livenessProbe: NO_PROBES,
  readinessProbe: NO_PROBES,
  startupProbe: NO_PROBES,
  lifecycle: refused('lifecycle hooks are not supported; remove them'),
  securityContext: object(securityContext),
  terminationMessagePath: only(
    ['/dev/termination-log'],
    'termination messages are not read; remove it (the default is accepted and stays empty)',
  ),
  terminationMessagePolicy: only(['File'], 'termination messages are not read; remove it'),
  stdin: refused('containers have no standard input'),
  stdinOnce: refused('containers have no standard input'),
  tty: refused('containers have no terminal'),
};

const podOs: Fields<V1PodOS> = { name: only(['linux'], 'this is a Linux node') };

export const podSpec: Fields<V1PodSpec> = {
  containers: list(container),
  initContainers: list(container),
  ephemeralContainers: refused('ephemeral containers are not supported'),
  volumes: list(volume),
  restartPolicy: only(['Always', 'OnFailure', 'Never'], 'it must be Always, OnFailure or Never'),
  terminationGracePeriodSeconds: supported(),
  activeDeadlineSeconds: supported(),
  hostNetwork: supported('must be true on a runtime that shares the host'),
  hostPID: ignored('a runtime that shares the host has no process namespace of its own'),
  hostIPC: ignored('a runtime that shares the host has no IPC namespace of its own'),
  hostUsers: only([true], 'user namespaces are not supported'),
  shareProcessNamespace: isolatedOnly('Pods have no process namespace on this runtime; remove it'),
  hostname: HOST_NAME,
  hostnameOverride: HOST_NAME,
  subdomain: HOST_NAME,
  setHostnameAsFQDN: HOST_NAME,
  hostAliases: isolatedOnly('the hosts file is the node’s own on this runtime; remove them'),
  dnsPolicy: only(
    ['ClusterFirst', 'Default'],
    'name resolution is the node’s own: only Default, and ClusterFirst, which falls back to it, are accepted',
  ),
  dnsConfig: refused('name resolution is the node’s own; remove it'),
  securityContext: object(podSecurityContext),
  runtimeClassName: checked('none, or the node’s own runtime', (value, runtime) =>
    runtime.runtimeClasses.includes(String(value))
      ? undefined
      : `this node runs ${runtime.runtimeClasses.join(', ')}, not ${JSON.stringify(value)}`,
  ),
  os: object(podOs),
  resources: object(resources),
  resourceClaims: refused('resource claims are not supported'),
  readinessGates: refused('readiness gates are not supported; remove them'),
  enableServiceLinks: ignored('the node has no Services to tell of'),
  automountServiceAccountToken: ignored('the token comes as a projected volume, which is refused'),
  serviceAccount: ignored('old name of serviceAccountName'),
  serviceAccountName: supported('as a value for env; tokens are not'),
  imagePullSecrets: ignored('no runtime of this version pulls images'),
  nodeName: supported(),
  nodeSelector: SCHEDULER,
  affinity: SCHEDULER,
  tolerations: SCHEDULER,
  topologySpreadConstraints: SCHEDULER,
  schedulerName: SCHEDULER,
  schedulingGates: SCHEDULER,
  priority: SCHEDULER,
  priorityClassName: SCHEDULER,
  preemptionPolicy: SCHEDULER,
  overhead: ignored('counted by the scheduler'),
};

/** The tables by the name of their Kubernetes type, for documentation and the test of completeness. */
export const FIELD_TABLES = {
  PodSpec: podSpec,
  Container: container,
  Volume: volume,
  VolumeMount: volumeMount,
  ConfigMapVolumeSource: configMapVolume,
  SecretVolumeSource: secretVolume,
  EmptyDirVolumeSource: emptyDirVolume,
  HostPathVolumeSource: hostPathVolume,
  KeyToPath: keyToPath,
  EnvVar: envVar,
  EnvVarSource: envVarSource,
  EnvFromSource: envFrom,
  ObjectFieldSelector: objectField,
  ConfigMapKeySelector: keySelector,
  ConfigMapEnvSource: envSource,
  PodOS: podOs,
  ContainerPort: containerPort,
  ResourceRequirements: resources,
  PodSecurityContext: podSecurityContext,
  SecurityContext: securityContext,
} as const;
