// A container's environment from its Pod and what the Pod refers to.
// Invariants: envFrom in order, then env in order, later ones win; a required source that is known absent is an error that names it,
// an optional one is left out; no value of a Secret is ever part of a message.
import { configMapKey, secretKey } from '@skerry/common/keys';
import type { ConfigMap, Secret } from '@skerry/common/kube/resources';
import { expand } from './expand.js';
import type { ContainerDef, EnvVar, Pod, References } from './types.js';

/** Facts about the node and the sandbox that fieldRef can ask for. */
export interface PodFacts {
  readonly nodeName: string;
  readonly hostIPs: readonly string[];
  readonly podIPs: readonly string[];
}

export type EnvResult =
  | { readonly kind: 'ok'; readonly env: Readonly<Record<string, string>>; readonly skipped: readonly string[] }
  /** Worded as the kubelet words a CreateContainerConfigError. */
  | { readonly kind: 'missing'; readonly message: string };

type Source = Readonly<Record<string, string>>;
type Kind = 'configmap' | 'secret';

/** Thrown inside this file only. */
class Missing extends Error {}

/** `base` are the runtime's own variables; the Pod's may use and replace them. `skipped` are names that no process can have. */
export function resolveEnv(
  pod: Pod,
  container: ContainerDef,
  references: References,
  facts: PodFacts,
  base: Readonly<Record<string, string>>,
): EnvResult {
  const env = new Map<string, string>(Object.entries(base));
  const skipped: string[] = [];
  try {
    for (const [name, value] of fromSources(pod, container, references)) {
      if (isEnvName(name)) env.set(name, value);
      else skipped.push(name);
    }
    for (const variable of container.env ?? []) {
      const value = variableValue(pod, variable, references, facts, env);
      if (value !== undefined) env.set(variable.name, value);
    }
  } catch (error) {
    if (error instanceof Missing) return { kind: 'missing', message: error.message };
    throw error;
  }
  return { kind: 'ok', env: Object.fromEntries(env), skipped };
}

function* fromSources(pod: Pod, container: ContainerDef, references: References): Generator<[string, string]> {
  for (const from of container.envFrom ?? []) {
    const prefix = from.prefix ?? '';
    const ref = from.configMapRef ?? from.secretRef;
    if (!ref) continue;
    const source = lookUp(pod, from.configMapRef ? 'configmap' : 'secret', ref.name ?? '', ref.optional, references);
    for (const [key, value] of Object.entries(source ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
      yield [prefix + key, value];
  }
}

function variableValue(
  pod: Pod,
  variable: EnvVar,
  references: References,
  facts: PodFacts,
  env: ReadonlyMap<string, string>,
): string | undefined {
  const from = variable.valueFrom;
  if (!from) return expand(variable.value ?? '', (name) => env.get(name));
  if (from.fieldRef) return fieldValue(pod, from.fieldRef.fieldPath, facts);
  const kind: Kind = from.configMapKeyRef ? 'configmap' : 'secret';
  const ref = from.configMapKeyRef ?? from.secretKeyRef;
  if (!ref) return undefined;
  const name = ref.name ?? '';
  const source = lookUp(pod, kind, name, ref.optional, references);
  if (!source) return undefined;
  const value = Object.hasOwn(source, ref.key) ? source[ref.key] : undefined;
  if (value === undefined && !ref.optional) {
    const what = kind === 'configmap' ? 'ConfigMap' : 'Secret';
    throw new Missing(`couldn't find key ${ref.key} in ${what} ${pod.metadata.namespace}/${name}`);
  }
  return value;
}

/** The data as text; undefined when absent and optional. */
function lookUp(
  pod: Pod,
  kind: Kind,
  name: string,
  optional: boolean | undefined,
  references: References,
): Source | undefined {
  const { namespace } = pod.metadata;
  const found = references.get(kind === 'configmap' ? configMapKey(namespace, name) : secretKey(namespace, name));
  if (found) return kind === 'configmap' ? ((found as ConfigMap).data ?? {}) : decoded(found as Secret);
  if (optional) return undefined;
  throw new Missing(`${kind} "${name}" not found`);
}

function decoded(secret: Secret): Source {
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

function fieldValue(pod: Pod, path: string, facts: PodFacts): string {
  const { metadata, spec } = pod;
  const member = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (member) return (member[1] === 'labels' ? metadata.labels : metadata.annotations)?.[member[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace;
    case 'metadata.uid':
      return metadata.uid;
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.hostIP':
      return facts.hostIPs[0] ?? '';
    case 'status.hostIPs':
      return facts.hostIPs.join(',');
    case 'status.podIP':
      return facts.podIPs[0] ?? '';
    case 'status.podIPs':
      return facts.podIPs.join(',');
    default:
      throw new Missing(`unsupported field path ${path}`);
  }
}

/** What a process can have as a variable's name. */
const isEnvName = (name: string): boolean => name !== '' && !/[=\0]/.test(name);
