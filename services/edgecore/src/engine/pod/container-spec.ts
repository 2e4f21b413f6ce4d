// What the runtime is asked for, made from a container of a Pod: pure, so that the same Pod always asks for the same.
import { contentHash } from '@skerry/common/version';
import type { ContainerSpec, Mount } from '../runtime/runtime.js';
import { type PodFacts, resolveEnv } from './env.js';
import { expand } from './expand.js';
import type { ContainerDef, Pod, References } from './types.js';

export interface SpecInputs {
  readonly pod: Pod;
  readonly container: ContainerDef;
  readonly references: References;
  readonly facts: PodFacts;
  /** The runtime's own variables for this container. */
  readonly environment: Readonly<Record<string, string>>;
  /** Directory of a volume on the host. */
  readonly volumePath: (volume: string) => string;
}

export type SpecResult =
  | { readonly kind: 'ok'; readonly spec: Omit<ContainerSpec, 'labels'>; readonly skippedEnv: readonly string[] }
  | { readonly kind: 'missing'; readonly message: string };

export function containerSpec(inputs: SpecInputs): SpecResult {
  const { pod, container, references, facts, environment } = inputs;
  const resolved = resolveEnv(pod, container, references, facts, environment);
  if (resolved.kind === 'missing') return resolved;
  const expandAll = (texts: readonly string[] | undefined): string[] =>
    (texts ?? []).map((text) => expand(text, (name) => resolved.env[name]));
  return {
    kind: 'ok',
    skippedEnv: resolved.skipped,
    spec: {
      image: container.image ?? '',
      command: expandAll(container.command),
      args: expandAll(container.args),
      env: resolved.env,
      ...(container.workingDir ? { workingDir: container.workingDir } : {}),
      mounts: mountsOf(container, inputs.volumePath),
    },
  };
}

function mountsOf(container: ContainerDef, volumePath: (volume: string) => string): Mount[] {
  return (container.volumeMounts ?? []).map((mount) => ({
    hostPath: volumePath(mount.name),
    containerPath: mount.mountPath,
    readOnly: mount.readOnly ?? false,
  }));
}

/** The parts of a running container's spec that Kubernetes lets change: another hash asks for a new container. */
export function specHashOf(container: ContainerDef): string {
  return contentHash({ name: container.name, image: container.image });
}
