// The process runtime: containers are commands on the host, each beside a wrapper that outlives the engine (wrapper.ts).
// Invariants: what is on disk is the truth and is read anew each time; a command is started at most once per container, because only one
// wrapper can claim its folder; signals go only to processes whose identity was just checked.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '@skerry/common/clock';
import { SkerryError, systemCode } from '@skerry/common/errors';
import { passableFolder, writeFileAtomic } from '../../../disk/files.js';
import { isAlive, killProcess } from '../../../disk/process-identity.js';
import { readJson } from '../../read-json.js';
import type {
  Container,
  ContainerLabels,
  ContainerSpec,
  HostUser,
  PodRef,
  Runtime,
  RuntimePod,
  RuntimeProfile,
  Sandbox,
  SandboxSpec,
} from '../runtime.js';
import { type Look, lookAt } from './container-files.js';
import { createExitWatch } from './exit-watch.js';
import { checkPassage, resolveUser } from './host-user.js';
import { containerDir, containerId, isPodUid, parseContainerId, podDir, rootDir } from './layout.js';
import { killMarked } from './marked.js';
import { prepareRoot } from './root-folder.js';
import { spawnWrapper } from './spawn-wrapper.js';
import { FILES, MARK, WRAPPER_SOURCE } from './wrapper.js';

export interface ProcessRuntimeOptions {
  /** Owned by this runtime. */
  readonly dir: string;
  /** Name or uid:gid of the user that workloads run under; the engine's own when not given. */
  readonly user?: string;
  /** Of one container's output; twice as much is kept. */
  readonly maxLogBytes?: number;
  readonly clock: Clock;
}

interface SandboxRecord {
  readonly pod: PodRef;
  readonly attempt: number;
  readonly bootId: string;
  readonly createdAtMs: number;
  readonly graceMs: number;
}

interface ContainerRecord {
  readonly labels: ContainerLabels;
}

