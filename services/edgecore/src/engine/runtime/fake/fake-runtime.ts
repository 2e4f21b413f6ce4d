// Containers that are only told about: scripted, in memory, driven by a clock. For tests, and for simulating thousands of nodes.
// Invariants: the same contract as every runtime; a container costs one small object and at most one timer; the world outlives a runtime, as a
// daemon outlives the engine.
import type { Clock, Timer } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import type {
  Container,
  ContainerSpec,
  ContainerState,
  ExitInfo,
  PodRef,
  Runtime,
  RuntimeProfile,
  Sandbox,
  SandboxSpec,
} from '../runtime.js';
import { type FakeScript, type FakeScripts, parseScripts, scriptFor } from './script.js';

interface FakeContainer {
  readonly spec: ContainerSpec;
  readonly script: FakeScript;
  state: ContainerState;
  timer: Timer | undefined;
}

interface FakePod {
  readonly pod: PodRef;
  readonly scripts: FakeScripts;
  sandbox: Sandbox;
  readonly containers: Map<string, FakeContainer>;
}

/** What would be the daemon and its containers. */
export interface FakeWorld {
  readonly pods: Map<string, FakePod>;
  /** While set, every call fails with it: the daemon is gone. */
  outage: SkerryError | undefined;
  /** As by a reboot: nothing runs, sandboxes are dead. */
  reboot(): void;
}

export interface FakeRuntimeOptions {
  readonly clock: Clock;
  readonly world?: FakeWorld;
  /** Besides the annotation of each Pod. */
  readonly scripts?: FakeScripts;
}

const SIGKILL_EXIT = 137;
const SIGTERM_EXIT = 143;

export function createFakeWorld(clock: Clock): FakeWorld {
  const pods = new Map<string, FakePod>();
  return {
    pods,
    outage: undefined,
    reboot() {
      for (const pod of pods.values()) {
        pod.sandbox = { ...pod.sandbox, ready: false };
        for (const container of pod.containers.values()) {
          container.timer?.cancel();
          if (container.state.kind === 'created' || container.state.kind === 'exited') continue;
          container.state = {
            kind: 'exited',
            exit: exitOf(container.state, clock, { exitCode: 255, reason: 'Unknown' }),
          };
        }
      }
    },
  };
}

