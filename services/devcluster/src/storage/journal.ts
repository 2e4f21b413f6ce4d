// The state on disk: `snapshot-N.log` (everything at one moment) and `journal-N.log` and later (the changes since), as frames.
// Invariants: an append is on disk (fdatasync) when it resolves; a snapshot appears by rename, when it is complete; older files go only
// after that. A torn tail of the newest journal is cut off; any other damage is an error that names the file.
import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SkerryError } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { encodeFrame, readFrame } from './frames.js';

export interface Journal {
  /** Resolves when the payloads are on disk, together or not at all. */
  append(payload: string): Promise<void>;
  /** Bytes in the journals since the last snapshot. */
  bytes(): number;
  /**
   * Starts a new journal and, behind it, writes `payloads` (the whole state at this moment) as the snapshot it follows.
   * Resolves when the new journal is in use; the rest goes on, and `close` waits for it.
   */
  compact(payloads: Iterable<string>): Promise<void>;
  compacting(): boolean;
  close(): Promise<void>;
}

export interface JournalOptions {
  /** Exists. */
  readonly dir: string;
  readonly logger: Logger;
  /** Called while opening, in order, for every payload of the snapshot and of the journals. */
  readonly onPayload: (payload: string, from: 'snapshot' | 'journal') => void;
}

const NAME = /^(snapshot|journal)-(\d{8})\.log$/;

export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { dir, logger } = options;
  const files = await listFiles(dir);
  const snapshot = Math.max(0, ...files.filter((file) => file.kind === 'snapshot').map((file) => file.generation));
  for (const file of files) if (file.generation < snapshot) await rm(join(dir, file.name));
  if (snapshot > 0) await replay(join(dir, fileName('snapshot', snapshot)), false, options, 'snapshot');

  const journals = files.filter((file) => file.kind === 'journal' && file.generation >= snapshot);
  journals.sort((a, b) => a.generation - b.generation);
  let total = 0;
  for (const [index, file] of journals.entries()) {
    total += await replay(join(dir, file.name), index === journals.length - 1, options, 'journal');
  }
  let generation = Math.max(snapshot, 1, ...journals.map((file) => file.generation));
  let handle = await openAppend(dir, generation);
  let running: Promise<void> | undefined;

  async function writeSnapshot(number: number, payloads: Iterable<string>): Promise<void> {
    const target = join(dir, fileName('snapshot', number));
    const file = await open(`${target}.tmp`, 'w', 0o600);
    try {
      for (const payload of payloads) await file.write(encodeFrame(payload));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${target}.tmp`, target);
    await syncFolder(dir);
    for (const old of await listFiles(dir)) if (old.generation < number) await rm(join(dir, old.name));
  }

  return {
    append: async (payload) => {
      const frame = encodeFrame(payload);
      await handle.write(frame);
      await handle.datasync();
      total += frame.length;
    },
    bytes: () => total,
    compact: async (payloads) => {
      const next = generation + 1;
      const old = handle;
      handle = await openAppend(dir, next);
      generation = next;
      total = 0;
      await old.close();
      running = writeSnapshot(next, payloads)
        // The old snapshot and all journals are still there: nothing is lost, the next compaction tries again.
        .catch((error: unknown) => logger.error('snapshot failed; the journals are kept', { error }))
        .finally(() => {
          running = undefined;
        });
    },
    compacting: () => running !== undefined,
    close: async () => {
      await running;
      await handle.close();
    },
  };
}

interface NamedFile {
  readonly name: string;
  readonly kind: string;
  readonly generation: number;
}

async function listFiles(dir: string): Promise<NamedFile[]> {
  const found: NamedFile[] = [];
  for (const name of await readdir(dir)) {
    const match = NAME.exec(name);
    if (match) found.push({ name, kind: match[1] ?? '', generation: Number(match[2]) });
    else if (name.endsWith('.log.tmp')) await rm(join(dir, name));
  }
  return found;
}

function fileName(kind: 'snapshot' | 'journal', generation: number): string {
  return `${kind}-${String(generation).padStart(8, '0')}.log`;
}

/** Returns the good bytes of the file. */
async function replay(
  path: string,
  mayBeTorn: boolean,
  options: JournalOptions,
  from: 'snapshot' | 'journal',
): Promise<number> {
  const file = await readFile(path);
  let offset = 0;
  for (;;) {
    const read = readFrame(file, offset);
    if (read.kind === 'frame') {
      options.onPayload(read.payload, from);
      offset = read.end;
      continue;
    }
    if (read.kind === 'end') return offset;
    if (read.kind === 'torn' && mayBeTorn) {
      options.logger.warn('cut off an unfinished write at the end of the journal', {
        path,
        bytes: file.length - offset,
      });
      await truncateAt(path, offset);
      return offset;
    }
    const why = read.kind === 'torn' ? 'it ends in the middle of a record' : read.why;
    throw new SkerryError(
      'data_loss',
      `${path} is damaged at byte ${offset}: ${why}; restore the folder from a copy, or remove it to start empty`,
    );
  }
}

async function truncateAt(path: string, length: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.truncate(length);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function openAppend(dir: string, generation: number): Promise<FileHandle> {
  const handle = await open(join(dir, fileName('journal', generation)), 'a', 0o600);
  await syncFolder(dir);
  return handle;
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
