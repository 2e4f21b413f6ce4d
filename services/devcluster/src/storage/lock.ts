// One opener of a state folder at a time: held by a bound unix socket, which the kernel gives back however the process ends.
import { createHash } from 'node:crypto';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SkerryError, systemCode } from '@skerry/common/errors';

export interface FolderLock {
  release(): Promise<void>;
}

/** Makes the folder when it is missing. Throws `failed_precondition` when another process holds the folder. */
export async function lockFolder(dir: string): Promise<FolderLock> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const id = createHash('sha256')
    .update(await realpath(dir))
    .digest('hex')
    .slice(0, 24);
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, addressOf(id));
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE') throw error;
    throw new SkerryError('failed_precondition', `state folder ${dir} is in use by another devcluster: stop it first`);
  }
  server.unref();
  return {
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Abstract on Linux (no file to go stale); elsewhere a file, which `listen` below clears when nobody answers. */
function addressOf(id: string): string {
  return process.platform === 'linux' ? `\0skerry-devcluster-${id}` : join(tmpdir(), `sk-${id}.lock`);
}

async function listen(server: Server, path: string): Promise<void> {
  const bind = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
  try {
    await bind();
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE' || path.startsWith('\0') || (await answers(path))) throw error;
    await rm(path, { force: true });
    await bind();
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
