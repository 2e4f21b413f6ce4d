// One holder per name: a unix socket in a private folder, bound as long as its process lives, so that kill -9 frees it. A file beside it
// tells who the holder is, readable also when the holder hangs. Invariant: of two that start at the same time exactly one becomes the
// holder; what a dead process left is moved away first and looked at again, because another starter may have bound the path in between.
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { systemClock } from '@skerry/common/clock';
import { SkerryError, systemCode } from '@skerry/common/errors';
import { privateFolder } from './files.js';
import { identifyProcess, isAlive, type ProcessIdentity } from './process-identity.js';

const ATTEMPTS = 5;
/** A process between bind and listen refuses connections for an instant. */
const SECOND_LOOK_MS = 20;
/** sun_path of unix(7) holds 108 bytes with its end; longer ones are cut silently by the platform. The rest is for a suffix of ours. */
const MAX_PATH = 95;
/** What connecting to a path answers when nobody holds it. */
const NOBODY = ['ECONNREFUSED', 'ENOENT'];

export interface Exclusive {
  release(): Promise<void>;
}

export type HolderState =
  | { readonly kind: 'free' }
  /** `identity` is undefined when it is not known who the holder is. */
  | { readonly kind: 'held'; readonly identity: ProcessIdentity | undefined };

/** Throws `failed_precondition` when another live process holds `path`, `invalid_argument` when it is too long for a socket. */
export async function acquireExclusive(path: string): Promise<Exclusive> {
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new SkerryError(
      'invalid_argument',
      `${path} is longer than ${MAX_PATH} bytes: choose a shorter state folder`,
    );
  }
  await privateFolder(dirname(path));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const server = await bind(path);
    if (server) {
      await writeFile(holderFile(path), JSON.stringify(await identifyProcess(process.pid)), { mode: 0o600 });
      return { release: () => close(server) };
    }
    const holder = await lookAtHolder(path);
    if (holder.kind === 'held') throw heldError(path, holder.identity);
    await removeStale(path);
  }
  throw new SkerryError('unavailable', `cannot take ${path}: other processes take and leave it; try again`);
}

/** Who holds `path` now. */
export async function lookAtHolder(path: string): Promise<HolderState> {
  if (!(await isHeld(path))) {
    await systemClock().sleep(SECOND_LOOK_MS);
    if (!(await isHeld(path))) return { kind: 'free' };
  }
  const identity = await readHolder(holderFile(path));
  // The file of an earlier holder says nothing about this one.
  return { kind: 'held', identity: identity && (await isAlive(identity)) ? identity : undefined };
}

function heldError(path: string, identity: ProcessIdentity | undefined): SkerryError {
  const who = identity ? `process ${identity.pid}` : 'another process';
  return new SkerryError(
    'failed_precondition',
    `${path} is held by ${who}: stop it first, or use another state folder`,
  );
}

/** Undefined when the path is taken. */
function bind(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (systemCode(error) === 'EADDRINUSE') resolve(undefined);
      else reject(new SkerryError('failed_precondition', `cannot bind ${path}: ${error.message}`, { cause: error }));
    });
    server.listen(path, () => {
      // Holding a name is no reason to stay alive.
      server.unref();
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function isHeld(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve(true);
    });
    // A full backlog or a missing right is no proof of death.
    socket.once('error', (error) => resolve(!NOBODY.includes(systemCode(error) ?? '')));
  });
}

const holderFile = (path: string): string => `${path}.pid`;

async function readHolder(file: string): Promise<ProcessIdentity | undefined> {
  try {
    const { pid, startTicks } = JSON.parse(await readFile(file, 'utf8')) as Partial<ProcessIdentity>;
    return typeof pid === 'number' && typeof startTicks === 'string' ? { pid, startTicks } : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the dead socket away; puts it back when it turns out to be a new holder's. */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  if ((await lookAtHolder(aside)).kind === 'held') await link(aside, path);
  await rm(aside, { force: true });
}
