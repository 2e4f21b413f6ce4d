// Files that survive a crash: written whole or not at all, and set aside rather than deleted when they cannot be read.
// Invariant: when these functions resolve, the result is on disk, the folder's entry included.
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '@skerry/common/errors';

const QUARANTINE_MARK = '.quarantined-';
/** Quarantined copies that are kept of one file; older ones are removed. */
const QUARANTINE_KEEP = 3;

/** Replaces `path` with `data`: a reader sees the old content or the new one. */
export async function writeFileAtomic(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.new-${randomBytes(4).toString('hex')}`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

export async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A folder that only its owner may enter. */
export async function privateFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
}

/** A folder that others may pass through, but not look around in, whatever made it before and under whatever umask. */
export async function passableFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o711 });
  await chmod(dir, 0o711);
}

/** Moves a file or folder aside; resolves with its new path, undefined when there is none. */
export async function quarantine(path: string, nowMs: number): Promise<string | undefined> {
  return setAside(path, nowMs, rename);
}

/** Copies a file aside before it is repaired in place. */
export async function quarantineCopy(path: string, nowMs: number): Promise<string | undefined> {
  return setAside(path, nowMs, copyFile);
}

async function setAside(
  path: string,
  nowMs: number,
  move: (from: string, to: string) => Promise<void>,
): Promise<string | undefined> {
  const stamp = String(nowMs).padStart(15, '0');
  const target = `${path}${QUARANTINE_MARK}${stamp}-${randomBytes(3).toString('hex')}`;
  try {
    await move(path, target);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  await forgetOldest(path);
  await syncFolder(dirname(path));
  return target;
}

/** Names carry the time first, so that sorting them sorts by age. */
async function forgetOldest(path: string): Promise<void> {
  const prefix = `${basename(path)}${QUARANTINE_MARK}`;
  const kept = (await readdir(dirname(path))).filter((name) => name.startsWith(prefix)).sort();
  for (const name of kept.slice(0, -QUARANTINE_KEEP))
    await rm(join(dirname(path), name), { recursive: true, force: true });
}
