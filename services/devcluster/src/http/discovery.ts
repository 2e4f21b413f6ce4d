// Discovery: which groups, versions and resources there are, as clients ask before anything else.
import type { JsonObject } from '../api/objects.js';
import type { Registry } from '../registry/registry.js';
import { apiVersionOf, type ResourceType, VERBS } from '../registry/types.js';

/** The Kubernetes version whose types and answers are followed. */
const VERSION = { major: '1', minor: '34', gitVersion: 'v1.34.0-skerry' };

export function versionInfo(): JsonObject {
  return {
    ...VERSION,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: '',
    platform: 'skerry',
  };
}

/** The answer for a discovery path, or undefined when there is nothing. */
export function discover(registry: Registry, path: string, address: string): JsonObject | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const [root, first, second, ...more] = parts;
  if (more.length > 0) return undefined;
  if (root === 'api') {
    if (first === undefined) return coreVersions(address);
    return second === undefined ? resourceList(registry, '', first) : undefined;
  }
  if (root !== 'apis') return undefined;
  if (first === undefined) return groupList(registry);
  if (second === undefined) return groupsOf(registry).find((group) => group['name'] === first);
  return resourceList(registry, first, second);
}

function coreVersions(address: string): JsonObject {
  const clientAddresses = [{ clientCIDR: '0.0.0.0/0', serverAddress: address }];
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: clientAddresses };
}

function groupList(registry: Registry): JsonObject {
  const groups = groupsOf(registry).map(({ kind: _k, apiVersion: _a, ...group }) => group);
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

function groupsOf(registry: Registry): JsonObject[] {
  const versions = new Map<string, Set<string>>();
  for (const { group, version } of registry.all()) {
    if (group !== '') versions.set(group, (versions.get(group) ?? new Set()).add(version));
  }
  return [...versions].map(([name, found]) => {
    const list = [...found].sort(compareVersions).map((version) => ({ groupVersion: `${name}/${version}`, version }));
    return { kind: 'APIGroup', apiVersion: 'v1', name, versions: list, preferredVersion: list[0] };
  });
}

/** Newest first: v2 before v1, v1 before v1beta2, v1beta2 before v1beta1, beta before alpha. */
export function compareVersions(a: string, b: string): number {
  const rank = (version: string): readonly number[] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return [-1, 0, 0];
    const [, major, stage, minor] = match;
    return [stage === undefined ? 2 : stage === 'beta' ? 1 : 0, Number(major), Number(minor ?? 0)];
  };
  const left = rank(a);
  const right = rank(b);
  for (const [index, value] of left.entries()) {
    const difference = (right[index] ?? 0) - value;
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : 1;
}

function resourceList(registry: Registry, group: string, version: string): JsonObject | undefined {
  const types = registry.all().filter((type) => type.group === group && type.version === version);
  if (types.length === 0) return undefined;
  const resources = types.flatMap((type) => [describeType(type), ...describeSubresources(type)]);
  const base = { kind: 'APIResourceList', ...(group === '' ? {} : { apiVersion: 'v1' }) };
  return { ...base, groupVersion: group === '' ? version : `${group}/${version}`, resources };
}

function describeType(type: ResourceType): JsonObject {
  return {
    name: type.plural,
    singularName: type.singular,
    namespaced: type.namespaced,
    kind: type.kind,
    verbs: VERBS,
    ...(type.shortNames.length > 0 ? { shortNames: type.shortNames } : {}),
    ...(type.categories.length > 0 ? { categories: type.categories } : {}),
    storageVersionHash: Buffer.from(`${type.collection}/${apiVersionOf(type)}`)
      .toString('base64')
      .slice(0, 12),
  };
}

function describeSubresources(type: ResourceType): JsonObject[] {
  const { kind, namespaced } = type;
  const status = {
    name: `${type.plural}/status`,
    singularName: '',
    namespaced,
    kind,
    verbs: ['get', 'patch', 'update'],
  };
  const others = type.subresources.map((subresource) => ({
    name: `${type.plural}/${subresource.name}`,
    singularName: '',
    namespaced,
    ...(subresource.group === type.group ? {} : { group: subresource.group, version: subresource.version }),
    kind: subresource.kind,
    verbs: subresource.verbs,
  }));
  return type.hasStatus ? [status, ...others] : others;
}
