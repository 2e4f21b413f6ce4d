// A container's root folder on the host. Volumes are symbolic links in it; a working directory at or below a mount point is the volume's own.
// Invariant: what is made lies in the root folder; a volume's content is never touched.
import { chown, lstat, mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { SkerryError } from '@skerry/common/errors';
import { passableFolder } from '../../../disk/files.js';
import { mountPoint } from '../../mount-point.js';
import type { HostUser, Mount } from '../runtime.js';

/** Makes the folder and its links, and the working directory unless a volume holds it; returns the latter. */
export async function prepareRoot(
  root: string,
  mounts: readonly Mount[],
  workingDir: string | undefined,
  owner: HostUser | undefined,
): Promise<string> {
  await passableFolder(dirname(root));
  await makeOwned(root, root, owner);
  for (const mount of mounts) await linkMount(root, mount, owner);
  const inside = mountPoint(workingDir ?? '/');
  const mount = mounts.find(({ containerPath }) => isAtOrBelow(inside, mountPoint(containerPath)));
  if (mount) return join(mount.hostPath, posix.relative(mountPoint(mount.containerPath), inside));
  const cwd = join(root, inside);
  await makeOwned(root, cwd, owner);
  return cwd;
}

const isAtOrBelow = (path: string, base: string): boolean => path === base || path.startsWith(`${base}/`);

async function linkMount(root: string, mount: Mount, owner: HostUser | undefined): Promise<void> {
  const link = join(root, mountPoint(mount.containerPath));
  await makeOwned(root, dirname(link), owner);
  if ((await readlink(link).catch(() => undefined)) === mount.hostPath) return;
  const there = await lstat(link).catch(() => undefined);
  if (there && !there.isSymbolicLink()) {
    throw new SkerryError(
      'failed_precondition',
      `${mount.containerPath} cannot be mounted: the workload made a file of that name`,
    );
  }
  await rm(link, { force: true });
  await symlink(mount.hostPath, link);
}

/**
 * mkdir -p from `root` down, one folder at a time: new ones belong to the workload's user, and a link that the workload may have left in
 * the way is never followed.
 */
async function makeOwned(root: string, path: string, owner: HostUser | undefined): Promise<void> {
  const below = posix
    .relative(root, path)
    .split('/')
    .filter((segment) => segment !== '');
  for (let i = 0; i <= below.length; i++) {
    const folder = join(root, ...below.slice(0, i));
    const there = await lstat(folder).catch(() => undefined);
    if (there?.isDirectory()) continue;
    if (there)
      throw new SkerryError(
        'failed_precondition',
        `${folder} is in the way: the workload made something other than a folder there`,
      );
    await mkdir(folder, { mode: 0o755 });
    if (owner) await chown(folder, owner.uid, owner.gid);
  }
}
