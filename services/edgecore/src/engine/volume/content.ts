// Which files a ConfigMap or Secret volume holds. Pure.
// Invariants: a path stays inside its volume; a required source or key that is missing is an error that names it, and nothing is written.
import { configMapKey, secretKey } from '@skerry/common/keys';
import type { ConfigMap, Secret } from '@skerry/common/kube/resources';
import type { Pod, References, VolumeDef } from '../pod/types.js';

export interface VolumeFile {
  /** Relative to the volume. */
  readonly path: string;
  readonly data: Buffer;
  readonly mode: number;
}

export type VolumeContent =
  | { readonly kind: 'files'; readonly files: readonly VolumeFile[] }
  | { readonly kind: 'missing'; readonly message: string };

/** Kubernetes' default for ConfigMap and Secret volumes. */
const DEFAULT_MODE = 0o644;

/** The files of a volume with a `configMap` or `secret`; undefined for other volumes. */
export function contentOf(pod: Pod, volume: VolumeDef, references: References): VolumeContent | undefined {
  const { namespace } = pod.metadata;
  if (volume.configMap) {
    const name = volume.configMap.name ?? '';
    const object = references.get(configMapKey(namespace, name)) as ConfigMap | null | undefined;
    const what = { kind: 'configmap', namespace, name };
    return select(volume.configMap, object ? configMapData(object) : undefined, what);
  }
  if (volume.secret) {
    const name = volume.secret.secretName ?? '';
    const object = references.get(secretKey(namespace, name)) as Secret | null | undefined;
    return select(volume.secret, object ? base64Data(object.data) : undefined, { kind: 'secret', namespace, name });
  }
  return undefined;
}

interface Selection {
  readonly items?: readonly { readonly key: string; readonly path: string; readonly mode?: number }[];
  readonly defaultMode?: number;
  readonly optional?: boolean;
}

type Data = ReadonlyMap<string, Buffer>;
type Named = { readonly kind: string; readonly namespace: string; readonly name: string };

function select(selection: Selection, data: Data | undefined, source: Named): VolumeContent {
  if (!data) return selection.optional ? files([]) : missing(`${source.kind} "${source.name}" not found`);
  const mode = selection.defaultMode ?? DEFAULT_MODE;
  if (!selection.items?.length) return checked([...data].map(([path, bytes]) => ({ path, data: bytes, mode })));
  const chosen: VolumeFile[] = [];
  for (const item of selection.items) {
    const bytes = data.get(item.key);
    if (bytes) chosen.push({ path: item.path, data: bytes, mode: item.mode ?? mode });
    else if (!selection.optional) {
      return missing(
        `${source.kind} ${source.namespace}/${source.name} has no key "${item.key}", which the volume asks for`,
      );
    }
  }
  return checked(chosen);
}

function checked(chosen: readonly VolumeFile[]): VolumeContent {
  const bad = chosen.find(({ path }) => !isInside(path));
  return bad ? missing(`the path "${bad.path}" leaves the volume`) : files(chosen);
}

function isInside(path: string): boolean {
  const segments = path.split('/');
  return !path.startsWith('..') && segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

function configMapData(object: ConfigMap): Data {
  const text = Object.entries(object.data ?? {}).map(([key, value]): [string, Buffer] => [key, Buffer.from(value)]);
  return new Map([...text, ...base64Data(object.binaryData)]);
}

function base64Data(data: Readonly<Record<string, string>> | undefined): Data {
  return new Map(Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}

const files = (list: readonly VolumeFile[]): VolumeContent => ({ kind: 'files', files: list });
const missing = (message: string): VolumeContent => ({ kind: 'missing', message });
