// Whether this node can honour a Pod, decided once, before anything of it starts.
// Invariant: the answer names every field in the way of it, so that one edit of the Pod is enough.
import { mountPoint } from '../mount-point.js';
import type { RuntimeProfile } from '../runtime/runtime.js';
import { podSpec } from './fields.js';
import { type Violation, violations } from './rules.js';
import { type ContainerDef, initContainers, type Pod, type Verdict } from './types.js';

export const UNSUPPORTED = 'UnsupportedByNode';
const MAX_NAMED = 5;
const NO_COMMAND = 'this runtime runs commands on the host, not images: give command or args';

/** The verdict on a Pod that cannot run here as it asks, undefined for one that can. */
export function refusalOf(pod: Pod, runtime: RuntimeProfile): Verdict | undefined {
  const found = podViolations(pod, runtime);
  if (found.length === 0) return undefined;
  const named = found.slice(0, MAX_NAMED).map(({ path, because }) => `${path}: ${because}`);
  const rest = found.length > MAX_NAMED ? `; and ${found.length - MAX_NAMED} more` : '';
  return { reason: UNSUPPORTED, message: `The node cannot run this Pod: ${named.join('; ')}${rest}` };
}

export function podViolations(pod: Pod, runtime: RuntimeProfile): readonly Violation[] {
  const found = violations(pod.spec, podSpec, 'spec', runtime);
  return [...found, ...namesAndMounts(pod), ...(runtime.sharesHost ? onTheHost(pod, runtime) : [])];
}

function eachContainer<T>(pod: Pod, fn: (container: ContainerDef, path: string) => readonly T[]): T[] {
  return [
    ...initContainers(pod).flatMap((container, i) => fn(container, `spec.initContainers[${i}]`)),
    ...pod.spec.containers.flatMap((container, i) => fn(container, `spec.containers[${i}]`)),
  ];
}

/** What the API server checks too; checked again because a name becomes a path here. */
function namesAndMounts(pod: Pod): Violation[] {
  const volumes = new Set((pod.spec.volumes ?? []).map((volume) => volume.name));
  const badVolumes = (pod.spec.volumes ?? []).flatMap((volume, i) =>
    isDnsLabel(volume.name) ? [] : [{ path: `spec.volumes[${i}].name`, because: 'it is not a DNS label' }],
  );
  const seen = new Set<string>();
  const inContainers = eachContainer(pod, (container, path) => {
    const name = `${path}.name`;
    const found: Violation[] = [];
    if (!isDnsLabel(container.name)) found.push({ path: name, because: 'it is not a DNS label' });
    if (seen.has(container.name)) found.push({ path: name, because: 'another container has the same name' });
    seen.add(container.name);
    for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
      if (!volumes.has(mount.name))
        found.push({ path: `${path}.volumeMounts[${i}].name`, because: `there is no volume "${mount.name}"` });
    }
    return found;
  });
  return [...badVolumes, ...inContainers];
}

/** What cannot be had where a container is a command on the host. */
function onTheHost(pod: Pod, runtime: RuntimeProfile): Violation[] {
  const network: Violation[] = pod.spec.hostNetwork
    ? []
    : [
        {
          path: 'spec.hostNetwork',
          because: 'this runtime runs commands on the host’s network: set hostNetwork: true',
        },
      ];
  const writable = new Set(
    (pod.spec.volumes ?? []).filter((volume) => !volume.configMap && !volume.secret).map((volume) => volume.name),
  );
  const inContainers = eachContainer(pod, (container, path) => {
    const found: Violation[] = [];
    if (!runtime.runsImages && !container.command?.length && !container.args?.length)
      found.push({ path: `${path}.command`, because: NO_COMMAND });
    for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
      if (mount.readOnly && writable.has(mount.name))
        found.push({
          path: `${path}.volumeMounts[${i}].readOnly`,
          because: 'emptyDir and hostPath volumes cannot be made read-only on this runtime; remove it',
        });
    }
    return [...found, ...overlaps(container, path)];
  });
  return [...network, ...inContainers];
}

/** Volumes are symbolic links there: one inside another would be made inside the volume itself. */
function overlaps(container: ContainerDef, path: string): Violation[] {
  const paths = (container.volumeMounts ?? []).map((mount) => mountPoint(mount.mountPath));
  return paths.flatMap((inner, i) => {
    if (inner === '/')
      return [{ path: `${path}.volumeMounts[${i}].mountPath`, because: 'a volume cannot be the root' }];
    const outer = paths.find((other, j) => i !== j && (inner.startsWith(`${other}/`) || (inner === other && j < i)));
    if (outer === undefined) return [];
    return [{ path: `${path}.volumeMounts[${i}].mountPath`, because: `it lies in the volume at ${outer}` }];
  });
}

const isDnsLabel = (name: string): boolean => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);
