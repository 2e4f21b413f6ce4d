// How lists of the built-in types merge: the facts that Kubernetes' Go types carry as patchStrategy, patchMergeKey, listType, listMapKey.
// A list that is not named here is atomic.

export interface ListFacts {
  /** Strategic merge patch: merge entries by this key; '' for lists of scalars, which merge as sets. */
  readonly patchMergeKey?: string;
  /** The patch says which of an entry's fields stay (volumes: another source replaces the old one). */
  readonly retainKeys?: boolean;
  /** Entries are unique by these fields. */
  readonly mapKeys?: readonly string[];
  /** Scalars are unique. */
  readonly set?: boolean;
}

const byName: ListFacts = { patchMergeKey: 'name', mapKeys: ['name'] };
const byType: ListFacts = { patchMergeKey: 'type', mapKeys: ['type'] };

const container: Readonly<Record<string, ListFacts>> = {
  env: byName,
  ports: { patchMergeKey: 'containerPort', mapKeys: ['containerPort', 'protocol'] },
  volumeMounts: { patchMergeKey: 'mountPath', mapKeys: ['mountPath'] },
  volumeDevices: { patchMergeKey: 'devicePath', mapKeys: ['devicePath'] },
};

export const LIST_TYPES: Readonly<Record<string, Readonly<Record<string, ListFacts>>>> = {
  ObjectMeta: {
    finalizers: { patchMergeKey: '', set: true },
    ownerReferences: { patchMergeKey: 'uid', mapKeys: ['uid'] },
  },
  PodSpec: {
    containers: byName,
    ephemeralContainers: byName,
    hostAliases: { patchMergeKey: 'ip', mapKeys: ['ip'] },
    imagePullSecrets: byName,
    initContainers: byName,
    resourceClaims: { ...byName, retainKeys: true },
    schedulingGates: byName,
    topologySpreadConstraints: { patchMergeKey: 'topologyKey', mapKeys: ['topologyKey', 'whenUnsatisfiable'] },
    volumes: { ...byName, retainKeys: true },
  },
  PodStatus: {
    conditions: byType,
    hostIPs: { patchMergeKey: 'ip' },
    podIPs: { patchMergeKey: 'ip', mapKeys: ['ip'] },
    resourceClaimStatuses: { ...byName, retainKeys: true },
  },
  Container: container,
  EphemeralContainer: container,
  ContainerStatus: {
    allocatedResourcesStatus: byName,
    volumeMounts: { patchMergeKey: 'mountPath', mapKeys: ['mountPath'] },
  },
  ContainerRestartRuleOnExitCodes: { values: { set: true } },
  ResourceStatus: { resources: { mapKeys: ['resourceID'] } },
  ResourceRequirements: { claims: { mapKeys: ['name'] } },
  NodeSpec: { podCIDRs: { patchMergeKey: '', set: true } },
  NodeStatus: { addresses: byType, conditions: byType },
  NamespaceStatus: { conditions: byType },
  ServiceSpec: { ports: { patchMergeKey: 'port', mapKeys: ['port', 'protocol'] } },
  ServiceStatus: { conditions: byType },
  ServiceAccount: { secrets: byName },
  CustomResourceDefinitionStatus: { conditions: { mapKeys: ['type'] } },
};
