// What a container's folder says about it, and the repair of what a killed wrapper left unsaid.
// Invariants: the answer never depends on a pid alone; an exit is told only when nothing of the container runs; a command whose wrapper died
// goes on, and is found again by its mark.
import { join } from 'node:path';
import { writeFileAtomic } from '../../../disk/files.js';
import { isAlive, type ProcessIdentity } from '../../../disk/process-identity.js';
import { readJson } from '../../read-json.js';
import type { ContainerState, ExitInfo } from '../runtime.js';
import { findMarked, killMarked } from './marked.js';
import { FILES } from './wrapper.js';

interface Claim extends ProcessIdentity {
  readonly bootId: string;
  /** Taken by the engine, so that no wrapper starts what is being removed. */
  readonly removed?: boolean;
}

interface Started extends ProcessIdentity {
  readonly startedAtMs: number;
}

export interface LookContext {
  readonly id: string;
  readonly dir: string;
  readonly bootId: string;
  readonly nowMs: number;
}

/** The process of a running container. */
export interface Running {
  readonly identity: ProcessIdentity;
  /** The wrapper is gone: nobody will write the exit down but us. */
  readonly alone: boolean;
}

export interface Look {
  readonly state: ContainerState;
  readonly running?: Running;
}

/** As containerd tells an exit that nobody saw. */
const UNKNOWN_EXIT = 255;
const START_ERROR = 128;

export async function lookAt(context: LookContext): Promise<Look> {
  const { dir, bootId } = context;
  const exit = await readJson<ExitInfo>(join(dir, FILES.exit));
  if (exit) return exited(exit);
  const claim = await readJson<Claim>(join(dir, FILES.claim));
  if (!claim || claim.removed) return { state: { kind: 'created' } };
  const thisBoot = claim.bootId === bootId;
  const wrapperAlive = thisBoot && (await isAlive(claim));
  const started = await readJson<Started>(join(dir, FILES.started));
  if (started && thisBoot && (await isAlive(started))) return running(started, !wrapperAlive);
  // The wrapper sees to the rest: the exit is being written, or the command is being started.
  if (wrapperAlive) return started ? running(started, false) : { state: { kind: 'starting' } };
  return repair(context, thisBoot, started);
}

/** The wrapper is dead: what it did not write is found out. */
async function repair(context: LookContext, thisBoot: boolean, before: Started | undefined): Promise<Look> {
  const { id, dir, nowMs } = context;
  const exit = await readJson<ExitInfo>(join(dir, FILES.exit));
  if (exit) return exited(exit);
  const started = before ?? (await readJson<Started>(join(dir, FILES.started)));
  if (thisBoot && !started) {
    const [oldest] = await findMarked(id);
    if (oldest) {
      const found: Started = { ...oldest, startedAtMs: nowMs };
      await writeFileAtomic(join(dir, FILES.started), JSON.stringify(found));
      return running(found, true);
    }
  }
  if (thisBoot) await killMarked(id);
  const found = started ? lostExit(started, nowMs) : neverStarted(nowMs);
  await writeFileAtomic(join(dir, FILES.exit), JSON.stringify(found));
  return exited(found);
}

function lostExit(started: Started, nowMs: number): ExitInfo {
  return {
    exitCode: UNKNOWN_EXIT,
    startedAtMs: started.startedAtMs,
    finishedAtMs: nowMs,
    oom: false,
    reason: 'Unknown',
    message: 'it ended while nobody watched: by a reboot, or its wrapper was killed',
  };
}

function neverStarted(nowMs: number): ExitInfo {
  const message = 'its wrapper ended before the command was started';
  return { exitCode: START_ERROR, finishedAtMs: nowMs, oom: false, reason: 'StartError', message };
}

const exited = (exit: ExitInfo): Look => ({ state: { kind: 'exited', exit: { ...exit, oom: exit.oom ?? false } } });

function running(started: Started, alone: boolean): Look {
  const { pid, startTicks, startedAtMs } = started;
  return { state: { kind: 'running', startedAtMs, pid }, running: { identity: { pid, startTicks }, alone } };
}
