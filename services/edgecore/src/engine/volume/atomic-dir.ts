// A directory whose files change all at once, laid out as Kubernetes does: the files live in ..<hash>/, ..data points there, and each visible
// name is a link through ..data. Invariant: a reader who opens ..data sees either the old set of files or the new one, also after a crash.
import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostUser } from '../runtime/runtime.js';
import type { VolumeFile } from './content.js';

const DATA = '..data';
const NEW_DATA = '..data_new';
const NEW_DIR = '..new';

/** Makes `dir` hold exactly `files`; true when something changed. `owner` gets the files where the engine may give them away. */
export async function writeAtomicDir(dir: string, files: readonly VolumeFile[], owner?: HostUser): Promise<boolean> {
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o755);
  const generation = `..${hashOf(files)}`;
  const current = await readlink(join(dir, DATA)).catch(() => undefined);
  const changed = current !== generation;
  if (changed) await swap(dir, generation, files, owner);
  // Also when nothing changed: a crash may have come between the swap and the links.
  await linkVisible(dir, files);
  await removeOthers(dir, generation);
  return changed;
}

function hashOf(files: readonly VolumeFile[]): string {
  const hash = createHash('sha256');
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, mode, data } of sorted) hash.update(JSON.stringify([path, mode, data.length])).update(data);
  return hash.digest('hex').slice(0, 32);
}

async function swap(dir: string, generation: string, files: readonly VolumeFile[], owner?: HostUser): Promise<void> {
  const fresh = join(dir, NEW_DIR);
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh);
  await chmod(fresh, 0o755);
  for (const file of files) await writeOne(join(fresh, file.path), file, owner);
  await rm(join(dir, generation), { recursive: true, force: true });
  await rename(fresh, join(dir, generation));
  await rm(join(dir, NEW_DATA), { force: true });
  await symlink(generation, join(dir, NEW_DATA));
  await rename(join(dir, NEW_DATA), join(dir, DATA));
}

async function writeOne(path: string, file: VolumeFile, owner?: HostUser): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(path, file.data, { mode: 0o600, flag: 'wx' });
  if (owner) await chown(path, owner.uid, owner.gid);
  // After chown, which clears set-id bits, and free of the umask.
  await chmod(path, file.mode & 0o7777);
}

async function linkVisible(dir: string, files: readonly VolumeFile[]): Promise<void> {
  const wanted = new Set(files.map(({ path }) => path.split('/')[0] ?? path));
  for (const name of wanted) {
    const target = join(DATA, name);
    const there = await readlink(join(dir, name)).catch(() => undefined);
    if (there === target) continue;
    await rm(join(dir, name), { recursive: true, force: true });
    await symlink(target, join(dir, name));
  }
  for (const name of await readdir(dir)) {
    const stale = !name.startsWith('..') && !wanted.has(name) && (await lstat(join(dir, name))).isSymbolicLink();
    if (stale) await rm(join(dir, name), { force: true });
  }
}

async function removeOthers(dir: string, generation: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const ours = name.startsWith('..') && name !== DATA && name !== generation;
    if (ours) await rm(join(dir, name), { recursive: true, force: true });
  }
}
