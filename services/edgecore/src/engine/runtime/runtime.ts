// The narrow face between the engine and whatever runs containers; shaped so that CRI, Docker or plain processes can stand behind it.
// Invariants of every implementation, checked by one contract suite: a container is (Pod UID, name, attempt) and is created at most once;
// what runs survives the engine; events are hints to look again, never facts; a workload's own failure to start is an exit, not an error.
import type { ObjectMeta } from '@skerry/common/kube/object';

/** What a runtime can and cannot enforce; admission refuses what it cannot (pod/fields.ts). */
export interface RuntimeProfile {
  /** Scheme of container and image ids in statuses, for example "process". */
  readonly name: string;
  readonly version: string;
  /** The containers share the host's namespaces and files: Pods must say so (hostNetwork) and may not ask for isolation. */
  readonly sharesHost: boolean;
  /** The command comes from the image when the Pod gives none. */
  readonly runsImages: boolean;
  /** Values of spec.runtimeClassName that are accepted, besides none. */
  readonly runtimeClasses: readonly string[];
  /** The user that workloads run under, where there is one for all. */
  readonly user?: HostUser;
}

export interface HostUser {
  readonly uid: number;
  readonly gid: number;
}

/** Which Pod something belongs to; enough to find its owner again after the engine lost its memory. */
export interface PodRef {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

export interface SandboxSpec {
  readonly pod: PodRef;
  /** For runtimes that read hints from them (fake). */
  readonly annotations: NonNullable<ObjectMeta['annotations']>;
  readonly hostNetwork: boolean;
  /** Kept with the sandbox so that an orphan is stopped with its own grace. */
  readonly graceMs: number;
}

/** The shared part of a Pod: directory, network. A new one (next attempt) is made when the old one died, as by a reboot. */
export interface Sandbox {
  readonly attempt: number;
  readonly ready: boolean;
  readonly createdAtMs: number;
  readonly graceMs: number;
  /** Addresses of its own; empty on the host's network. */
  readonly ips: readonly string[];
}

export type ContainerKind = 'init' | 'main';

/** Kept with the container by the runtime. What the engine must know about a container after a restart is in here. */
export interface ContainerLabels {
  readonly pod: PodRef;
  readonly container: string;
  readonly kind: ContainerKind;
  /** 0 for the first; the restart count. */
  readonly attempt: number;
  readonly sandboxAttempt: number;
  /** Of the parts of the spec whose change asks for a new container. */
  readonly specHash: string;
  /** The crash back-off that a restart after this attempt has to wait. */
  readonly backoffMs: number;
}

export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
}

export interface ContainerSpec {
  readonly labels: ContainerLabels;
  readonly image: string;
  /** Replaces the image's entry point; empty: the image's. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly mounts: readonly Mount[];
}

export interface ImageRequest {
  readonly image: string;
  readonly pod: PodRef;
  readonly container: string;
}

export interface ExitInfo {
  /** 128 + signal for a container that a signal ended. */
  readonly exitCode: number;
  readonly signal?: string;
  readonly startedAtMs?: number;
  readonly finishedAtMs: number;
  readonly oom: boolean;
  /** Only where the code alone does not tell: "StartError", "Unknown". */
  readonly reason?: string;
  readonly message?: string;
}

export type ContainerState =
  | { readonly kind: 'created' }
  /** Asked to start, not yet running. */
  | { readonly kind: 'starting' }
  | { readonly kind: 'running'; readonly startedAtMs: number; readonly pid?: number }
  | { readonly kind: 'exited'; readonly exit: ExitInfo };

export interface Container {
  readonly id: string;
  readonly labels: ContainerLabels;
  readonly imageId: string;
  /** File on the host that holds its output; empty where there is none. */
  readonly logPath: string;
  readonly state: ContainerState;
}

export interface RuntimePod {
  readonly pod: PodRef;
  readonly sandbox?: Sandbox;
  readonly containers: readonly Container[];
}

export interface Runtime {
  readonly profile: RuntimeProfile;
  /** Throws when the configuration cannot work; a runtime that is merely away fails its calls with `unavailable`. */
  start(): Promise<void>;
  /** Lets go. Containers keep running. */
  stop(): Promise<void>;

  /** Everything that is there, of all Pods. Throws `unavailable` when the runtime is gone. */
  list(): Promise<readonly RuntimePod[]>;
  /** One Pod, undefined when nothing of it is there. */
  inspect(podUid: string): Promise<RuntimePod | undefined>;
  /** Calls back with a Pod's UID when it is worth looking at again. Returns the way to unsubscribe. */
  subscribe(listener: (podUid: string) => void): () => void;

  /** Variables that the runtime defines for a container before the Pod's own. */
  environment(podUid: string, container: string): Readonly<Record<string, string>>;
  /** Makes the image usable. Throws `not_found` or `unavailable`, the message for people, when it cannot be had. */
  ensureImage(request: ImageRequest): Promise<void>;
  /** The sandbox, a new one when there is none or the last is not ready. */
  ensureSandbox(spec: SandboxSpec): Promise<Sandbox>;
  /** Returns the id. Throws `already_exists` when this attempt was created before, `failed_precondition` without a ready sandbox. */
  createContainer(spec: ContainerSpec): Promise<string>;
  /** Starts a created container, at most once whoever calls; a workload that cannot be started is found exited with 128. */
  startContainer(id: string): Promise<void>;
  /** Asks it to end. Does not wait; `graceMs` tells a runtime that kills by itself when. Harmless when it does not run. */
  stopContainer(id: string, graceMs: number): Promise<void>;
  /** Ends it now, with all that it started. Does not wait for the exit to be seen. */
  killContainer(id: string): Promise<void>;
  /** Forgets a container. Throws `failed_precondition` while it runs; one that is gone is fine. */
  removeContainer(id: string): Promise<void>;
  /** Removes what the Pod shared. Throws `failed_precondition` while it has containers. */
  removeSandbox(podUid: string): Promise<void>;
}

/** True for a container that may be doing work. */
export function isLive(container: Container): boolean {
  return container.state.kind === 'starting' || container.state.kind === 'running';
}
