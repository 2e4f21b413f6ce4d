// The volumes of Pods on disk: <dir>/<pod uid>/volumes/<name>. What they hold comes from content.ts; here it gets there.
// Invariants: mounting is idempotent; a volume that fails leaves the others as they were; a removed Pod leaves nothing.
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SkerryError } from '@skerry/common/errors';
import { passableFolder } from '../../disk/files.js';
import type { Pod, References, VolumeDef } from '../pod/types.js';
import type { HostUser } from '../runtime/runtime.js';
import { writeAtomicDir } from './atomic-dir.js';
import { contentOf } from './content.js';
import { checkHostPath } from './host-path.js';

export interface Volumes {
  /** Where a volume is on the host. */
  path(pod: Pod, volume: string): string;
  /** Brings all volumes of the Pod up to date. Throws `failed_precondition` naming the first volume that cannot be. */
  mount(pod: Pod, references: References): Promise<void>;
  /** Removes what belongs to the Pod; hostPath contents stay. */
  remove(podUid: string): Promise<void>;
  /** UIDs of Pods that have volumes on disk. */
  pods(): Promise<readonly string[]>;
}

export interface VolumesOptions {
  readonly dir: string;
  /** Who gets the files of ConfigMap and Secret volumes; the engine's own user when not given. */
  readonly owner?: HostUser;
}

export function createVolumes({ dir, owner }: VolumesOptions): Volumes {
  const volumeDir = (podUid: string, volume: string): string => join(dir, podUid, 'volumes', volume);

  async function mountOne(pod: Pod, volume: VolumeDef, references: References): Promise<void> {
    const target = volumeDir(pod.metadata.uid, volume.name);
    if (volume.hostPath) return checkHostPath(volume.hostPath.path, volume.hostPath.type ?? '');
    if (volume.emptyDir) return openDir(target);
    const content = contentOf(pod, volume, references);
    if (!content) throw new SkerryError('unsupported', 'its type is not supported');
    if (content.kind === 'missing') throw new SkerryError('failed_precondition', content.message);
    await writeAtomicDir(target, content.files, owner);
  }

  return {
    path(pod, name) {
      const volume = pod.spec.volumes?.find((other) => other.name === name);
      return volume?.hostPath?.path ?? volumeDir(pod.metadata.uid, name);
    },
    async mount(pod, references) {
      // Workloads may run under another user.
      await passableFolder(join(dir, pod.metadata.uid));
      await passableFolder(join(dir, pod.metadata.uid, 'volumes'));
      for (const volume of pod.spec.volumes ?? []) {
        try {
          await mountOne(pod, volume, references);
        } catch (error) {
          const message = `MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`;
          throw new SkerryError('failed_precondition', message, { cause: error });
        }
      }
    },
    remove: (podUid) => rm(join(dir, podUid), { recursive: true, force: true }),
    pods: () => readdir(dir).catch(() => []),
  };
}

async function openDir(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  // As Kubernetes makes it: any user of the Pod may write.
  await chmod(path, 0o777);
}
