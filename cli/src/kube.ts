// The command line's way to the Kubernetes API, and applying manifests to it.
// Invariant: apply writes what the file says and leaves fields alone that it does not name.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import { connectKube, type KubeClient } from '@skerry/common/kube/client';
import { kubeConfigSource, loadKubeConnection } from '@skerry/common/kube/config';
import { isAlreadyExists, isNotFound } from '@skerry/common/kube/kube-error';
import type { KubeObject } from '@skerry/common/kube/object';
import {
  CONFIG_MAPS,
  DEVICE_MODELS,
  DEVICE_STATUSES,
  DEVICES,
  EVENTS,
  LEASES,
  NAMESPACES,
  NODES,
  PODS,
  type Resource,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '@skerry/common/kube/resources';
import { parseAllDocuments } from 'yaml';

export interface KubeSession {
  readonly kube: KubeClient;
  close(): Promise<void>;
}

/** Throws `invalid_argument` when the file is unusable. */
export async function openKube(kubeconfig: string): Promise<KubeSession> {
  const clock = systemClock();
  const connection = await loadKubeConnection(kubeConfigSource(kubeconfig), clock);
  const { client, transport } = connectKube({ connection, clock, random: Math.random, userAgent: 'skerry-cli' });
  return { kube: client, close: () => transport.close() };
}

const CRDS: Resource<KubeObject> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

const RBAC = (kind: string, plural: string, namespaced: boolean): Resource<KubeObject> => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind,
  plural,
  namespaced,
});

/** What the command line can name; `kubectl` knows the rest. */
export const KNOWN: readonly Resource<KubeObject>[] = [
  PODS,
  NODES,
  CONFIG_MAPS,
  SECRETS,
  EVENTS,
  NAMESPACES,
  SERVICE_ACCOUNTS,
  LEASES,
  DEVICES,
  DEVICE_MODELS,
  DEVICE_STATUSES,
  CRDS,
  RBAC('ClusterRole', 'clusterroles', false),
  RBAC('ClusterRoleBinding', 'clusterrolebindings', false),
  RBAC('Role', 'roles', true),
  RBAC('RoleBinding', 'rolebindings', true),
];

/** By plural, singular or kind, whatever the case. Throws `invalid_argument`. */
export function resourceNamed(text: string): Resource<KubeObject> {
  const wanted = text.toLowerCase();
  const found = KNOWN.find((r) => r.plural === wanted || r.kind.toLowerCase() === wanted);
  if (found) return found;
  throw new SkerryError(
    'invalid_argument',
    `unknown resource "${text}"; known: ${KNOWN.map((r) => r.plural).join(', ')} (kubectl knows all)`,
  );
}

/** Objects of a YAML file, or of all `.yaml` files of a folder in name order, kustomizations left out. */
export async function readManifests(path: string): Promise<KubeObject[]> {
  const files = (await stat(path)).isDirectory()
    ? (await readdir(path))
        .filter((name) => name.endsWith('.yaml'))
        .sort()
        .map((name) => join(path, name))
    : [path];
  const objects: KubeObject[] = [];
  for (const file of files) objects.push(...parseManifests(await readFile(file, 'utf8'), file));
  return objects.filter((object) => object.kind !== 'Kustomization');
}

/** Throws `invalid_argument` with file and line for text that is no YAML. */
export function parseManifests(text: string, file: string): KubeObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error) throw new SkerryError('invalid_argument', `${file}: ${messageOf(error)}`);
    const value: unknown = document.toJS();
    if (value === null) return [];
    if (typeof value !== 'object' || !('kind' in value))
      throw new SkerryError('invalid_argument', `${file}: a document without kind`);
    return [value as KubeObject];
  });
}

/** Creates the object, or merges the manifest into the one that is there. */
export async function apply(kube: KubeClient, object: KubeObject): Promise<'created' | 'configured'> {
  const resource = resourceNamed(object.kind ?? '');
  const namespace = resource.namespaced ? (object.metadata?.namespace ?? 'default') : undefined;
  const name = object.metadata?.name ?? '';
  const placed = { ...object, metadata: { ...object.metadata, ...(namespace !== undefined && { namespace }) } };
  const ref = { name, ...(namespace !== undefined && { namespace }) };
  try {
    await kube.get(resource, ref);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    try {
      await kube.create(resource, placed, { fieldValidation: 'Strict' });
      return 'created';
    } catch (createError) {
      if (!isAlreadyExists(createError)) throw createError;
    }
  }
  // Lists of core types merge by their keys (containers by name); custom resources know only the plain merge.
  const type = resource.group === '' ? 'strategic' : 'merge';
  await kube.patch(resource, ref, { type, body: placed }, { fieldValidation: 'Strict' });
  return 'configured';
}
