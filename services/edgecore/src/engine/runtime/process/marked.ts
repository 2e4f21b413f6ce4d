// Processes of a container by the mark in their first environment: how they are found when the wrapper that knew them is gone.
import { readdir, readFile } from 'node:fs/promises';
import { identifyProcess, killProcess, type ProcessIdentity } from '../../../disk/process-identity.js';
import { MARK } from './wrapper.js';

/** Oldest first. */
export async function findMarked(id: string): Promise<readonly ProcessIdentity[]> {
  const mark = `\0${MARK}=${id}\0`;
  const found: ProcessIdentity[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // Identity first: should the pid change hands in between, the environment read is not the identity's and the kill misses.
    const identity = await identifyProcess(Number(name));
    const environ = identity && (await readFile(`/proc/${name}/environ`, 'latin1').catch(() => ''));
    if (identity && `\0${environ}`.includes(mark)) found.push(identity);
  }
  return found.sort((a, b) => Number(a.startTicks) - Number(b.startTicks));
}

const MAX_ROUNDS = 10;

/** Kills all of them, also those that appear meanwhile; false when some are left after a bounded number of rounds. */
export async function killMarked(id: string): Promise<boolean> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const found = await findMarked(id);
    if (found.length === 0) return true;
    for (const identity of found) await killProcess(identity, 'SIGKILL');
  }
  return false;
}
