// One holder per name: a unix socket in a private folder, bound as long as its process lives, so that kill -9 frees it.
// A holder says who it is to whoever connects. Invariant: of two that start at the same time exactly one becomes the holder; what a dead
// process left is moved away first and looked at again, because another starter may have bound the path in between.
import { randomBytes } from 'node:crypto';
import { link, rename, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { SkerryError, systemCode } from '@skerry/common/errors';
import { privateFolder } from './files.js';
import { identifyProcess, type ProcessIdentity } from './process-identity.js';

const ATTEMPTS = 5;
/** A process between bind and listen refuses connections for an instant. */
const SECOND_LOOK_MS = 20;
const ANSWER_MS = 2_000;
const MAX_ANSWER = 200;
/** sun_path of unix(7) holds 108 bytes with its end; longer ones are cut silently by the platform. The rest is for a suffix of ours. */
const MAX_PATH = 95;

export interface Exclusive {
  release(): Promise<void>;
}

export type HolderState =
  | { readonly kind: 'free' }
  /** `identity` is undefined when the holder did not say who it is. */
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
  const self = await identifyProcess(process.pid);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const server = await bind(path, `${JSON.stringify(self ?? { pid: process.pid, startTicks: '' })}\n`);
    if (server) return { release: () => close(server) };
    const holder = await lookAtHolder(path);
    if (holder.kind === 'held') throw heldError(path, holder.identity);
    await removeStale(path);
  }
  throw new SkerryError('unavailable', `cannot take ${path}: other processes take and leave it; try again`);
}

/** Who holds `path` now. */
export async function lookAtHolder(path: string): Promise<HolderState> {
  const first = await ask(path);
  if (first.kind === 'held') return first;
  await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
  return ask(path);
}

function heldError(path: string, identity: ProcessIdentity | undefined): SkerryError {
  const who = identity ? `process ${identity.pid}` : 'another process';
  return new SkerryError(
    'failed_precondition',
    `${path} is held by ${who}: stop it first, or use another state folder`,
  );
}

function bind(path: string, answer: string): Promise<Server | undefined> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(answer, () => socket.destroy());
  });
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

function ask(path: string): Promise<HolderState> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    let connected = false;
    let answer = '';
    const finish = (): void => {
      socket.destroy();
      resolve(connected ? { kind: 'held', identity: parseIdentity(answer) } : { kind: 'free' });
    };
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_MS, finish);
    socket.once('connect', () => {
      connected = true;
    });
    socket.on('data', (text: string) => {
      answer = (answer + text).slice(0, MAX_ANSWER);
    });
    socket.once('end', finish);
    socket.once('error', (error) => {
      // A full backlog or a missing right is no proof of death.
      connected ||= !['ECONNREFUSED', 'ENOENT', 'ECONNRESET'].includes(systemCode(error) ?? '');
      finish();
    });
  });
}

function parseIdentity(answer: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(answer) as Partial<ProcessIdentity> | null;
    const { pid, startTicks } = value ?? {};
    if (typeof pid !== 'number' || typeof startTicks !== 'string' || startTicks === '') return undefined;
    return { pid, startTicks };
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
