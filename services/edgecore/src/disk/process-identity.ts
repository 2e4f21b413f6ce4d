// Which process a pid means. A pid alone is reused; together with its start time it names one process of this boot.
import { readFile } from 'node:fs/promises';

/** Fields after the command name in /proc/<pid>/stat: state is the first, start time the twentieth (proc(5)). */
const START_TIME = 19;

export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot, as text. */
  readonly startTicks: string;
}

/** The identity of a live process; undefined when there is none (a zombie counts as none), or no /proc. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The command name may hold spaces and parentheses: the last one closes it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields[START_TIME];
  if (startTicks === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, startTicks };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now?.startTicks === identity.startTicks;
}

/** Kills exactly this process; false when it is already gone. */
export async function killProcess(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isAlive(identity))) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}
