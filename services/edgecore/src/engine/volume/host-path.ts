// hostPath volumes: the path has to be what the Pod says, or is made where it says so.
// Source of the rule: "hostPath volume types" in the Kubernetes documentation.

import type { Stats } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { SkerryError, systemCode } from '@skerry/common/errors';

type Want = {
  readonly what: string;
  readonly is: (stats: Stats) => boolean;
  readonly make?: (path: string) => Promise<void>;
};

const TYPES: Readonly<Record<string, Want>> = {
  Directory: { what: 'a directory', is: (stats) => stats.isDirectory() },
  DirectoryOrCreate: {
    what: 'a directory',
    is: (stats) => stats.isDirectory(),
    make: async (path) => void (await mkdir(path, { recursive: true, mode: 0o755 })),
  },
  File: { what: 'a file', is: (stats) => stats.isFile() },
  FileOrCreate: { what: 'a file', is: (stats) => stats.isFile(), make: createFile },
  Socket: { what: 'a socket', is: (stats) => stats.isSocket() },
  CharDevice: { what: 'a character device', is: (stats) => stats.isCharacterDevice() },
  BlockDevice: { what: 'a block device', is: (stats) => stats.isBlockDevice() },
};

/** Throws `failed_precondition` when the path is not of the type, `invalid_argument` for an unknown type. */
export async function checkHostPath(path: string, type: string): Promise<void> {
  if (type === '') return;
  const want = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  if (!want) throw new SkerryError('invalid_argument', `hostPath type "${type}" is not known`);
  let stats = await statOf(path);
  if (!stats && want.make) {
    await want.make(path);
    stats = await statOf(path);
  }
  if (!stats || !want.is(stats))
    throw new SkerryError('failed_precondition', `hostPath type check failed: ${path} is not ${want.what}`);
}

function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
}

async function createFile(path: string): Promise<void> {
  const handle: FileHandle = await open(path, 'a', 0o644);
  await handle.close();
}