export function createFakeRuntime(options: FakeRuntimeOptions): Runtime {
  const { clock, world = createFakeWorld(options.clock) } = options;
  const listeners = new Set<(podUid: string) => void>();
  const profile: RuntimeProfile = {
    name: 'fake',
    version: '1',
    sharesHost: false,
    runsImages: true,
    runtimeClasses: ['fake'],
  };

  function reach(): void {
    if (world.outage) throw world.outage;
  }

  function find(id: string): FakeContainer | undefined {
    reach();
    return world.pods.get(id.split('_')[0] ?? '')?.containers.get(id);
  }

  function become(container: FakeContainer, state: ContainerState): void {
    container.timer?.cancel();
    container.timer = undefined;
    container.state = state;
    for (const listener of listeners) listener(container.spec.labels.pod.uid);
  }

  function end(container: FakeContainer, how: Partial<ExitInfo> & { exitCode: number }): void {
    if (container.state.kind === 'exited') return;
    become(container, { kind: 'exited', exit: exitOf(container.state, clock, how) });
  }

  function run(container: FakeContainer): void {
    const { script, spec } = container;
    become(container, { kind: 'running', startedAtMs: clock.nowMs() });
    const ends = script.exitAfterMs !== undefined && spec.labels.attempt < (script.times ?? Number.POSITIVE_INFINITY);
    if (!ends) return;
    const how = script.oom
      ? { exitCode: SIGKILL_EXIT, signal: 'SIGKILL', oom: true }
      : { exitCode: script.exitCode ?? 0 };
    container.timer = clock.after(script.exitAfterMs ?? 0, () => end(container, how));
  }

  async function ensureSandbox(spec: SandboxSpec): Promise<Sandbox> {
    reach();
    const { uid } = spec.pod;
    const before = world.pods.get(uid);
    if (before?.sandbox.ready) return before.sandbox;
    const attempt = before ? before.sandbox.attempt + 1 : 0;
    const ips = spec.hostNetwork ? [] : [addressOf(uid)];
    const sandbox: Sandbox = { attempt, ready: true, createdAtMs: clock.nowMs(), graceMs: spec.graceMs, ips };
    if (before) before.sandbox = sandbox;
    else {
      const scripts = { ...options.scripts, ...parseScripts(spec.annotations) };
      world.pods.set(uid, { pod: spec.pod, scripts, sandbox, containers: new Map() });
    }
    return sandbox;
  }

  async function createContainer(spec: ContainerSpec): Promise<string> {
    reach();
    const { pod, container, attempt } = spec.labels;
    const owner = world.pods.get(pod.uid);
    if (!owner?.sandbox.ready)
      throw new SkerryError('failed_precondition', `Pod ${pod.uid} has no sandbox: make one first`);
    const id = `${pod.uid}_${container}_${attempt}`;
    if (owner.containers.has(id)) throw new SkerryError('already_exists', `container ${id} exists`);
    const script = scriptFor(owner.scripts, container);
    owner.containers.set(id, { spec, script, state: { kind: 'created' }, timer: undefined });
    return id;
  }

  async function startContainer(id: string): Promise<void> {
    const container = find(id);
    if (container?.state.kind !== 'created')
      throw new SkerryError('failed_precondition', `container ${id} is not a created one`);
    const { startError, startDelayMs = 0 } = container.script;
    if (startError !== undefined) return end(container, { exitCode: 128, reason: 'StartError', message: startError });
    if (startDelayMs === 0) return run(container);
    become(container, { kind: 'starting' });
    container.timer = clock.after(startDelayMs, () => run(container));
  }

  async function stopContainer(id: string): Promise<void> {
    const container = find(id);
    if (container?.state.kind !== 'running') return;
    const { stopDelayMs = 0 } = container.script;
    if (stopDelayMs === 'never') return;
    const stopped = { exitCode: SIGTERM_EXIT, signal: 'SIGTERM' };
    if (stopDelayMs === 0) return end(container, stopped);
    container.timer?.cancel();
    container.timer = clock.after(stopDelayMs, () => end(container, stopped));
  }

  return {
    profile,
    async start() {
      // The world is there already.
    },
    async stop() {
      listeners.clear();
    },
    async list() {
      reach();
      return [...world.pods.values()].map(view);
    },
    async inspect(podUid) {
      reach();
      const pod = world.pods.get(podUid);
      return pod && view(pod);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    environment: () => ({ SKERRY_ROOT: '' }),
    async ensureImage({ pod, container }) {
      reach();
      const { pullError } = scriptFor(world.pods.get(pod.uid)?.scripts ?? {}, container);
      if (pullError !== undefined) throw new SkerryError('not_found', pullError);
    },
    ensureSandbox,
    createContainer,
    startContainer,
    stopContainer,
    async killContainer(id) {
      const container = find(id);
      if (container?.state.kind === 'running' || container?.state.kind === 'starting')
        end(container, { exitCode: SIGKILL_EXIT, signal: 'SIGKILL' });
    },
    async removeContainer(id) {
      const container = find(id);
      if (container?.state.kind === 'running' || container?.state.kind === 'starting')
        throw new SkerryError('failed_precondition', `container ${id} runs: stop it first`);
      if (container) world.pods.get(container.spec.labels.pod.uid)?.containers.delete(id);
    },
    async removeSandbox(podUid) {
      reach();
      if (world.pods.get(podUid)?.containers.size)
        throw new SkerryError('failed_precondition', `Pod ${podUid} still has containers: remove them first`);
      world.pods.delete(podUid);
    },
  };
}

function view(pod: FakePod) {
  const containers = [...pod.containers].map(
    ([id, { spec, state }]): Container => ({
      id,
      labels: spec.labels,
      imageId: `fake://${spec.image}`,
      logPath: '',
      state,
    }),
  );
  return { pod: pod.pod, sandbox: pod.sandbox, containers };
}

function exitOf(state: ContainerState, clock: Clock, how: Partial<ExitInfo> & { exitCode: number }): ExitInfo {
  const started = state.kind === 'running' ? { startedAtMs: state.startedAtMs } : {};
  return { ...started, finishedAtMs: clock.nowMs(), oom: false, ...how };
}

/** An address in 10/8 that stays with the Pod; nothing listens there. */
function addressOf(uid: string): string {
  let hash = 0;
  for (const char of uid) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return `10.${(hash >>> 16) & 255}.${(hash >>> 8) & 255}.${(hash & 253) + 1}`;
}