/** What is needed to start a container; never on disk, because Secrets are in it. */
interface Startable {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

const RECORD = 'container.json';
const SANDBOX = 'sandbox.json';
const WRAPPER = 'wrapper.cjs';
const DEFAULT_MAX_LOG_BYTES = 10 * 1024 * 1024;
/** The engine's own Node.js first: `command: [node, ...]` works on every node. */
const WORKLOAD_PATH = `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
const HOST_IMAGE_ID = 'process://host';

/** Throws what `resolveUser` throws. Linux only. */
export async function createProcessRuntime(options: ProcessRuntimeOptions): Promise<Runtime> {
  const { dir, clock, maxLogBytes = DEFAULT_MAX_LOG_BYTES } = options;
  const self: HostUser = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const user = options.user === undefined ? self : await resolveUser(options.user, self);
  const otherUser = user.uid === self.uid && user.gid === self.gid ? undefined : user;
  const bootId = await readBootId();
  const created = new Map<string, Startable>();
  /** Containers whose wrapper is our child: its end is told to us. */
  const attended = new Set<string>();
  const listeners = new Set<(podUid: string) => void>();
  const emit = (id: string): void => {
    for (const listener of listeners) listener(parseContainerId(id).podUid);
  };
  const watch = createExitWatch({ clock, hasEnded, onEnd: emit });

  const profile: RuntimeProfile = {
    name: 'process',
    version: process.version,
    sharesHost: true,
    runsImages: false,
    runtimeClasses: ['process'],
    user,
  };

  async function start(): Promise<void> {
    await passableFolder(dir);
    if (otherUser) await checkPassage(dir, otherUser);
    await writeFileAtomic(join(dir, WRAPPER), WRAPPER_SOURCE);
  }

  async function list(): Promise<readonly RuntimePod[]> {
    // What else lies here (lost+found of a file system) is not ours, and no reason to stop looking after Pods.
    const uids = (await readdir(dir, { withFileTypes: true })).filter((e) => e.isDirectory() && isPodUid(e.name));
    const pods = await Promise.all(uids.map(({ name }) => inspect(name)));
    return pods.filter((pod) => pod !== undefined);
  }

  async function inspect(podUid: string): Promise<RuntimePod | undefined> {
    const record = await readJson<SandboxRecord>(join(podDir(dir, podUid), SANDBOX));
    if (!record) return undefined;
    return { pod: record.pod, sandbox: sandboxOf(record), containers: await containersOf(podUid) };
  }

  function sandboxOf(record: SandboxRecord): Sandbox {
    const { attempt, createdAtMs, graceMs } = record;
    return { attempt, createdAtMs, graceMs, ready: record.bootId === bootId, ips: [] };
  }

  async function containersOf(podUid: string): Promise<readonly Container[]> {
    const found: Container[] = [];
    for (const name of await folders(podDir(dir, podUid))) {
      for (const attempt of await folders(join(podDir(dir, podUid), name))) {
        const folder = join(podDir(dir, podUid), name, attempt);
        const record = await readJson<ContainerRecord>(join(folder, RECORD));
        if (record) found.push(await containerOf(record.labels, folder));
      }
    }
    return found;
  }

  async function containerOf(labels: ContainerLabels, folder: string): Promise<Container> {
    const id = containerId(labels);
    const { state } = await look(id);
    return { id, labels, imageId: HOST_IMAGE_ID, logPath: join(folder, FILES.log), state };
  }

  /** A command that nobody of ours waits for is watched from now on. */
  async function look(id: string): Promise<Look> {
    const seen = await lookAt({ id, dir: containerDir(dir, id), bootId, nowMs: clock.nowMs() });
    const live = seen.state.kind === 'running' || seen.state.kind === 'starting';
    if (live && !attended.has(id)) watch.add(id);
    return seen;
  }

  async function hasEnded(id: string): Promise<boolean> {
    const seen = await lookAt({ id, dir: containerDir(dir, id), bootId, nowMs: clock.nowMs() });
    return seen.state.kind === 'exited' || seen.state.kind === 'created';
  }

  async function ensureSandbox(spec: SandboxSpec): Promise<Sandbox> {
    const folder = podDir(dir, spec.pod.uid);
    const before = await readJson<SandboxRecord>(join(folder, SANDBOX));
    if (before?.bootId === bootId) return sandboxOf(before);
    const attempt = before ? before.attempt + 1 : 0;
    const { pod, graceMs } = spec;
    const record: SandboxRecord = { pod, attempt, bootId, createdAtMs: clock.nowMs(), graceMs };
    await passableFolder(folder);
    await writeFileAtomic(join(folder, SANDBOX), JSON.stringify(record));
    return sandboxOf(record);
  }

  async function createContainer(spec: ContainerSpec): Promise<string> {
    const { labels } = spec;
    const id = containerId(labels);
    const sandbox = await readJson<SandboxRecord>(join(podDir(dir, labels.pod.uid), SANDBOX));
    if (sandbox?.bootId !== bootId)
      throw new SkerryError('failed_precondition', `Pod ${labels.pod.uid} has no sandbox: make one first`);
    const folder = containerDir(dir, id);
    if (await readJson(join(folder, RECORD))) throw new SkerryError('already_exists', `container ${id} exists`);
    // Without a record it is the rest of a creation or a removal that was cut short.
    await rm(folder, { recursive: true, force: true });
    const root = rootDir(dir, labels.pod.uid, labels.container);
    const cwd = await prepareRoot(root, spec.mounts, spec.workingDir, otherUser);
    const argv = [...spec.command, ...spec.args];
    await mkdir(folder, { mode: 0o700 });
    const record: ContainerRecord = { labels };
    await writeFileAtomic(join(folder, RECORD), JSON.stringify(record));
    created.set(id, { argv, cwd, env: { ...spec.env, [MARK]: id } });
    return id;
  }

  async function startContainer(id: string): Promise<void> {
    const startable = created.get(id);
    if (!startable) {
      throw new SkerryError(
        'failed_precondition',
        `container ${id} was created by an earlier engine: remove it, create it again`,
      );
    }
    created.delete(id);
    const spec = { id, bootId, maxLogBytes, ...startable, ...(otherUser ? { uid: user.uid, gid: user.gid } : {}) };
    attended.add(id);
    await spawnWrapper(join(dir, WRAPPER), containerDir(dir, id), spec, () => {
      attended.delete(id);
      emit(id);
    });
    if ((await look(id)).state.kind === 'created')
      throw new SkerryError('unavailable', `the wrapper of ${id} ended before it began: are memory and disk full?`);
  }

  async function stopContainer(id: string): Promise<void> {
    const { running } = await look(id);
    // As in a container the first process is told, and decides about the others.
    if (running) await killProcess(running.identity, 'SIGTERM');
  }

  async function killContainer(id: string): Promise<void> {
    const { running } = await look(id);
    if (!running) return;
    if (await isAlive(running.identity)) killGroup(running.identity.pid);
    await killMarked(id);
  }

  async function removeContainer(id: string): Promise<void> {
    const folder = containerDir(dir, id);
    if (!(await readJson(join(folder, RECORD)))) return;
    const { state } = await look(id);
    // A wrapper that is late finds the folder claimed.
    if (
      state.kind === 'running' ||
      state.kind === 'starting' ||
      (state.kind === 'created' && !(await claimToRemove(folder)))
    )
      throw new SkerryError('failed_precondition', `container ${id} runs: stop it first`);
    created.delete(id);
    // The record first: without it the rest is nothing that anybody sees.
    await rm(join(folder, RECORD), { force: true });
    await rm(folder, { recursive: true, force: true });
  }

  async function removeSandbox(podUid: string): Promise<void> {
    const left = await containersOf(podUid);
    if (left.length > 0)
      throw new SkerryError('failed_precondition', `Pod ${podUid} still has containers: remove them first`);
    await rm(podDir(dir, podUid), { recursive: true, force: true });
  }

  return {
    profile,
    start,
    async stop() {
      watch.stop();
    },
    list,
    inspect,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    environment(podUid, container) {
      const root = rootDir(dir, podUid, container);
      return { PATH: WORKLOAD_PATH, HOME: root, HOSTNAME: hostname(), SKERRY_ROOT: root };
    },
    async ensureImage() {
      // There is nothing to pull: the command is the host's.
    },
    ensureSandbox,
    createContainer,
    startContainer,
    stopContainer,
    killContainer,
    removeContainer,
    removeSandbox,
  };
}

/** Names one boot: pids and start times are compared only within it. */
async function readBootId(): Promise<string> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch (error) {
    throw new SkerryError('unsupported', 'the process runtime needs Linux with /proc', { cause: error });
  }
}

/** Folders by name; none when `path` does not exist. */
async function folders(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** The command leads a group of its own. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

/** Takes the folder before a wrapper does; false when a wrapper was faster. */
async function claimToRemove(folder: string): Promise<boolean> {
  try {
    await writeFile(join(folder, FILES.claim), JSON.stringify({ removed: true }), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    return (await readJson<{ removed?: boolean }>(join(folder, FILES.claim)))?.removed ?? false;
  }
}
